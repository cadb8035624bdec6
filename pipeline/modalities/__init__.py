"""The modalities, by name. To add one, write a class like its siblings and list it here."""

from __future__ import annotations

from typing import Any

from pipeline.manifest.model import Manifest
from pipeline.modalities.base import Modality
from pipeline.modalities.image_text.modality import ImageTextModality
from pipeline.modalities.speech.modality import SpeechModality
from pipeline.modalities.text.modality import TextModality

MODALITIES: dict[str, Modality[Any]] = {
    modality.name: modality for modality in (TextModality(), ImageTextModality(), SpeechModality())
}


def modality_of(manifest: Manifest) -> Modality[Any]:
    """Return the modality of a manifest's records."""
    return MODALITIES[manifest.modality]
