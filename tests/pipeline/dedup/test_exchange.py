"""Every receiver gets what every sender had for it, in order, through any number of passes; no task opens many files; damage is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import BuildError
from pipeline.dedup import exchange as module
from pipeline.dedup.exchange import Exchange, SectionFile

ROW = np.dtype([("sender", np.int32), ("receiver", np.int32), ("number", np.int16)])


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """Send rows through an exchange; return them by receiver, and the most files that one task opened."""

    def run(senders, receivers, fan_in, blocks, seed):
        folder, opened = tmp_path_factory.mktemp("exchange"), []
        original = SectionFile.read

        def read(self, first, stop):
            opened[-1].add(self.path)
            return original(self, first, stop)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "FAN_IN", fan_in)
            patch.setattr(SectionFile, "read", read)
            exchange = Exchange(folder, "x", senders, receivers, blocks)
            drawn = np.random.default_rng(seed)
            sent = []
            for sender in range(senders):
                rows = np.zeros(drawn.integers(0, 9), ROW)
                rows["sender"], rows["number"] = sender, np.arange(len(rows))
                rows["receiver"] = drawn.integers(0, receivers, len(rows))
                exchange.send(sender, rows, rows["receiver"].astype(np.int64))
                sent.append(rows)
            for tasks in exchange.passes():
                for function, arguments in tasks:
                    opened.append(set())
                    function(*arguments)
            received = []
            for receiver in range(receivers):
                opened.append(set())
                received.append(np.concatenate([np.empty(0, ROW), *exchange.receive_rows(receiver, ROW)]))
                assert exchange.size(receiver) == received[-1].nbytes
            exchange.remove()
            assert not list(folder.glob("*.bin"))
        return np.concatenate(sent), received, max(map(len, opened))

    return run


@given(st.integers(1, 40), st.integers(1, 30), st.integers(2, 5), st.none() | st.integers(2, 5), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_all_that_was_sent_is_received_in_order(exchanged, senders, receivers, fan_in, blocks, seed):
    sent, received, files = exchanged(senders, receivers, fan_in, blocks, seed)
    for receiver, rows in enumerate(received):
        assert rows.tolist() == sent[sent["receiver"] == receiver].tolist()
    assert files <= fan_in


def test_few_senders_need_no_pass(tmp_path):
    assert not list(Exchange(tmp_path, "x", module.FAN_IN, 1000).passes())
    many = 10 * module.FAN_IN
    assert [len(tasks) for tasks in Exchange(tmp_path, "x", many, 1000).passes()] == [many]
    assert [len(tasks) for tasks in Exchange(tmp_path, "x", many, 1000, 5).passes()] == [10 * 5]


def test_damage_is_noticed(tmp_path):
    file = SectionFile(tmp_path / "x.bin")
    file.write(5, np.array([3, 0, 4]), [b"abc", b"defg"])
    assert [bytes(file.read(5 + k, 6 + k)[0]) for k in range(3)] == [b"abc", b"", b"defg"]
    body, starts = file.read(5, 8)
    assert bytes(body) == b"abcdefg" and starts.tolist() == [0, 3, 3, 7]
    whole = file.path.read_bytes()
    for content in [whole[:size] for size in range(len(whole))] + [whole + b"h", whole[::-1]]:
        file.path.write_bytes(content)
        for read in (lambda: file.read(5, 6), lambda: file.size(6)):
            with pytest.raises(BuildError, match=r"x\.bin is damaged"):
                read()
    file.path.write_bytes(whole)
    with pytest.raises(BuildError, match="damaged"):
        file.read(8, 9)


def test_what_is_written_is_as_long_as_it_was_said_to_be(tmp_path):
    with pytest.raises(ValueError, match="2 bytes for sections of 3"):
        SectionFile(tmp_path / "x.bin").write(0, np.array([3]), [b"ab"])
    assert not list(tmp_path.iterdir())
