"""Limits that a program may set: what happens at each, and that the cut makes no difference."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import pytest

from httpd.net import asyncore
from httpd.net.interest import interests_of
from httpd.net.limited import LimitedChat

from .scripted import BLOCKS, ScriptedSocket, every_cut, play


class Chat(LimitedChat):
    """Keeps what it hears, and why it was closed."""

    terminator = b"\r\n"

    def __init__(self, sock: Any = None, channels: Any = None) -> None:
        super().__init__(sock, {} if channels is None else channels)
        self.lines: list[bytes] = []
        self.over: list[str] = []

    def collect_incoming_data(self, data: bytes) -> None:
        self._collect_incoming_data(data)

    def found_terminator(self) -> None:
        self.lines.append(self._get_data())

    def over_limit(self, why: str) -> None:
        self.over.append(why)
        super().over_limit(why)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


# ---- what comes


class Fives(Chat):
    most_before_terminator = 5


@pytest.mark.parametrize("cut", list(every_cut(b"12345\r\n\r\n123\r45\r\nx")), ids=lambda cut: str(len(cut[0])))
def test_a_message_too_long_is_refused_however_it_is_cut(cut: list[bytes]) -> None:
    channel = Fives(ScriptedSocket(cut))
    play(channel, until=lambda: bool(channel.over))
    assert channel.lines == [b"12345", b""]
    assert b"123\r4".startswith(channel._get_data())
    assert channel.over == ["a message of more than 5 bytes"]
    assert channel.socket.closed == 1


def test_what_may_begin_the_terminator_does_not_count_yet() -> None:
    channel = Fives(ScriptedSocket([b"12345\r", b"\n", b"12345\r"]))
    play(channel)
    assert (channel.lines, channel.over) == ([b"12345"], [])


@pytest.mark.parametrize("cut", list(every_cut(b"123456")), ids=lambda cut: str(len(cut[0])))
@pytest.mark.parametrize("number", [5, 6])
def test_a_number_that_is_too_large_is_refused_before_its_bytes(cut: list[bytes], number: int) -> None:
    channel = Fives(ScriptedSocket(cut))
    channel.set_terminator(number)
    play(channel, until=lambda: bool(channel.over or channel.lines))
    assert channel.lines == ([b"12345"] if number == 5 else [])
    assert bool(channel.over) is (number == 6)
    assert channel.incoming == [] or number == 5


def test_without_a_terminator_there_is_no_message_to_be_too_long() -> None:
    channel = Fives(ScriptedSocket([b"123456", b"789"]))
    channel.set_terminator(None)
    play(channel)
    assert (channel._get_data(), channel.over) == (b"123456789", [])


def test_a_last_word_may_be_pushed() -> None:
    class Says(Fives):
        def over_limit(self, why: str) -> None:
            self.push(b"too long\r\n")
            super().over_limit(why)

    channel = Says(ScriptedSocket([b"123456"]))
    play(channel, until=lambda: bool(channel.over))
    assert channel.socket.sent == b"too long\r\n"
    assert channel.socket.closed == 1


def test_it_is_told_in_one_line_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Fives(ScriptedSocket([b"123456"])).handle_read()
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert "a message of more than 5 bytes" in record.getMessage()


# ---- what waits


class Hundred(Chat):
    most_queued = 100


def test_who_takes_nothing_is_closed_when_too_much_waits() -> None:
    channel = Hundred(ScriptedSocket(takes=[50, *[BLOCKS] * 20]))
    channel.push(b"x" * 150)
    assert channel.over == []
    channel.push(b"x")
    assert channel.over == ["more than 100 bytes wait for a peer that does not take them"]
    channel.push(b"after the end")
    assert len(channel.over) == 1


def test_a_last_word_that_is_itself_too_much() -> None:
    class Says(Hundred):
        def over_limit(self, why: str) -> None:
            self.push(b"you take too little\r\n")
            super().over_limit(why)

    channel = Says(ScriptedSocket(takes=[BLOCKS] * 20))
    channel.push(b"x" * 150)
    assert len(channel.over) == 1
    assert channel.socket.closed == 1


def test_who_takes_what_is_pushed_may_be_given_without_end() -> None:
    channel = Hundred(ScriptedSocket(takes=[90, 90] * 1000))
    for _ in range(500):
        channel.push(b"x" * 120)
        channel.handle_write()
    assert channel.over == []


def test_another_channel_is_not_made_to_pay() -> None:
    """A line for all is pushed in the event of one of them."""
    deaf = Hundred(ScriptedSocket(takes=[BLOCKS] * 20))

    class Tells(Chat):
        def found_terminator(self) -> None:
            deaf.push(b"y" * 200)

    channel = Tells(ScriptedSocket([b"x\r\n"]))
    asyncore.read(channel)
    assert (deaf.socket.closed, channel.socket.closed) == (1, 0)


# ---- how long


class Hasty(Chat):
    idle_seconds = 60.0


def turn(channels: dict[int, Any], clock: Clock, seconds: float) -> None:
    """Let time pass, and the loop turn."""
    clock.now += seconds
    asyncore.loop(timeout=0, map=channels, count=1)


def test_who_says_and_takes_nothing_is_closed(pair: Any) -> None:
    channels: dict[int, Any] = {}
    clock = Clock()
    interests_of(channels).timers.clock = clock
    interests_of(channels).timers.tick()
    ours, theirs = pair
    channel = Hasty(ours, channels)
    turn(channels, clock, 0)
    turn(channels, clock, 50)
    theirs.send(b"x")
    turn(channels, clock, 0)
    turn(channels, clock, 50)
    channel.push(b"x")
    turn(channels, clock, 50)
    assert channel.over == []
    turn(channels, clock, 9)
    assert channel.over == []
    turn(channels, clock, 2)
    assert channel.over == ["nothing came and nothing went for 60.0 s"]
    assert channels == {}


def test_a_channel_that_closes_leaves_no_timer(pair: Any) -> None:
    channels: dict[int, Any] = {}
    channel = Hasty(pair[0], channels)
    asyncore.loop(timeout=0, map=channels, count=1)
    timers = interests_of(channels).timers
    assert len(timers) == 1
    channel.close()
    assert len(timers) == 0


def test_a_channel_that_closes_before_the_loop_has_turned_leaves_none_either(pair: Any) -> None:
    channels: dict[int, Any] = {}
    Hasty(pair[0], channels).close()
    keeps = socket.socketpair()
    Chat(keeps[0], channels)
    asyncore.loop(timeout=0, map=channels, count=1)
    assert len(interests_of(channels).timers) == 0
    asyncore.close_all(channels)
    keeps[1].close()


def test_a_limit_that_is_taken_back_closes_nothing(pair: Any) -> None:
    channels: dict[int, Any] = {}
    clock = Clock()
    interests_of(channels).timers.clock = clock
    interests_of(channels).timers.tick()
    channel = Hasty(pair[0], channels)
    turn(channels, clock, 0)
    channel.idle_seconds = None
    turn(channels, clock, 61)
    assert channel.over == []
    assert len(interests_of(channels).timers) == 0


def test_without_a_limit_there_is_no_timer_either(pair: Any) -> None:
    channels: dict[int, Any] = {}
    channel = Chat(pair[0], channels)
    channel.push(b"x")
    asyncore.loop(timeout=0, map=channels, count=1)
    assert len(interests_of(channels).timers) == 0


def test_a_channel_that_another_thread_makes_is_closed_in_time(pair: Any) -> None:
    class Quick(Chat):
        idle_seconds = 0.1

    channels: dict[int, Any] = {}
    keeps = socket.socketpair()
    Chat(keeps[0], channels)
    made: list[Quick] = []
    thread = threading.Timer(0.2, lambda: made.append(Quick(pair[0], channels)))
    began = time.monotonic()
    thread.start()
    while not (made and made[0].over):
        asyncore.loop(timeout=2, map=channels, count=1)
        assert time.monotonic() - began < 10
    # Its time begins when it is made, not with the turn in which the loop was waiting then.
    assert time.monotonic() - began >= 0.3
    asyncore.close_all(channels)
    keeps[1].close()
