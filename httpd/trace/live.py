"""Recording a server's connections while it runs: onto the terminal, or into a folder."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..net.timers import Timers
from ..server.server import Server
from .events import Event, TraceHead
from .ring import Ring
from .terminal import LIVE, Screen
from .tracing import Tracing

__all__ = ["into_folder", "onto_terminal"]


def into_folder(server: Server, folder: str | os.PathLike[str]) -> Tracing:
    """Keep the newest connections in a folder, which is made if it is not there.  Raises OSError."""
    tracing = Tracing(Ring(folder, server.timers))
    tracing.attach(server)
    return tracing


def onto_terminal(server: Server) -> Tracing:
    """Show every event on standard output, each line with its connection's number."""
    tracing = Tracing(_Shown(Screen(widths=LIVE), server.timers))
    tracing.attach(server)
    return tracing


class _Shown:
    """A sink that shows events as they come, and shows nothing more once nobody reads."""

    def __init__(self, screen: Screen, timers: Timers) -> None:
        self._screen = screen
        self._timers = timers
        self._begun = self._waits = self._ended = False

    def __call__(self, head: TraceHead) -> Callable[[Event], None]:
        return lambda event: self._show(event, head.connection)

    def _show(self, event: Event, connection: int) -> None:
        if self._ended:
            return
        try:
            if not self._begun:
                self._begun = True
                self._screen.columns()
            self._screen.event(event, connection)
        except (OSError, ValueError):
            self._ended = True
        if not self._waits:
            self._waits = True
            self._timers.call_soon(self._flush)

    def _flush(self) -> None:
        self._waits = False
        try:
            self._screen.stream.flush()
        except (OSError, ValueError):
            self._ended = True
