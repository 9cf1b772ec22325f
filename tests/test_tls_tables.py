"""TLS makes no difference to HTTP: each row of the table of refusals gives the same bytes over it and without it.

A part of the rows is played always, all of them where slow tests are.  The rows of static files go over TLS in
`test_static_rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from httpd import Limits
from httpd.net.tls import TlsSocket
from httpd.server.secure import over_tls
from httpd.trace.laws import check
from httpd.trace.replay import check_cuts, inbound, replay
from httpd.trace.steps import traced
from httpd.trace.tracing import Memory, Tracing

from .exchange import EOF, Exchange, StrictHandler, get
from .refusals import LIMITS, REFUSED, SMUGGLED, TAKEN, TOO_SLOW, TooSlow
from .scripted import one_by_one
from .test_refusals import Site
from .test_tls import Conversation

ROWS = {
    **{case.name: case.data for _, case in REFUSED},
    **{row.name: row.data for rows in TAKEN.values() for row in rows},
}
# Every so manieth is played always.
SAMPLE = 7


def some(names: list[str]) -> Any:
    """A parameter for the rows of these names."""
    marks = [[] if number % SAMPLE == 0 else [pytest.mark.slow] for number in range(len(names))]
    return [pytest.param(name, marks=mark) for name, mark in zip(names, marks, strict=True)]


@pytest.mark.parametrize("name", some(list(ROWS)))
def test_each_row_is_answered_alike(name: str) -> None:
    """In one record and in many, of which the network makes what it likes."""
    data = get() + ROWS[name] + SMUGGLED
    plain_site = Site()
    plain = Exchange([data], plain_site, limits=LIMITS)
    for pieces, cut in (([data], one_by_one), (one_by_one(data), lambda data: [data])):
        site = Site()
        talk = Conversation(site, limits=LIMITS, cut=cut).say(*pieces)
        assert talk.heard == plain.output
        assert (site.asked, talk.log.entries) == (plain_site.asked, plain.log.entries)
        assert talk.told_end is (plain.said_end or plain.closed)
        assert talk.feed(EOF).closed
        assert not talk.reset


@pytest.mark.parametrize("row", TOO_SLOW, ids=lambda row: row.name)
def test_what_comes_too_slowly(row: TooSlow) -> None:
    plain = Exchange([row.data] if row.data else [], Site(), limits=LIMITS).wait(120)
    talk = Conversation(Site(), limits=LIMITS)
    talk.say(*[row.data] * bool(row.data)).wait(120)
    talk.hear()
    assert (talk.heard, talk.closed, talk.reset) == (plain.output, True, plain.reset)
    assert talk.told_end


@pytest.mark.parametrize("name", list(ROWS)[::SAMPLE])
def test_what_is_recorded_obeys_the_laws(name: str) -> None:
    traces = Memory()
    handler_class: Any = over_tls(traced(StrictHandler, Tracing(traces).begin))
    site: Callable[..., Any] = Site()
    talk = Conversation(site, limits=LIMITS, handler_class=handler_class).say(ROWS[name] + SMUGGLED)
    assert talk.feed(EOF).closed
    [trace] = traces.traces
    assert check(trace.events) == []
    assert replay(trace)[1] == []
    cut = one_by_one(inbound(trace.events))
    assert [wrong for _, broken in check_cuts(trace, [cut]) for wrong in broken] == []


def test_the_limit_on_a_piece_is_that_of_plain_bytes() -> None:
    sizes = []

    class Sizes(StrictHandler):
        def recv(self, buffer_size: int) -> bytes:
            data = super().recv(buffer_size)
            sizes.append(len(data))
            return data

    handler_class: Any = over_tls(Sizes)
    limits = Limits(piece=700)
    talk = Conversation(limits=limits, handler_class=handler_class)
    assert isinstance(talk.handler.socket, TlsSocket)
    talk.say(get() * 200)
    assert len(talk.answers()) == 200
    assert max(sizes) == 700
