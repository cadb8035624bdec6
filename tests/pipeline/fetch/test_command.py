"""The command as users run it: kills, a full disk, wrong usage."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from click.testing import CliRunner

from pipeline.core.ownership import STATE_FOLDER
from pipeline.fetch.command import fetch, main
from pipeline.fetch.settings import FetchSettings
from pipeline.fetch.spool import Spool


def start(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_proxy")} | {"COLUMNS": "400", "NO_COLOR": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.fetch", *map(str, arguments)],
        env=environment, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def run(*arguments):
    """Run the command to its end in this process."""
    done = CliRunner().invoke(main, [*map(str, arguments)], env={"COLUMNS": "400", "NO_COLOR": "1"})
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.e2e
def test_an_interrupted_fetch_run_again_fetches_only_what_is_missing(site, console, write_list, shards_in, tmp_path, sent):
    paths = [f"/pause/{i}?{sent}" for i in range(400)]
    source = write_list(tmp_path / "list.tsv", [(site.url + path, f"画像{i}") for i, path in enumerate(paths)])
    options = (source, "--out", tmp_path / "out", "--allow-private", "--shard-size", 150, "--per-host", 8)

    def count_requests():
        return sum(site.requests[path] for path in paths)

    process = start(*options)
    wait_until(lambda: count_requests() > 200)
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=20)
    if sent == signal.SIGINT:
        assert process.returncode == 130 and "run the same command again" in errors
    stored = set()  # rows
    for shard in range(3):
        spool = tmp_path / "out" / STATE_FOLDER / "spool" / f"{shard:05d}.spool"
        if spool.is_file():
            (tmp_path / "copy").write_bytes(spool.read_bytes())
            rows_id = spool.read_bytes()[16:].split(b'"', 2)[1].decode()
            stored |= {150 * shard + row for row in Spool(tmp_path / "copy", rows_id).rows}
        elif (tmp_path / "out" / f"{shard:05d}.parquet").is_file():
            stored |= set(range(150 * shard, min(400, 150 * shard + 150)))
    before = Counter({path: site.requests[path] for path in paths})
    assert 150 < len(stored) < 400 and count_requests() - len(stored) <= 8 + 8  # those under way are lost, and no others
    again = run(*options)
    assert again.returncode == 0, again.stderr
    assert {i for i, path in enumerate(paths) if site.requests[path] > before[path]} == set(range(400)) - stored
    fetch([source], tmp_path / "whole", FetchSettings(allow_private=True, shard_size=150), console)
    assert shards_in(tmp_path / "out").digests() == shards_in(tmp_path / "whole").digests()
    assert shards_in(tmp_path / "out").sidecars()["status"].to_list() == ["success"] * 400


def test_summary_and_next_lines(site, write_list, shards_in, tmp_path):
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/1", "猫"), (f"{site.url}/status/503", "犬")])
    done = run(source, "--out", tmp_path / "out", "--allow-private", "--retries", 0)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert "2 URLs in 1 shard, all accounted for" in out and "HTTP 503" in out
    assert f"python -m pipeline.build cc12m-ja --input {source} --images {tmp_path / 'out'}" in out
    assert "--retry-failed" in out


def test_wrong_usage(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("mine")
    lines = tmp_path / "l.txt"
    lines.write_text("http://127.0.0.1/x.jpg\n")
    for arguments, message in (
        ((tmp_path / "absent.tsv", "--out", tmp_path / "o"), "there is no such file"),
        ((tmp_path, "--out", tmp_path / "o"), "is a directory"),
        ((lines, "--out", tmp_path / "x"), "was not made by Seimai"),
        ((lines, "--out", lines), "is a file"),
        ((lines,), "--out"),
    ):
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 2 and message in done.stderr.replace("\n", " "), done.output


def test_a_full_disk_is_reported(site, write_list, shards_in, tmp_path):
    """A limit on the size of files stands for a full disk: writing fails in the middle of a record."""
    source = write_list(tmp_path / "list.tsv", [(f"{site.url}/image/{i}?full", "猫") for i in range(60)])
    command = [sys.executable, "-m", "pipeline.fetch", source, "--out", str(tmp_path / "out"), "--allow-private"]
    script = f"ulimit -f 20; trap '' XFSZ; exec {' '.join(command)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1
        and "a file grew larger than `ulimit -f` allows while fetching" in done.stderr
        and "Traceback" not in done.stderr
    ), done.stderr
    assert not list((tmp_path / "out").glob("*.tar"))
    again = run(source, "--out", tmp_path / "out", "--allow-private")
    assert again.returncode == 0, again.stderr
    assert shards_in(tmp_path / "out").sidecars()["status"].to_list() == ["success"] * 60
    assert 60 <= sum(site.requests[f"/image/{i}?full"] for i in range(60)) < 80
