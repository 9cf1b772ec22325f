"""async_chat: its messages are those of the simplest reader there is, and what is pushed arrives as it was pushed."""

from __future__ import annotations

import itertools
from typing import Any

from httpd.net import asynchat
from httpd.net.channel_map import ChannelMap
from httpd.net.producers import bytes_producer

from ..scripted import BLOCKS, ScriptedSocket, play
from .recipe import read_recipe

__all__ = ["WORDS", "one_input"]

WORDS = [b"\r\n", b"\r\n\r\n", b"\r\n\r", b"abab", b"aba", b"\x01a", b"\x02\r\n", b"\x03aab", b"\xf5", b"\x83"]

Terminator = bytes | int | None
_channels = ChannelMap()


def one_input(data: bytes) -> None:
    """After the recipe: a byte, how many terminators follow; these (see `read_terminators`); the stream."""
    flags, cuts, rest = recipe = read_recipe(data)
    terminators, stream = read_terminators(rest)
    pieces: list[Any] = recipe._replace(stream=stream).pieces
    takes = [BLOCKS if cut % 7 == 0 else cut % 7 for cut in cuts] if flags & 1 else []
    channel = Chat(ScriptedSocket(pieces, takes), terminators, flags)
    play(channel)
    while channel._ac_paused:
        channel.resume_input()
        play(channel)
    messages, left = model(stream, terminators)
    assert channel.messages == messages
    assert b"".join(channel.collected) == left
    assert bytes(channel.socket.sent) == b"".join(map(echo, messages))
    channel.close()
    assert not _channels


def read_terminators(data: bytes) -> tuple[list[Terminator], bytes]:
    """The terminators, used in turn, and what follows them.

    Each begins with a byte: up to 8, so many bytes follow, the terminator; from 128 on, a number less 128; else None.
    """
    terminators: list[Terminator] = []
    count, data = (data[0] % 4 + 1, data[1:]) if data else (1, b"")
    for _ in range(count):
        first, data = (data[0], data[1:]) if data else (9, b"")
        if first <= 8:
            terminators.append(data[:first])
            data = data[first:]
        else:
            terminators.append(first - 128 if first >= 128 else None)
    return terminators, data


def model(stream: bytes, terminators: list[Terminator]) -> tuple[list[bytes], bytes]:
    """The messages, and what was collected of the next one: a byte at a time, looking at its end each time."""
    turn = itertools.cycle(terminators)
    terminator = next(turn)
    messages = []
    held = b""
    for byte in stream:
        held += bytes([byte])
        if isinstance(terminator, bytes) and terminator and held.endswith(terminator):
            messages.append(held.removesuffix(terminator))
        elif isinstance(terminator, int) and len(held) == terminator:
            messages.append(held)
        else:
            continue
        held = b""
        terminator = next(turn)
    if not isinstance(terminator, bytes):
        return messages, held
    begun = max((size for size in range(len(terminator)) if held.endswith(terminator[:size])), default=0)
    return messages, held[: len(held) - begun]


def echo(message: bytes) -> bytes:
    return b"[" + message + b"]"


class Chat(asynchat.async_chat):
    """Keeps its messages, sends each back in one way or another, and may pause its input after each."""

    def __init__(self, sock: Any, terminators: list[Terminator], flags: int) -> None:
        super().__init__(sock, _channels)
        self.ac_in_buffer_size = 3 if flags & 2 else 4096
        self.pauses = bool(flags & 4)
        self.turn = itertools.cycle(terminators)
        self.collected: list[bytes] = []
        self.messages: list[bytes] = []
        self.set_terminator(next(self.turn))

    def collect_incoming_data(self, data: bytes) -> None:
        assert data
        self.collected.append(data)

    def found_terminator(self) -> None:
        message = b"".join(self.collected)
        self.collected.clear()
        self.messages.append(message)
        self.set_terminator(next(self.turn))
        self.send_back(message)
        if self.pauses:
            self.pause_input()

    def send_back(self, message: bytes) -> None:
        way = len(self.messages) % 3
        self.push(b"[")
        if way == 0:
            self.push(bytearray(message))
        elif way == 1:
            self.push_with_producer(bytes_producer(message))
        else:
            self.push_with_producer(asynchat.simple_producer(message, 2))
        self.push(b"]")

    def handle_error(self) -> None:
        raise  # noqa: PLE0704
