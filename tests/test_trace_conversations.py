"""The seven laws, held to conversations that nobody wrote; `python -m tests.trace_conversations N` has more."""

from __future__ import annotations

import random

from .trace_conversations import hold


def test_every_law_holds_for_conversations_that_nobody_wrote() -> None:
    tally = hold(150, random.randrange(1_000_000))
    assert tally["conversations"] >= 150
