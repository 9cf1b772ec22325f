"""What has changed, as pages are told: by Server-Sent Events over an answer that ends with its connection.

The *state* is three words: when the server began, the number of the last change that needs a reload, and the number of
the last one of style sheets alone.  A page carries the number of the last change before it was made, and compares.  So
an event that nobody heard is not lost: the next state says as much, and every stream begins with the present one.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from ..protocol.message import Response
from ..site.events import Listeners, event, event_stream

__all__ = ["Events"]

# How many streams one address may hold.  A browser makes six connections to a server at the most, and over plain http
# from afar its tabs cannot agree on one listener: those that find no room ask again after a while.
_MOST_STREAMS = 4
_AGAIN_SECONDS = 1.0


class Events:
    """The changes since the beginning, and who is told of them.  For the loop's own thread."""

    def __init__(self) -> None:
        # Another server at the same address has another beginning: its pages may be others.
        self._began = f"{time.time_ns():x}"
        self._changes = self._pages = self._styles = 0
        self.listeners = Listeners()

    @property
    def version(self) -> str:
        """What a page made now carries: the beginning and the number of changes."""
        return f"{self._began}.{self._changes}"

    @property
    def state(self) -> str:
        """The beginning, and the numbers of the last change to pages and of the last one to style sheets alone."""
        return f"{self._began} {self._pages} {self._styles}"

    def changed(self, paths: Collection[str]) -> None:
        """Tell that these files were made, written to or removed."""
        self._changes += 1
        if all(path.endswith(".css") for path in paths):
            self._styles = self._changes
        else:
            self._pages = self._changes
        self.listeners.tell(event(self.state))

    def response(self, peer: str) -> Response:
        """The stream for one who asks: the state now, and whenever it changes."""
        message = event(self.state, retry=_AGAIN_SECONDS)
        if self.listeners.held_by(peer) >= _MOST_STREAMS:
            return event_stream(message)
        return self.listeners.response(message, peer)
