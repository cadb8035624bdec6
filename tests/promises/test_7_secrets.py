"""Promise 7, of secrets and of strangers' manifests: no password, token or folder of a user gets out, and no local file gets in."""

import ast
import gzip
import io
import re
from pathlib import Path

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.names import hide_folders, hide_secrets, strip_secrets
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.terminal import Terminal
from pipeline.fetch.download import download
from pipeline.manifest.loading import load
from pipeline.sources.inputs import resolve
from tests.support.builds import read_ledger
from tests.support.formats import make_jsonl
from tests.support.texts import make_sentences

ROOT = Path(__file__).parents[2]
PASSWORD, SIGNATURE, HOME = "canary-pass", "canary-signature", "canary-home"
CANARIES = (PASSWORD, SIGNATURE)
DOCUMENTS = [make_sentences(f"secret {i}") for i in range(12)]


def find_canaries(text, canaries=CANARIES):
    return [canary for canary in canaries if canary in text]


def find_in_files(folder, canaries):
    """Return the files below a folder whose name or content has a canary."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(canary.encode() in content or canary in str(path.relative_to(folder)) for canary in canaries):
            found.append(path)
    return found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://a.jp/b.gz?X-Amz-Signature=1&x=2", "https://a.jp/b.gz"),
        ("see https://me:pa?ss#word@a.jp:80/b#t=1.", "see https://a.jp:80/b."),
        ("'s3://bucket/k?versionId=1' (gs://b/c?d), hf://e@main/f", "'s3://bucket/k' (gs://b/c), hf://main/f"),
        ("ClientError: 403, url='http://u:p@h/f?t=1'", "ClientError: 403, url='http://h/f'"),
        ("what? no URL: a@b.jp", "what? no URL: a@b.jp"),
    ],
)
def test_urls_in_any_text_lose_user_and_query(text, shown):
    assert hide_secrets(text) == shown
    assert hide_secrets(shown) == shown


def test_a_url_alone_loses_all_that_may_be_secret():
    assert strip_secrets("https://u:p w@a.jp/b c.gz?x=y z#w") == "https://a.jp/b c.gz"
    assert strip_secrets("https://a.jp?x=1") == "https://a.jp"
    assert strip_secrets("/home/a?b#c@d") == "/home/a?b#c@d"


def test_paths_in_any_text_are_names():
    text = "/home/me/a (1)/x.jsonl has '/mnt/z/y.tar'; https://a.jp/b/c and 1/2 stay"
    assert hide_folders(text, ["/home/me/a (1)/x.jsonl"]) == "x.jsonl has 'y.tar'; https://a.jp/b/c and 1/2 stay"


def test_no_secret_of_a_url_or_home_gets_out(build, server, tmp_path):
    """A build of a file behind a password and a signature, and of one in somebody's home; then one that fails."""
    server.secret = (f"me:{PASSWORD}", f"X-Amz-Signature={SIGNATURE}")
    server.files["far.jsonl"] = make_jsonl(DOCUMENTS[:6]) + b'\xff\xfe{"damaged\n'
    url = server.url.replace("://", f"://me:{PASSWORD}@") + f"/far.jsonl?X-Amz-Signature={SIGNATURE}"
    home = tmp_path / HOME
    home.mkdir()
    (home / "near.jsonl.gz").write_bytes(gzip.compress(make_jsonl(DOCUMENTS[6:]))[:-6])  # which is warned of by its path
    out, work = tmp_path / "out", tmp_path / "work"
    options = ("--input", url, "--input", home / "near.jsonl.gz", "--out", out, "--work", work, "--keep-going")
    done = build("ja-web", *options, "--set", f"source.url={url}")
    assert done.returncode == 0, done.stderr
    assert find_canaries(done.stdout + done.stderr) == []
    assert f"{home}/near.jsonl.gz ends too early" in done.stdout  # who builds is told where it is
    assert find_in_files(out, CANARIES) == find_in_files(work, (*CANARIES, HOME)) == []
    assert find_in_files(out, (HOME,)) == [out / STATE_FOLDER / "inputs.json"]  # relative to the output; never published
    ledger = read_ledger(out)
    assert set(ledger["source"]) == {"ja-web/far.jsonl", "ja-web/near.jsonl.gz"}
    plan = build("ja-web", *options, "--plan")
    missing = build("ja-web", "--input", url.replace("far", "gone"), "--out", tmp_path / "o")
    refused = build("ja-web", "--input", url.replace(PASSWORD, f"{PASSWORD}2"), "--out", tmp_path / "o")
    assert (plan.returncode, missing.returncode, refused.returncode) == (0, 2, 1)
    for one in (plan, missing, refused):
        assert find_canaries(one.stdout + one.stderr) == []
    download(url, tmp_path / "raw" / "far.jsonl", Terminal(file=io.StringIO()))
    assert (tmp_path / "raw" / "far.jsonl").read_bytes() == server.files["far.jsonl"]
    assert find_in_files(tmp_path, CANARIES) == []


def test_two_files_that_differ_in_their_query_stay_apart(server):
    server.files["get"] = make_jsonl(DOCUMENTS)
    first, second = resolve([f"{server.url}/get?id=canary1", f"{server.url}/get?id=canary2"])
    assert first.identity != second.identity and first.name != second.name
    assert find_canaries(str([first.describe(), second.describe(), first.name, second.name]), ("canary",)) == []


# -- strangers' manifests


@pytest.mark.parametrize(
    "assignment",
    [
        'source.sample="../../../etc/hostname"',
        'source.sample="/etc/hostname"',
        'source.sample=".."',
        'source.sample="a/b.xz"',
        'source.sample="..\\\\a"',
        'source.url="file:///etc/hostname"',
        'source.url="/etc/hostname"',
        'source.url="local:///etc/hostname"',
        'source.url="simplecache::file:///etc/hostname"',
        'source.url="https://a.jp/x::file:///etc/hostname"',
        'source.url="FILE:///etc/hostname"',
        'source.url="sftp://host/x"',
    ],
)
def test_a_manifest_can_have_no_local_file_read(assignment):
    key = assignment.partition("=")[0]
    with pytest.raises(UsageError, match=f"--set {re.escape(key)}=.*: .* expected"):
        load("cc100-ja", [assignment])


def test_no_code_of_a_model_is_run():
    """Whatever loads a model by what a folder says of itself says that code in that folder is not run."""
    calls = []
    for package in ("filters", "pipeline", "seimai", "tokenizer", "trainers"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text("utf-8")
            for node in ast.walk(ast.parse(text)) if "Auto" in text else ():
                if isinstance(node, ast.Call) and any(map(is_chosen_by_folder, (node.func, *node.args))):
                    given = {keyword.arg for keyword in node.keywords}  # None stands for **options
                    calls.append((path.name, node.lineno, bool(given & {"trust_remote_code", None})))
    assert len(calls) >= 6
    assert [call for call in calls if not call[2]] == []


def is_chosen_by_folder(node):
    """Return whether an expression is a class of transformers that takes what a folder says, or a method of one that loads."""
    is_method = isinstance(node, ast.Attribute) and node.attr in ("from_pretrained", "from_config")
    owner = node.value if is_method else node
    return isinstance(owner, ast.Name) and re.match("Auto[A-Z]", owner.id) is not None
