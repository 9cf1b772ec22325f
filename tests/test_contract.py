"""What programs rely on, beyond the documentation, in the asyncore and asynchat of Python 3.11.

Every test here runs against a pair of modules, ours.  The last test runs this file once more against the pair that
Python 3.11 ships (see `reference`), where every one of them must pass as well: so none of them asks for what the old
modules never did.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .reference import chat, modules, on_the_modules_of_3_11
from .scripted import ScriptedSocket, cut_at, play


@pytest.fixture
def net() -> Iterator[Any]:
    """The pair of modules under test: `.asyncore`, `.asynchat`."""
    with modules() as pair:
        yield pair


# ---- a terminator that counts


def test_a_get_terminator_that_always_says_the_same_number(net: Any) -> None:
    channel = chat(net, get_terminator=lambda self: 4)(ScriptedSocket([b"abcdefghij"]), {})
    play(channel)
    assert channel.lines == [b"abcd", b"efgh"]
    assert channel.heard == [b"ij"]


@pytest.mark.parametrize("places", [[], [3], [4], [2, 6], range(1, 10)], ids=str)
def test_a_get_terminator_that_counts_itself(net: Any, places: Any) -> None:
    class Fours(chat(net)):  # type: ignore[misc]
        def get_terminator(self) -> int:
            return 4 - sum(map(len, self.heard))

    # 3.11 counts in `terminator` too, whoever is asked.
    channel = Fours(ScriptedSocket(cut_at(b"abcdefghij", places)), {})
    channel.set_terminator(4)
    play(channel)
    assert channel.lines == [b"abcd", b"efgh"]
    assert b"".join(channel.heard) == b"ij"


def test_a_terminator_set_while_the_last_counted_bytes_are_collected(net: Any) -> None:
    class Changes(chat(net)):  # type: ignore[misc]
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            self.set_terminator(b"\n")

        def found_terminator(self) -> None:
            super().found_terminator()
            self.set_terminator(b"\n")

    channel = Changes(ScriptedSocket([b"abcde\nfg\n"]), {})
    channel.set_terminator(3)
    play(channel)
    assert channel.lines == [b"abc", b"de", b"fg"]


def test_the_same_number_set_while_its_bytes_are_collected_is_used_up(net: Any) -> None:
    class Again(chat(net)):  # type: ignore[misc]
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            self.set_terminator(300)

    channel = Again(ScriptedSocket([b"x" * 300]), {})
    channel.set_terminator(300)
    play(channel)
    assert channel.lines == [b"x" * 300]
    assert channel.get_terminator() == 0


# ---- that these tests test something


@pytest.mark.slow
def test_every_one_of_these_passes_on_the_modules_of_python_3_11(tmp_path: Path) -> None:
    outcomes = on_the_modules_of_3_11(__file__, "not every_one_of_these", tmp_path)
    assert outcomes
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "passed"} == {}
