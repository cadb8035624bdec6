"""Fields of the table `source` that only some formats take, and the command's options for them: without what reads the formats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceOption:
    """Marks a field of the table `source` that only some formats take (`Source.options` of the format).

    `purpose` is what messages say it is for. Where the command has an option for it, `flag` and `help` are that option's, and `content`
    is what the folder that it names holds.
    """

    purpose: str
    flag: str | None = None
    help: str = ""
    content: str = ""


# By the name of the field.
FOLDER_OPTIONS = {
    "images": SourceOption(
        "lists of images", "--images", "Folder of the images that the input, a list, names by URL or file name.", "images"
    ),
    "audio": SourceOption(
        "lists of recordings", "--audio", "Folder of the recordings that the input, a list, names by path.", "recordings"
    ),
}
