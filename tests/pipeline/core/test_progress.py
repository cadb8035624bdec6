"""Progress: estimates that leave out how long workers take to start, lines for logs, lines that fit a terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pipeline.core.estimates import Estimate, format_duration
from pipeline.core.progress import ProgressDisplay


@given(
    workers=st.integers(1, 16),
    start=st.floats(0, 600),
    seconds=st.floats(2.1, 100),
    count=st.integers(4, 50),
)
def test_time_left_is_right_from_the_second_round_on(workers, start, seconds, count):
    """Workers that start slowly, then finish a piece each in the same time: nothing of the start is in the estimate."""
    estimate = Estimate(workers)
    for piece in range(1, count * workers + 1):
        now = start + seconds * ((piece - 1) // workers + 1)
        estimate.add(now, float(piece))
        left, rounds = estimate.compute_seconds_left(now, float(count * workers)), piece // workers
        if piece % workers == 0 and rounds >= 3:
            assert left == pytest.approx(seconds * (count - rounds), abs=1e-6)


def test_nothing_is_estimated_from_too_little():
    estimate = Estimate(2)
    for now, done in ((40.0, 1.0), (40.5, 2.0), (41.0, 3.0)):
        estimate.add(now, done)
        assert estimate.compute_seconds_left(now, 10.0) is None
    estimate.add(45.0, 4.0)
    assert estimate.compute_seconds_left(45.0, 10.0) == pytest.approx(6 * 4.5 / 2)
    assert estimate.compute_seconds_left(48.0, 10.0) == pytest.approx(6 * 4.5 / 2 - 3)  # time passes while no piece is finished
    assert estimate.compute_seconds_left(500.0, 10.0) == pytest.approx(
        4 * 4.5 / 2
    )  # what is not begun takes its time nevertheless
    assert estimate.compute_seconds_left(500.0, 6.0) == 0


def test_estimates_follow_the_speed_of_late():
    estimate = Estimate(1)
    for second in range(1, 101):
        estimate.add(float(second), second if second <= 50 else 50 + (second - 50) * 4.0)
    assert estimate.compute_seconds_left(100.0, 650.0) == pytest.approx(100, rel=0.05)


@given(st.floats(0.01, 1e6))
def test_durations_are_never_shorter_than_they_are(seconds):
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    words = format_duration(seconds).split()
    shown = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2]))
    assert shown >= seconds - 86400 / 24 * (seconds >= 48 * 3600)
    assert shown <= max(1, seconds * 1.25 + 1)


def test_durations_in_japanese(monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", "ja")
    assert [format_duration(seconds) for seconds in (7, 205, 8000)] == ["7 秒", "3 分 30 秒", "2 時間 20 分"]


def make_display(width: int, is_terminal: bool) -> tuple[ProgressDisplay, io.StringIO]:
    file = io.StringIO()
    return ProgressDisplay(
        Console(file=file, width=width, force_terminal=is_terminal, legacy_windows=False), seconds=1000
    ), file


def test_a_log_has_a_line_for_each_step_and_no_control_sequences(monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", "en")
    display, file = make_display(40, is_terminal=False)
    with display:
        step = display.step("measure", workers=2)
        assert step.format_line() == "measure           1 s so far"
        step.advance(5e6, 1000)
        step.expect(20e6)
        assert step.share == 0.25 and step.format_line().startswith("measure       25%       1,000 records")
        step.advance(15e6, 3000)
        step.finish()
        unknown = display.step("deduplicate", total=1)
        assert unknown.share is None and "%" not in unknown.format_line()
        unknown.finish()
    lines = file.getvalue().splitlines()
    assert [line.split()[:2] for line in lines] == [["measure", "100%"], ["deduplicate", "100%"]]
    assert "4,000 records" in lines[0] and "\x1b" not in file.getvalue()


def test_what_was_done_before_is_no_speed(monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", "en")
    display, _ = make_display(80, is_terminal=False)
    step = display.step("measure")
    step.advance(1e12, 10)
    step.restart_clock()
    assert "MB/s" not in step.describe() and step.records == 10


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit_the_terminal_and_names_stay_whole(monkeypatch, width, language):
    monkeypatch.setenv("SEIMAI_LANG", language)
    display, file = make_display(width, is_terminal=True)
    with display:
        step = display.step("deduplicate")
        step.advance(123.4e9, 123_456_789)
        step.expect(200e9)
        step.note = "once, 171 of 180 loops"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", re.sub(r"\x1b\[[0-9]*[A-GJ]|\r", "\n", file.getvalue())).splitlines()
    assert max(map(cell_len, plain)) <= width
    assert any(line.startswith("deduplicate" if language == "en" else "重複除去") for line in plain)
