"""What can be wrong with a store, as the answer that a client gets for it.

Nothing of this is the client's fault, and all of it passes: 503, and when to come again.
"""

from __future__ import annotations

from ..protocol.errors import HTTPError

__all__ = ["Again", "Full", "Unavailable"]

# When a client may come again, in seconds: faults are mended by people or by a restart; a crowd is gone soon.
_AFTER_A_FAULT = "5"
_AFTER_A_CROWD = "1"


class Unavailable(HTTPError):
    """The store cannot be read or written now: no room on the disk, no right, no connection, somebody else's lock.

    `reason` is a sentence for the operator; the client is told less.
    """

    retry_after = _AFTER_A_FAULT

    def __init__(self, reason: str) -> None:
        detail = "What is kept here cannot be reached at the moment. Please try again soon."
        super().__init__(503, detail, [("Retry-After", self.retry_after)])
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Again(Unavailable):
    """Of the transaction nothing was kept, and it may go well at once, by a new connection."""


class Full(Unavailable):
    """More work waits than may."""

    retry_after = _AFTER_A_CROWD
