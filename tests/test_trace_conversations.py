"""The seven laws, held to conversations that nobody wrote; `python -m tests.trace_conversations N` has more."""

from __future__ import annotations

import random
from collections import Counter

from httpd.trace.events import Eof

from .conversations import received
from .strategies import examples
from .trace_conversations import LIMITS, Tally, broken_laws, hold


def test_every_law_holds_for_conversations_that_nobody_wrote() -> None:
    number = examples(150)
    assert hold(number, random.randrange(1_000_000))["conversations"] >= number


def test_an_end_behind_work_is_not_passed_over() -> None:
    """More than one read takes, and the rest of it asks for work again before the client's end can be read."""
    asked = b"POST /asked HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
    between = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + b"X: y\r\n" * 8 + b"\r\n"
    data = asked + between + between + asked
    assert LIMITS.piece < len(data) < LIMITS.piece + len(asked)
    tally: Tally = Counter()
    assert broken_laws(data, [*received(data), Eof(len(data))], tally) == []
    assert tally["answers"] == 4
