"""What a request is called in the logs, so that its lines are found again.

A proxy that has named a request already is believed, if it is one of those that are listed and the name is well-formed;
anybody else could give names that are those of others.  Ours are made only where they are asked for, from a random
beginning of this process and a number: no two processes and no two starts have the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

from ..protocol.grammar import late
from ..protocol.message import Head

__all__ = ["RequestIds"]

# What the usual makers of such names use; nothing that a log would have to escape.
_WELL_FORMED = late(r"[A-Za-z0-9._:+/=@-]{1,128}")


class RequestIds:
    """Names requests.  `believes(peer)` says whether the name is taken that comes from a peer of that address."""

    def __init__(self, believes: Callable[[str], bool] = lambda peer: False) -> None:
        self.believes = believes
        self._process = -1
        self._beginning = ""
        self._numbers = count(1)

    def name(self, head: Head | str, peer: str) -> str:
        """The name of a request, of which a head is known, or a request-line at the most."""
        if isinstance(head, Head) and "x-request-id" in head.headers and self.believes(peer):
            given = head.headers["x-request-id"]
            if _WELL_FORMED.fullmatch(given):
                return given
        return self._made()

    def _made(self) -> str:
        if self._process != os.getpid():
            # Another one since a fork.
            self._process, self._beginning, self._numbers = os.getpid(), os.urandom(6).hex(), count(1)
        return f"{self._beginning}{next(self._numbers):08x}"
