"""Promise 9: nothing from outside is obeyed by terminal, card or shell."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import threading
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
import tomli_w
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.table import Table
from rich.text import Text

from pipeline.core.errors import BuildError
from pipeline.core.names import make_visible
from pipeline.core.terminal import Terminal, tell_json
from pipeline.fetch.command import fetch
from pipeline.fetch.settings import FetchSettings
from pipeline.report.card import code_span, escape_markdown, escape_paragraphs, link
from tests.support.images import add_member, draw_picture, encode_image, make_caption
from tests.support.texts import make_sentences

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = "\x1b[31m[/red]\x9b2J\u202e<img src=x onerror=alert(1)> [a](http://evil.jp) | `b` *c* $(touch pwned) 𠮷"
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HEADINGS = {
    *("Splits / 分割", "Why documents were dropped / 除外の理由", "Why pairs were dropped / 除外の理由"),
    *("What was removed from documents / 取り除いた行", "Files / ファイル", "Inputs / 入力", "Warnings / 警告"),
}


def read_card(card):
    """Return the front matter of a card, and what in its Markdown is not text: the types of tokens, links and headings."""
    front, body = card.removeprefix("---\n").split("\n---\n", 1)
    tokens = [token for block in MARKDOWN.parse(body) for token in (block, *(block.children or ()))]
    links = [token.attrs["href"] for token in tokens if token.type == "link_open"]
    headings = [after.content for token, after in zip(tokens, tokens[1:], strict=False) if token.type == "heading_open"]
    return yaml.safe_load(front), {token.type for token in tokens}, links, headings


# -- one function for each target


ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    [HOSTILE, "http://u:p@h/?q", "```", "\n# x"]
)


@given(ANYTHING)
@example(HOSTILE)
def test_json_for_scripts_is_whole_and_not_obeyed(text):
    told = io.StringIO()
    with redirect_stdout(told):
        tell_json([{"path": text}])
    assert not OBEYED.search(told.getvalue())
    assert json.loads(told.getvalue()) == json.loads(json.dumps([{"path": text}]))


@given(ANYTHING)
@example(HOSTILE)
def test_a_terminal_obeys_no_text(text):
    out = io.StringIO()
    terminal = Terminal(file=out, width=200)
    table = Table(text)
    table.add_row(text, Text(text))
    terminal.print(text, soft_wrap=True)
    terminal.print(table)
    assert not OBEYED.search(out.getvalue()) and not OBEYED.search(str(BuildError(text)))


@given(ANYTHING)
@example("---\n# a")
@example("    code")
@example("1) a")
@example("a ~~b~~ __c__ _d_ ![x](y) <http://a.b> &lt;")
def test_markdown_shows_any_text_literally(text):
    shown = make_visible(" ".join(re.split(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]", text)).strip())
    for escaped in (escape_markdown(text), f"| a |\n|---|\n| {escape_markdown(text)} |", f"- {code_span(text)}"):
        tokens = [token for block in MARKDOWN.parse(escaped) for token in (block, *(block.children or ()))]
        kinds = {token.type for token in tokens}
        assert not kinds & {
            "html_block",
            "html_inline",
            "link_open",
            "image",
            "heading_open",
            "em_open",
            "strong_open",
            "s_open",
            "hr",
        }
        assert not kinds & {"fence", "code_block", "blockquote_open", "ordered_list_open"}
    inline = MARKDOWN.renderInline(escape_markdown(text))
    assert re.sub(r"\s+", " ", shown) == re.sub(r"\s+", " ", unescape(inline)).strip() or not shown.strip()


def unescape(markup):
    import html

    assert "<" not in markup
    return html.unescape(markup)


@given(ANYTHING)
def test_yaml_holds_any_title(text):
    line = make_visible(text)
    assert yaml.safe_load(yaml.safe_dump({"t": line}, allow_unicode=True, width=1 << 20)) == {"t": line}


def test_links_and_paragraphs():
    assert link("https://a.jp/b?token=1") == "<https://a.jp/b>"
    assert "<" not in link("javascript:alert(1)") + link("https://a.jp/><script>") and "://" not in link("ftp://a.jp")
    assert escape_paragraphs("a\nb\n\n# c") == "a b\n\n\\# c"


# -- whole commands


def test_a_stranger_s_manifest_and_text_reach_neither_terminal_nor_card(build, tmp_path):
    """Hostile strings in the manifest, in the name of a file and a folder, in texts, in lines that are removed and in metadata."""
    folder = tmp_path / "in [bold]$(touch pwned); `x`|'y' <b>"
    folder.mkdir()
    source = folder / "a [red]*b*|`c`'𠮷$(touch pwned).jsonl"
    rows = [
        {"text": f"{HOSTILE}\n{make_sentences(f'hostile {i}')}\nメニュー {HOSTILE}", "url": f"http://e.jp/{i}"}
        for i in range(24)
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    source.write_text("\n".join(lines) + f'\n{{"text": "{make_sentences(1)}\r", "x": {HOSTILE!r}', "utf-8")
    title, description = f"𠮷 {HOSTILE}", f"# heading\n\n<script>\n\n{HOSTILE}\n\n---\n\n1. x"
    manifest = tmp_path / "hostile.toml"
    described = {"title": title, "description": description, "license": HOSTILE, "homepage": "javascript:alert(1)"}
    table = {"name": "hostile", "source": {"format": "jsonl"}, "rules": {"chars": {"at_least": 10}}}
    manifest.write_text(tomli_w.dumps(described | table), "utf-8")
    out = tmp_path / "out $(touch pwned) 'x' [red]"
    done = build(manifest, "--input", source, "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not OBEYED.search(done.stdout + done.stderr)
    front, kinds, links, headings = read_card((out / "README.md").read_text("utf-8"))
    assert front["pretty_name"] == make_visible(title) and re.fullmatch(r"[a-z0-9.-]{1,50}", front["license_name"])
    assert not kinds & {"html_block", "html_inline", "image", "em_open"} and links == []
    assert {*headings[1:]} <= HEADINGS and not OBEYED.search((out / "README.md").read_text("utf-8"))
    # What is printed to be pasted does what it says, and no more.
    look, train = (line.strip() for line in done.stdout.splitlines()[-2:])
    assert shlex.split(look)[:2] == ["python", "-c"] and out.name in eval_strings(shlex.split(look)[2])
    assert out.name in shlex.split(train)  # relative to where the build ran
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "POLARS_MAX_THREADS": "1"}
    pasted = subprocess.run(["bash", "-c", look], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert pasted.returncode == 0 and "shape: (" in pasted.stdout, pasted.stderr
    missing = build(manifest, "--input", f"{folder}/\x1b[2J\u202enone", "--out", out)
    (folder / "sub").mkdir()
    empty = build(manifest, "--input", folder / "sub", "--out", out)
    assert missing.returncode == empty.returncode == 2
    assert not OBEYED.search(missing.stderr + empty.stderr)
    assert not [*tmp_path.rglob("pwned")]


def eval_strings(code):
    """Return the strings in a line of Python, as Python reads them, joined; what a glob escapes is as it was."""
    import ast

    found = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return re.sub(r"\[([*?[])\]", r"\1", " ".join(found))


def test_sidecars_captions_and_names_of_members_reach_neither_terminal_nor_card(build, tmp_path):
    tar_path = tmp_path / "00000.tar"
    keys = [f"{number:09d}" for number in range(12)]
    with tarfile.open(tar_path, "w") as tar:
        for number, key in enumerate(keys[:4]):
            add_member(tar, f"{key}.jpg", encode_image(draw_picture(number)))
            add_member(tar, f"{key}.txt", f"{make_caption(number)} {HOSTILE}".encode())
        add_member(tar, f"\x1b[2J{HOSTILE.replace('/', '')}.xyz", b"1")
    messages = [None] * 4 + [f"{HOSTILE} ## x http://u:canary-pass@h.jp/?q=canary-query"] * 8
    pl.DataFrame(
        {
            "url": [f"http://e.jp/{key}" for key in keys], "caption": [f"{make_caption(7)} {HOSTILE}"] * 12, "key": keys,
            "status": ["success"] * 4 + ["failed_to_download"] * 8, "error_message": messages,
        },
        schema_overrides={"error_message": pl.String},
    ).write_parquet(tar_path.with_suffix(".parquet"))  # fmt: skip
    done = build("laion-ja", "--input", tar_path, "--out", tmp_path / "out", "--set", "rules={}")
    assert done.returncode == 0, done.stderr
    assert "records could not be read" in done.stdout and "like this" in done.stdout
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert not OBEYED.search(done.stdout + done.stderr) and not OBEYED.search(card)
    _, kinds, links, headings = read_card(card)
    assert not kinds & {"html_block", "html_inline", "image"} and {*headings[1:]} <= HEADINGS
    assert [url for url in links if "evil" in url] == []
    assert "canary" not in done.stdout + done.stderr + card


@pytest.mark.parametrize("answer", ["application/[/red]", "application/[bold]\x1b[31m|\u202e", "image/\x9b2J"])
def test_a_server_s_headers_reach_no_terminal(tmp_path, answer):
    """A fetch ends with its summary, also when it is run again, whatever a server declares."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: " + answer.encode("utf-8") + b"\r\nContent-Length: 4\r\n\r\nabcd"
            )

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        listed = tmp_path / "list '$(touch pwned)[red].txt"
        listed.write_text(f"http://127.0.0.1:{server.server_address[1]}/a.jpg\n")
        settings = FetchSettings(allow_private=True, retries=0)
        for _ in range(2):
            out = io.StringIO()
            summary = fetch([str(listed)], tmp_path / "out", settings, Terminal(file=out, width=400))
            assert sum(summary.reasons.values()) == 1 and not OBEYED.search(out.getvalue())
            (command,) = [line for line in out.getvalue().splitlines() if "pipeline.build" in line]
            assert shlex.split(command)[:6] == ["python", "-m", "pipeline.build", "cc12m-ja", "--input", str(listed)]
        server.shutdown()
