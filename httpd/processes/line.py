"""The line between the parent and a worker: a word each way, perhaps with a text, and its end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ..net.asynchat import async_chat

__all__ = ["ALIVE", "ASK", "FAILED", "LEAVING", "READY", "SAYS", "Line"]

# What a worker tells its parent: that it listens (and where), why it cannot start, that its loop has come round, that
# it makes way, and sentences for the operator.
READY, FAILED, ALIVE, LEAVING, SAYS = "ready", "failed", "alive", "leaving", "says"
# What the parent asks: whether the worker's loop still comes round.
ASK = "ask"
# A worker runs the site's code, so the parent, who may be root, believes no length of it.
_LONGEST = 8_192


class Line(async_chat):
    """One end of the line.  `heard(word, text)` takes what the other end says, `lost()` is called at its end."""

    def __init__(
        self, sock: socket.socket, map: dict[int, Any], heard: Callable[[str, str], None], lost: Callable[[], None]
    ) -> None:
        self._heard = heard
        self._lost = lost
        super().__init__(sock, map)
        self.set_terminator(b"\n")

    def say(self, word: str, text: str = "") -> None:
        """Say a word to the other end."""
        self.push(f"{word} {plain(text)}\n".encode())

    def collect_incoming_data(self, data: bytes) -> None:
        self._collect_incoming_data(data)
        if sum(map(len, self.incoming)) > _LONGEST:
            self.handle_close()

    def found_terminator(self) -> None:
        word, _, text = self._get_data().decode("utf-8", "replace").partition(" ")
        self._heard(word, plain(text))

    def handle_close(self) -> None:
        self.close()
        self._lost()


def plain(text: str) -> str:
    """One line of it that drives no terminal."""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST]
