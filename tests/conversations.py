"""Conversations for the trace: what a client sends and takes, as the inputs of a channel, and what came of it.

    played = conversation([*pieces(b"GET / HTTP/1.1\\r\\n", b"Host: a\\r\\n\\r\\n"), Eof(37)], site)
    assert hold(played.trace, site) == []
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from httpd import Request, Response, text
from httpd.protocol.errors import Later
from httpd.server.limits import Limits
from httpd.server.service import Site
from httpd.trace.events import Accepted, Eof, Event, Received, Trace, TraceHead
from httpd.trace.laws import Broken, check
from httpd.trace.replay import Played, check_cuts, cut, every_cut, inbound, one_by_one, play, replay

__all__ = ["BEGAN", "conversation", "ended", "head", "hold", "hold_live", "postponed", "received"]

# The example date of RFC 9110 §5.6.7, in the middle of its second.
BEGAN = "1994-11-06T08:49:37.500Z"


def head(limits: Limits | None = None, *, title: str = "", sendfile: bool = False, data_limit: int = 4096) -> TraceHead:
    """The first line of a trace made here."""
    return TraceHead(
        title=title,
        connection=1,
        peer="192.0.2.1:4711",
        local="192.0.2.2:80",
        began=BEGAN,
        server="httpd",
        headers=(),
        settings={"piece": 16_384, "out_buffer": 65_536, "allowance": 1 << 21, "sendfile": int(sendfile)},
        limits=(limits or Limits())._asdict(),
        data_limit=data_limit,
        redacted=("cookie", "authorization", "proxy-authorization", "set-cookie"),
    )


def received(*pieces: bytes) -> list[Any]:
    """Pieces as they come."""
    inputs, at = [], 0
    for piece in pieces:
        inputs.append(Received(at, len(piece), piece.decode("latin-1"), 0))
        at += len(piece)
    return inputs


def ended(*pieces: bytes) -> list[Any]:
    """Pieces, and the peer's end."""
    return [*received(*pieces), Eof(sum(map(len, pieces)))]


def postponed() -> Callable[[Request], Response]:
    """A handler whose work is done beside the loop: the same request comes again when it is done."""
    worked: set[int] = set()

    def later(request: Request) -> Response:
        if id(request) not in worked:
            raise Later(lambda: worked.add(id(request)))
        worked.remove(id(request))
        return text("done")

    return later


def conversation(inputs: Sequence[Any], site: Site, of: TraceHead | None = None, **more: Any) -> Played:
    """What comes of these inputs: each in a turn of its own, a millisecond after the other."""
    whats = [Accepted("192.0.2.1:4711", 7), *inputs]
    events = [Event(n, float(n), n + 1, what) for n, what in enumerate(whats)]
    return play(Trace(of or head(), events[:1]), events, site, follow=False, **more)


def hold(trace: Trace, site: Site | None, cuttings: Iterable[Sequence[bytes]] | None = None) -> list[Broken]:
    """The laws that do not hold for a trace, nor for its bytes cut elsewhere: at every place, and byte by byte."""
    broken = check(trace.events) + replay(trace, site)[1]
    data = inbound(trace.events)
    if cuttings is None:
        cuttings = [*(pieces for _, pieces in every_cut(data)), one_by_one(data)]
    for played, more in check_cuts(trace, cuttings, site):
        broken += more + replay(played.trace, site)[1]
    return broken


def hold_live(traces: Iterable[Trace], most_cuts: int = 8) -> list[tuple[int, Broken]]:
    """(connection, law) for the laws that recorded connections break: as they were, and cut at some places."""
    broken = []
    for trace in traces:
        data = inbound(trace.events)
        step = max(1, len(data) // most_cuts)
        places = range(step, len(data), step) if len(data) < 100_000 else ()
        found = check(trace.events) + replay(trace)[1]
        for _, more in check_cuts(trace, [cut(data, [place]) for place in places]) if places else ():
            found += more
        broken += [(trace.head.connection, one) for one in found]
    return broken
