"""Licences as the Hub's cards have them."""

import pytest
from huggingface_hub import DatasetCardData

from pipeline.manifest.loading import load_any
from pipeline.manifest.shipped import list_manifests
from pipeline.report.licenses import describe_license


@pytest.mark.parametrize(
    ("licenses", "keys"),
    [
        (["CC-BY-4.0"], {"license": "cc-by-4.0"}),
        (["apache-2.0"], {"license": "apache-2.0"}),
        (["ODC-By-1.0"], {"license": "odc-by"}),
        (["GFDL-1.3-or-later"], {"license": "gfdl"}),
        (["unknown"], {"license": "unknown"}),
        (["CC-BY-SA-2.1-JP"], {"license": "other", "license_name": "cc-by-sa-2.1-jp",
                               "license_link": "https://creativecommons.org/licenses/by-sa/2.1/jp/"}),
        (["The creators' own; see page"], {"license": "other", "license_name": "the-creators-own-see-page"}),
        (["、。"], {"license": "other", "license_name": "see-the-card"}),
        (["that of each source", "CC-BY-4.0", "MIT", "CC-BY-4.0"], {"license": ["cc-by-4.0", "mit"]}),
        (["that of each source", "MIT", "MIT"], {"license": "mit"}),
        (["that of each source", "MIT", "see page"], {"license": "other", "license_name": "that-of-each-source"}),
        (["CC0-1.0", "MIT", "see page"], {"license": "cc0-1.0"}),
    ],
)  # fmt: skip
def test_licences_are_the_hubs_ids_or_short_names(licenses, keys):
    assert describe_license(licenses) == keys
    assert DatasetCardData(**describe_license(licenses)).license == keys["license"]


def test_a_manifest_may_name_what_the_hub_does_not_know():
    link = "https://example.com/terms"
    described = describe_license(["see page"], "page-terms", link)
    assert described == {"license": "other", "license_name": "page-terms", "license_link": link}
    assert describe_license(["MIT"], "page-terms", link) == {"license": "mit"}


@pytest.mark.parametrize("name", list_manifests())
def test_every_manifest_has_an_id_or_a_short_name(name):
    manifest = load_any(name)
    described = describe_license([manifest.license], manifest.license_name, manifest.license_link)
    assert described["license"] != "other" or len(described["license_name"]) < 40
