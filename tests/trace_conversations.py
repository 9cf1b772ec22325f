"""Conversations that nobody wrote: requests good and bad, cut anywhere, taken as slowly as one likes.

    python -m tests.trace_conversations 10000      # as many as that, each held to all seven laws, on all cores

They are others each time; a second number repeats those that began with it.  `tests/test_trace_conversations.py` has
fewer of them in the ordinary suite.
"""

from __future__ import annotations

import logging
import math
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from errno import ECONNRESET
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from httpd import HTTPError, Request, Response, Router, text
from httpd.protocol.errors import Later
from httpd.server.limits import Limits
from httpd.server.service import Site
from httpd.site.wrapping import Around
from httpd.trace.events import Blocked, Eof, Event, Failed, Received, Refused, Responded, Sent, TimedOut, Told
from httpd.trace.laws import Broken, check
from httpd.trace.replay import check_cuts, inbound, one_by_one, replay

from .conversations import conversation, head, postponed, received
from .exchange import Given, get, post
from .refusals import REFUSED
from .strategies import heads, mutated, pieces, requests

__all__ = ["Tally", "conversations", "generated", "hold"]

# What one process holds at a time.
PART = 250

LIMITS = Limits(request_line=200, head=800, fields=12, body=400, piece=300)

_REFUSED = st.sampled_from([case.data for _, case in REFUSED])
_KNOWN = st.sampled_from([
    get(), get("/stream"), get("/long"), get("/known"), get("/later"), get("/mistake"), get("/closing"),
    get(version="1.0"), get("/", "Connection: keep-alive", version="1.0"), get("/", "Connection: close"),
    get("/", method="HEAD"), get("/", method="OPTIONS"), get("/nothing"), get("/", "Cookie: secret"),
    post(b"a=b"), post(b"x" * 399, path="/long"), post(b"x" * 500), post(b"abc", "Expect: 100-continue"),
    post(b"abc", "Expect: 100-continue", path="/nothing"), b"\r\n", b"\r\n\r\n",
    post(b"abc", path="/asked"), post(b"abc", "Expect: 100-continue", path="/asked"), post(b"x" * 500, path="/asked"),
])  # fmt: skip
_MESSAGES = st.one_of(_KNOWN, _KNOWN, _KNOWN, requests().map(lambda made: made[0]), heads(), mutated(heads()), _REFUSED)


def generated() -> Site:
    """A site that answers in every way there is."""
    site = Router()
    site.get("/later")(postponed())

    @site.route("/{path:path}", ["GET", "POST"])
    def echo(request: Request, path: str) -> Response:
        return text(request.body.decode("latin-1") + path)

    @site.get("/stream")
    def stream(request: Request) -> Response:
        return Response(Given(b"a" * 300, None, b"b", None, None, b"c" * 200))

    @site.get("/known")
    def known(request: Request) -> Response:
        return Response(Given(b"ab", b"c"), length=3)

    @site.route("/long", ["GET", "POST"])
    def long(request: Request) -> Response:
        return text("0123456789" * 7_000)

    @site.get("/mistake")
    def mistake(request: Request) -> Response:
        raise ValueError("a mistake")

    @site.get("/nothing")
    def nothing(request: Request) -> Response:
        raise HTTPError(404)

    return Asking(site)


class Asking(Around):
    """A site that has to find out about content for one address, before it comes."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._worked: set[int] = set()

    def __call__(self, request: Request) -> Response:
        return self.site(request)

    def check(self, request: Request) -> Any:
        if request.path == "/asked":
            if id(request.head) not in self._worked:
                raise Later(lambda: self._worked.add(id(request.head)))
            self._worked.remove(id(request.head))
        return self.site.check(request)  # type: ignore[attr-defined]


@st.composite
def conversations(draw: DrawFn) -> tuple[bytes, list[Any]]:
    """(all that the client sends, the inputs): its pieces, with what it takes in between, and how it ends."""
    data = b"".join(draw(st.lists(_MESSAGES, min_size=1, max_size=4)))
    if draw(st.integers(0, 5)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    inputs: list[Any] = []
    for piece in received(*draw(pieces(data))) if data else []:
        inputs += [piece, *draw(_takes)]
    return data, [*inputs, *draw(_ends(len(data)))]


_takes: SearchStrategy[list[Any]] = st.lists(
    st.one_of(
        st.integers(1, 40_000).map(lambda length: Sent(0, 0, length)),
        st.just(Blocked("send")),
        st.just(Blocked("recv")),
        st.just(Told("wake")),
    ),
    max_size=3,
)


def _ends(at: int) -> SearchStrategy[list[Any]]:
    reset = os.strerror(ECONNRESET)
    return st.sampled_from([
        [Eof(at)], [Eof(at)], [Eof(at)], [TimedOut("", 0.0), Eof(at)], [Told("finish"), Eof(at)], [Told("close")],
        [Failed("recv", ECONNRESET, reset)], [Failed("send", ECONNRESET, reset)], [Failed("poll", 0, "gone")], [],
    ])  # fmt: skip


Tally = Counter[str]
"""What was seen, so that one can tell whether it was worth while."""


def counted(events: list[Event], data: bytes) -> Tally:
    """One conversation."""
    answers = sum(type(event.what) is Responded for event in events)
    refusals = sum(type(event.what) is Refused for event in events)
    return Counter(conversations=1, events=len(events), bytes=len(data), answers=answers, refusals=refusals)


def broken_laws(data: bytes, inputs: list[Any], tally: Tally) -> list[Broken]:
    """Play a conversation, as it is and byte by byte; the laws that do not hold."""
    site = generated()
    played = conversation(inputs, site, head(LIMITS))
    tally.update(counted(played.events, data))
    broken = check(played.events) + replay(played.trace, site)[1] + replay(played.trace)[1]
    # What was sent to a connection that had broken was never received.
    came = inbound(played.events)
    if not came:
        return broken
    # The cutting that came by chance, and the finest.
    chance = [event.what.data.encode("latin-1") for event in played.events if type(event.what) is Received]
    for _, more in check_cuts(played.trace, [chance, one_by_one(came)], site):
        broken += more
    return broken


def hold(number: int, first: int) -> Tally:
    """So many conversations, others for each `first`.  Raises AssertionError with the smallest that breaks a law."""
    tally: Tally = Counter()

    @seed(first)
    @settings(
        max_examples=number, derandomize=False, deadline=None, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(conversations())
    def each(made: tuple[bytes, list[Any]]) -> None:
        assert broken_laws(*made, tally) == []

    logging.disable()
    try:
        each()
    finally:
        logging.disable(logging.NOTSET)
    return tally


def main() -> None:
    """Hold as many conversations as the command line says, in parts, on all cores."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1_000_000)
    print(f"{number:,} conversations from {first} on", flush=True)
    began = time.monotonic()
    parts = math.ceil(number / PART)
    with ProcessPoolExecutor() as pool:
        tally = sum(pool.map(hold, [PART] * parts, range(first, first + parts)), Counter[str]())
    assert tally["conversations"] >= number
    told = ", ".join(f"{count:,} {what}" for what, count in tally.items())
    print(f"{told}: every law holds.  {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
