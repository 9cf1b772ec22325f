"""The status page: how the server is, every worker, every live channel of any of them and what it waits for.

One template makes the part that changes; the page has it as it is when it is asked for, and then, where scripts run,
anew every second.  It is made only while somebody looks on, once for all who look at the same.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

from .. import __version__
from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..resources import folder
from ..site.blocking import promised
from ..site.entries import readable_size
from ..site.events import Listeners, event
from ..site.router import Router
from ..site.static import StaticFiles
from ..site.templates import bundled
from .channels import ORDERS, View
from .plots import areas, lines
from .pulse import Pulse, Second
from .shared import MOST_ROWS, SharedRows
from .tallies import CLASSES, PLACES, STATES

__all__ = ["Status", "add_status"]

# How many may look on at once.
MOST_STREAMS = 8
# The time at the bottom of its plot, in seconds.
_SHORTEST = 0.0001


def add_status(site: Router, base: str, pulse: Pulse) -> None:
    """Have the page at a path, the root unless it is given, and below it what belongs to it."""
    status = Status(base, pulse)

    @site.get(base or "/")
    def page(request: Request) -> Response:
        view = _view(request)
        if status.rows.lacks(view):
            promised(request, partial(status.rows.gather, view))
        return status.page(view)

    @site.get(f"{base}/live")
    def live(request: Request) -> Response:
        return status.stream(_view(request))

    site.mount(f"{base}/status-page", StaticFiles(os.path.join(folder("static"), "status"), listing=False))


def _view(request: Request) -> View:
    state, order = request.args.get("state", ""), request.args.get("order", "busy")
    if state not in ("", *STATES) or order not in ORDERS:
        raise HTTPError(404, "There is no such state or order.")
    return View(state, order)


class Status:
    """The status page of one server, at `base`."""

    def __init__(self, base: str, pulse: Pulse) -> None:
        self._base = base
        self._pulse = pulse
        self.rows = SharedRows(pulse)
        self._listeners: dict[View, Listeners] = {}
        self._telling = False

    def page(self, view: View) -> Response:
        """The whole page."""
        server = self._pulse.server
        listens = ", ".join(server.urls)
        return bundled().response(
            "status/page.html", base=self._base, view=view, live=self._live(view), listens=listens, states=STATES
        )

    def stream(self, view: View) -> Response:
        """The part that changes, every second.  Raises HTTPError 503."""
        if sum(map(len, self._listeners.values())) >= MOST_STREAMS:
            raise HTTPError(503, "Too many pages look on; close one.", [("Retry-After", "5")])
        if not self._telling:
            self._telling = True
            self._pulse.server.timers.call_later(1.0, self._tell)
        return self._listeners.setdefault(view, Listeners()).response("retry: 1000\n\n")

    def _tell(self) -> None:
        for view, listeners in list(self._listeners.items()):
            if len(listeners):
                listeners.tell(event(self._live(view)))
            else:
                del self._listeners[view]
        self._telling = bool(self._listeners)
        if self._telling:
            self._pulse.server.timers.call_later(1.0, self._tell)

    def _live(self, view: View) -> str:
        """The part that changes, as it is now."""
        pulse = self._pulse
        pulse.write()
        workers = [_Worker(number, slot) for number, slot in pulse.tallies.board.living()]
        states = {state: sum(worker.states[state] for worker in workers) for state in STATES}
        connections = sum(states.values())
        seconds = pulse.seconds()
        return bundled().render(
            "status/live.html",
            base=self._base,
            view=view,
            at=time.strftime("%H:%M:%S"),
            version=__version__,
            workers=workers,
            own=os.getpid(),
            now=_now(seconds),
            plots=_plots(seconds),
            connections=connections,
            states=states,
            wanted=states.get(view.state, connections),
            rows=self.rows.of(view),
            most=MOST_ROWS,
            size=readable_size,
            span=readable_span,
        )


class _Worker:
    """A process's slot on the board, as a row."""

    def __init__(self, number: int, slot: Any) -> None:
        self.number = number
        self.pid = int(slot[PLACES["pid"]])
        self.age = time.time() - slot[PLACES["began"]]
        self.draining = bool(slot[PLACES["draining"]])
        self.states = {state: int(slot[PLACES["state", state]]) for state in STATES}
        self.connections = sum(self.states.values())
        self.answers = int(sum(slot[place] for name, place in PLACES.items() if name[0] == "requests"))
        self.pool = int(slot[PLACES["pool"]])
        self.lag = slot[PLACES["lag"]]
        self.processor = slot[PLACES["processor"]]
        self.memory = int(slot[PLACES["memory"]])
        self.descriptors = int(slot[PLACES["descriptors"]])


def _now(seconds: list[Second]) -> dict[str, str]:
    """The newest second, in words."""
    last = seconds[-1] if seconds else Second((0.0,) * len(CLASSES), 0.0, 0.0, 0.0)
    return {
        "answers": f"{sum(last.answers):,.0f}",
        "half": readable_span(last.half) if last.half else "–",
        "most": readable_span(last.most) if last.most else "–",
        "sent": readable_size(int(last.sent)),
    }


def _plots(seconds: list[Second]) -> list[tuple[str, str, str, str, Iterable[tuple[str, str]]]]:
    """(what it is, its top, its bottom where that is not 0, the picture, its colours' names) of each plot."""
    answers, most_answers = areas(["ok", "moved", "wrong", "failed"], [second.answers for second in seconds])
    longest = max((second.most for second in seconds), default=0.0)
    took, _ = lines(["half", "most"], [(_height(second.half), _height(second.most)) for second in seconds])
    sent, most_sent = areas(["sent"], [(second.sent,) for second in seconds])
    kinds = [("ok", "2xx"), ("moved", "3xx"), ("wrong", "4xx"), ("failed", "5xx")]
    return [
        ("Answers a second", f"{most_answers:,.0f}", "", answers, kinds),
        (
            "Time an answer takes",
            readable_span(longest),
            readable_span(_SHORTEST) if longest else "",
            took,
            [("half", "half of them"), ("most", "99 %")],
        ),
        ("Content sent a second", readable_size(int(most_sent)), "", sent, []),
    ]


def _height(seconds: float) -> float:
    """Where a time stands whose plot is logarithmic: one slow answer must not hide what the others do."""
    return math.log10(max(seconds, _SHORTEST) / _SHORTEST)


_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def readable_span(seconds: float) -> str:
    """A time as a person says it, two units of it at the most: 350 µs, 12 ms, 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 0.9995:
        return f"{seconds * 1e6:.0f} µs" if seconds < 0.000995 else f"{seconds * 1e3:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    told, left = [], round(seconds)
    for unit, name in _UNITS:
        number, left = divmod(left, int(unit))
        if number:
            told.append(f"{number} {name}")
    return " ".join(islice(told, 2))
