"""`croissant.json`, as the validator of its makers reads it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

mlcroissant = pytest.importorskip("mlcroissant")


@pytest.mark.parametrize("name", ["cc100-ja", "image-text-ja", "speech-ja"])
def test_croissant_is_valid_and_tells_what_is_in_the_corpus(build_as_user, name):
    out = build_as_user(name).out
    described = json.loads((out / "croissant.json").read_text("utf-8"))
    dataset = mlcroissant.Dataset(jsonld=out / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors, issues.report()
    assert dataset.metadata.name == name
    files = {one["@id"]: one["sha256"] for one in described["distribution"] if one["@type"] == "cr:FileObject"}
    sums = dict(reversed(line.split("  ", 1)) for line in (out / "SHA256SUMS").read_text("utf-8").splitlines())
    assert files == {path: digest for path, digest in sums.items() if path.split("/")[0] in ("data", "ledger")}
    for records, pattern in (("shards-records", "data/train-*.parquet"), ("ledger-records", "ledger/*.parquet")):
        fields = next(one["field"] for one in described["recordSet"] if one["name"] == records)
        assert [one["name"] for one in fields] == pq.read_schema(next(out.glob(pattern))).names
    responsible = {name for name in described if name.startswith("rai:")}
    assert {"rai:dataCollection", "rai:dataLimitations", "rai:dataBiases", "rai:personalSensitiveInformation"} <= responsible
    assert dataset.metadata.data_biases and dataset.metadata.personal_sensitive_information
