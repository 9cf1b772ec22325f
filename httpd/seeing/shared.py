"""The rows of all processes of a server, whichever of them is asked.

Whoever shows a view says on the board that somebody looks at it.  Once a second each process sees what the others look
at, and tells them its own first rows of that: theirs are up to a second older than ours.  While nobody looks, nobody
tells anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from heapq import nlargest
from operator import itemgetter

from .channels import ORDERS, Row, View, rows_of
from .pulse import Pulse
from .tallies import PLACES, STATES

__all__ = ["MOST_ROWS", "SharedRows"]

# How many channels are shown; there may be thousands, and those that do something come first.
MOST_ROWS = 200
# So many views are told at a time: as many as one process has lookers.
_MOST_VIEWS = 8
# For how long somebody looks who has, and for how long what was told is true, in seconds: both are done once a second.
_HOLDS = 3.0
# In so many seconds everybody has told what somebody begins to look at.
_ALL_HAVE_TOLD = 1.2

_LOOKED = {View(state, order): PLACES["looked", state, order] for state in ("", *STATES) for order in ORDERS}


class SharedRows:
    """The rows of all processes, and our part in those of the others."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._board = pulse.tallies.board
        self._timers = pulse.server.timers
        self._timers.call_later(1.0, self._tell)

    def of(self, view: View) -> list[Row]:
        """The first rows of a view."""
        self._look(view)
        rows = self._own(view)
        for told in self._told(view):
            rows += told or ()
        return nlargest(MOST_ROWS, rows, key=itemgetter(0))

    def lacks(self, view: View) -> bool:
        """Whether others have rows of a view that they have not told yet."""
        return None in self._told(view)

    def gather(self, view: View, done: Callable[[None, None], object]) -> None:
        """Have the others tell their rows of a view; `done(None, None)` is called when they had the time."""
        self._look(view)
        self._timers.call_later(_ALL_HAVE_TOLD, done, None, None)

    def _look(self, view: View) -> None:
        self._pulse.tallies.slot[_LOOKED[view]] = time.monotonic()

    def _own(self, view: View) -> list[Row]:
        return rows_of(self._pulse.channels(), self._timers.clock(), MOST_ROWS, view)

    def _told(self, view: View) -> list[list[Row] | None]:
        """The rows of each of the others, None of one that has told none of this view lately."""
        return [_read(text, view) for text in self._board.told()]

    def _tell(self) -> None:
        views = [[*view, self._own(view)] for view in self._wanted()[:_MOST_VIEWS]]
        if views:
            self._board.tell(json.dumps([time.monotonic(), views], ensure_ascii=False).encode())
        self._timers.call_later(1.0, self._tell)

    def _wanted(self) -> list[View]:
        """What others look at, what somebody has looked at last before all else."""
        slots = [slot for _, slot in self._board.others()]
        seen = {view: max((slot[at] for slot in slots), default=0.0) for view, at in _LOOKED.items()}
        since = time.monotonic() - _HOLDS
        return sorted((view for view in seen if seen[view] > since), key=seen.__getitem__, reverse=True)


def _read(text: bytes, wanted: View) -> list[Row] | None:
    told_at, views = json.loads(text) if text else (0.0, ())
    if time.monotonic() - told_at > _HOLDS:
        return None
    return next((list(map(Row._make, rows)) for *view, rows in views if View(*view) == wanted), None)
