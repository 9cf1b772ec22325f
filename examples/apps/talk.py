"""A chat of lines on bare async_chat: no HTTP, one loop, a terminator, and a queue for each who is there.

python examples/apps/talk.py         then, in other terminals: nc 127.0.0.1 8023

What you type goes to all the others; /me NAME says who you are, /who tells who is there, /quit leaves.
"""

from __future__ import annotations

import socket
import sys

from httpd import asyncore
from httpd.net.limited import LimitedChat


class Talker(LimitedChat):
    """One who is there.  A line ends with LF, and a CR before it does not count."""

    stops_when_closing = True
    # What has no end yet, and what is not taken, is held in memory.
    most_before_terminator = 1_000
    most_queued = 100_000

    def __init__(self, sock: socket.socket, room: Room) -> None:
        super().__init__(sock, room.map)
        self.room = room
        self.name = f"guest {room.guests}"
        self.set_terminator(b"\n")
        self.say(f"You are {self.name}. Type a line, /me NAME, /who or /quit.")
        room.tell(f"{self.name} comes in.", self)

    def say(self, line: str) -> None:
        """Queue a line for this one."""
        self.push(line.encode() + b"\r\n")

    def collect_incoming_data(self, data: bytes) -> None:
        """A part of a line."""
        self.incoming.append(data)

    def found_terminator(self) -> None:
        """A line is whole."""
        line = b"".join(self.incoming).decode("utf-8", "replace").strip()
        self.incoming.clear()
        # What a terminal would take for a command is no text.
        line = "".join(letter for letter in line if letter.isprintable())
        if line.startswith("/me ") and line[4:].strip():
            before, self.name = self.name, line[4:].strip()[:40]
            self.room.tell(f"{before} is {self.name} now.")
        elif line == "/who":
            self.say(", ".join(talker.name for talker in self.room.talkers()))
        elif line == "/quit":
            self.say("Farewell.")
            self.close_when_done()
        elif line:
            self.room.tell(f"{self.name}: {line}", self)

    def over_limit(self, why: str) -> None:
        """Who sends a line without an end, or takes nothing, is let go."""
        self.say(f"Farewell: {why}.")
        super().over_limit(why)

    def handle_close(self) -> None:
        """The connection is gone, or all is sent."""
        self.close()

    def close(self) -> None:
        """Leave, once."""
        if self.connected:
            super().close()
            self.room.tell(f"{self.name} has gone.")


class Room(asyncore.dispatcher):
    """Where all meet, and the door to it."""

    def __init__(self, host: str, port: int) -> None:
        self.map: dict[int, asyncore.dispatcher] = {}
        super().__init__(map=self.map)
        self.guests = 0
        self.create_socket()
        self.set_reuse_addr()
        self.bind((host, port))
        self.listen(64)
        self.port = self.socket.getsockname()[1]

    def handle_accepted(self, sock: socket.socket, addr: object) -> None:
        """Somebody comes in."""
        self.guests += 1
        Talker(sock, self)

    def talkers(self) -> list[Talker]:
        """Who is there."""
        return [channel for channel in self.map.values() if isinstance(channel, Talker)]

    def tell(self, line: str, but: Talker | None = None) -> None:
        """Say a line to everybody, `but` for one."""
        for talker in self.talkers():
            if talker is not but:
                talker.say(line)


if __name__ == "__main__":
    room = Room("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8023)
    print(f"talk at 127.0.0.1:{room.port} (Ctrl-C stops)", flush=True)
    try:
        asyncore.loop(map=room.map)
    except KeyboardInterrupt:
        pass
