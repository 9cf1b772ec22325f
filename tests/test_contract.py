"""What programs rely on, beyond the documentation, in the asyncore and asynchat of Python 3.11.

Every test here runs against a pair of modules, ours.  The last test runs this file once more against the pair that
Python 3.11 ships (see `reference`), where every one of them must pass as well: so none of them asks for what the old
modules never did.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .reference import chat, modules, on_the_modules_of_3_11, opened, pair_of_sockets, run
from .scripted import ScriptedSocket, cut_at, play


@pytest.fixture
def net() -> Iterator[Any]:
    """The pair of modules under test: `.asyncore`, `.asynchat`."""
    with modules() as pair:
        yield pair


# ---- a terminator that counts


def test_a_get_terminator_that_always_says_the_same_number(net: Any) -> None:
    channel = chat(net, get_terminator=lambda self: 4)(ScriptedSocket([b"abcdefghij"]), {})
    play(channel)
    assert channel.lines == [b"abcd", b"efgh"]
    assert channel.heard == [b"ij"]


@pytest.mark.parametrize("places", [[], [3], [4], [2, 6], range(1, 10)], ids=str)
def test_a_get_terminator_that_counts_itself(net: Any, places: Any) -> None:
    class Fours(chat(net)):  # type: ignore[misc]
        def get_terminator(self) -> int:
            return 4 - sum(map(len, self.heard))

    # 3.11 counts in `terminator` too, whoever is asked.
    channel = Fours(ScriptedSocket(cut_at(b"abcdefghij", places)), {})
    channel.set_terminator(4)
    play(channel)
    assert channel.lines == [b"abcd", b"efgh"]
    assert b"".join(channel.heard) == b"ij"


def test_a_terminator_set_while_the_last_counted_bytes_are_collected(net: Any) -> None:
    class Changes(chat(net)):  # type: ignore[misc]
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            self.set_terminator(b"\n")

        def found_terminator(self) -> None:
            super().found_terminator()
            self.set_terminator(b"\n")

    channel = Changes(ScriptedSocket([b"abcde\nfg\n"]), {})
    channel.set_terminator(3)
    play(channel)
    assert channel.lines == [b"abc", b"de", b"fg"]


def test_the_same_number_set_while_its_bytes_are_collected_is_used_up(net: Any) -> None:
    class Again(chat(net)):  # type: ignore[misc]
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            self.set_terminator(300)

    channel = Again(ScriptedSocket([b"x" * 300]), {})
    channel.set_terminator(300)
    play(channel)
    assert channel.lines == [b"x" * 300]
    assert channel.get_terminator() == 0


# ---- another file under the same number


def move_to(fd: int, sock: socket.socket) -> socket.socket:
    """The same socket under that number, which is free or gives up what it was."""
    os.dup2(sock.fileno(), fd)
    sock.close()
    return opened(socket.socket(fileno=fd))[0]  # type: ignore[no-any-return]


class Bytes:
    """All that a loop asks of a value in its map; keeps what it hears."""

    addr = None
    accepting = False

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.heard = b""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self.heard += self.socket.recv(10)

    def handle_error(self) -> None:
        raise AssertionError


class Deaf(Bytes):
    """Has something to read for ever."""

    def handle_read_event(self) -> None:
        pass


@pytest.mark.parametrize("own", [True, False], ids=["its own add_channel", "the dispatcher's"])
def test_a_channel_that_takes_another_socket_under_the_same_number(net: Any, own: bool) -> None:
    class Own(chat(net)):  # type: ignore[misc]
        """It ends a connection by its first byte, and goes on with the next."""

        def add_channel(self, map: Any = None) -> None:
            if own:
                self._map[self._fileno] = self
            else:
                super().add_channel(map)

        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            if data == b"1":
                fd = self._fileno
                self.close()
                self.set_socket(move_to(fd, second))
                self.connected = True

    channels: dict[int, Any] = {}
    (first, far_first), (second, far_second) = pair_of_sockets(), pair_of_sockets()
    channel = Own(first, channels)
    far_first.send(b"1")
    far_second.send(b"2")
    run(net, channels, lambda: b"".join(channel.heard) == b"12")


def test_the_same_value_put_back_for_another_socket(net: Any) -> None:
    (first, far_first), (second, far_second) = pair_of_sockets(), pair_of_sockets()
    fd, value = first.fileno(), Bytes(first)
    channels: dict[int, Any] = {fd: value}
    far_first.send(b"1")
    run(net, channels, lambda: value.heard == b"1")
    del channels[fd]
    first.close()
    channels[fd] = value
    value.socket = move_to(fd, second)
    far_second.send(b"2")
    run(net, channels, lambda: value.heard == b"12")


@pytest.mark.parametrize("lives_on", [False, True])
@pytest.mark.parametrize("busy", [False, True])
def test_another_socket_under_the_number_of_a_live_channel(net: Any, lives_on: bool, busy: bool) -> None:
    (first, _far_first), (second, far_second) = pair_of_sockets(), pair_of_sockets()
    value = Bytes(first)
    copy = opened(first.dup()) if lives_on else None
    channels: dict[int, Any] = {first.fileno(): value}
    if busy:
        endless, far_endless = pair_of_sockets()
        far_endless.send(b"x")
        channels[endless.fileno()] = Deaf(endless)
    net.asyncore.loop(timeout=0, map=channels, count=2)
    os.dup2(second.fileno(), first.fileno())
    far_second.send(b"2")
    run(net, channels, lambda: value.heard == b"2")
    assert copy is None or copy[0].fileno() >= 0


# ---- questions that a program puts in the place of others


@pytest.mark.parametrize("where", ["instance", "class", "__class__"])
@pytest.mark.parametrize("when", ["between two passes", "in its own event"])
def test_who_says_no_later_is_given_nothing(net: Any, where: str, when: str) -> None:
    wants = False

    def readable(*self: Any) -> bool:
        return wants

    def replace() -> None:
        if where == "instance":
            channel.readable = readable
        elif where == "class":
            type(channel).readable = readable
        else:
            channel.__class__ = type("Other", (type(channel),), {"readable": readable})

    class Replaces(chat(net)):  # type: ignore[misc]
        def found_terminator(self) -> None:
            super().found_terminator()
            if when == "in its own event":
                replace()

    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    channel = Replaces(ours, channels)
    theirs.send(b"one\r\n")
    run(net, channels, lambda: channel.lines == [b"one"])
    if when == "between two passes":
        replace()
    theirs.send(b"two\r\n")
    net.asyncore.loop(timeout=0.01, map=channels, count=3)
    assert channel.lines == [b"one"]
    wants = True
    net.asyncore.loop(timeout=0.5, map=channels, count=1)
    assert channel.lines == [b"one", b"two"]


@pytest.mark.parametrize("where", ["instance", "class"])
def test_who_says_yes_later_is_asked(net: Any, where: str) -> None:
    writes = 0

    class Writes(chat(net)):  # type: ignore[misc]
        def handle_write(self) -> None:
            nonlocal writes
            writes += 1

    channels: dict[int, Any] = {}
    channel = Writes(pair_of_sockets()[0], channels)
    net.asyncore.loop(timeout=0.01, map=channels, count=2)
    assert writes == 0
    (channel if where == "instance" else Writes).writable = lambda *self: True
    run(net, channels, lambda: writes > 3)


# ---- the output queue in a program's hands


@pytest.mark.parametrize("how", ["append", "extend", "insert", "+=", "of its own"])
def test_what_is_put_into_a_queue_that_was_kept_is_sent(net: Any, how: str) -> None:
    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    theirs.setblocking(False)
    channel = chat(net)(ours, channels)
    if how == "of its own":
        channel.producer_fifo = deque([b"early "])
    queue = channel.producer_fifo
    net.asyncore.loop(timeout=0.01, map=channels, count=3)
    if how == "insert":
        queue.insert(0, b"late")
    elif how == "extend":
        queue.extend([b"la", b"te"])
    elif how == "+=":
        channel.producer_fifo += [b"la", b"te"]
    else:
        queue.append(b"late")
    run(net, channels, lambda: not queue)
    assert theirs.recv(100).endswith(b"late")
    assert channel.producer_fifo is queue


# ---- that these tests test something


@pytest.mark.slow
def test_every_one_of_these_passes_on_the_modules_of_python_3_11(tmp_path: Path) -> None:
    outcomes = on_the_modules_of_3_11(__file__, "not every_one_of_these", tmp_path)
    assert outcomes
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "passed"} == {}
