"""Patience: each state may last only so long, at the cost of one timer a channel, which is seldom moved."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest

from httpd.net import asyncore
from httpd.net.channel_map import ChannelMap
from httpd.net.interest import interests_of
from httpd.net.timers import Timers
from httpd.net.watched import WatchedChat

from .scripted import BLOCKS, ScriptedSocket


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Counting(Timers):
    """Counts the timers that were made."""

    made = 0

    def call_later(self, *arguments: Any) -> Any:
        self.made += 1
        return super().call_later(*arguments)


class Patient(WatchedChat):
    """Patient until `due`; notes when it was told."""

    terminator = b"\n"

    def __init__(self, timers: Timers, sock: Any = None, map: dict[int, Any] | None = None) -> None:
        super().__init__(timers, {} if map is None else map)
        self.due = math.inf
        self.told: list[float] = []
        if sock is not None:
            self.set_socket(sock)
            self.connected = True

    def patience(self) -> float:
        return self.due

    def timed_out(self) -> None:
        self.told.append(self.timers.now)
        self.due = math.inf

    def collect_incoming_data(self, data: bytes) -> None:
        self.due = self.timers.now + 10

    def found_terminator(self) -> None:
        self.due = self.timers.now + 60


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timers(clock: Clock) -> Counting:
    return Counting(clock)


def advance(timers: Timers, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    timers.tick()
    timers.run_due()


def test_patience_ends_when_it_was_said_to(timers: Counting, clock: Clock) -> None:
    channel = Patient(timers)
    channel.due = 105
    channel.watch()
    advance(timers, clock, 4.9)
    assert channel.told == []
    advance(timers, clock, 0.1)
    assert channel.told == [105]
    assert len(timers) == 0


def test_a_point_that_moves_on_costs_no_timer(timers: Counting, clock: Clock) -> None:
    channel = Patient(timers, ScriptedSocket([b"a"] * 50))
    for _ in range(50):
        channel.handle_read_event()
        advance(timers, clock, 0.1)
    assert timers.made == 1
    advance(timers, clock, 5.1)
    # It looks, and patience has not ended.
    assert (channel.told, timers.made) == ([], 2)
    advance(timers, clock, 4.9)
    assert channel.told == [timers.now]


def test_a_point_that_comes_nearer_is_kept(timers: Counting, clock: Clock) -> None:
    channel = Patient(timers, ScriptedSocket([b"\n", b"a"]))
    channel.handle_read_event()
    channel.handle_read_event()
    assert len(timers) == 1
    advance(timers, clock, 10)
    assert channel.told == [110]


def test_who_has_patience_for_ever_has_no_timer(timers: Counting) -> None:
    channel = Patient(timers)
    channel.watch()
    assert len(timers) == 0


def test_moved_on_when_it_ended_it_goes_on(timers: Counting, clock: Clock) -> None:
    class Again(Patient):
        def timed_out(self) -> None:
            self.told.append(self.timers.now)
            self.due += 5

    channel = Again(timers)
    channel.due = 105
    channel.watch()
    for _ in range(3):
        advance(timers, clock, 5)
    assert channel.told == [105, 110, 115]


def test_a_closed_channel_has_no_timer(timers: Counting, clock: Clock) -> None:
    channel = Patient(timers, ScriptedSocket())
    channel.due = 105
    channel.watch()
    channel.close()
    channel.close()
    assert len(timers) == 0
    advance(timers, clock, 100)
    assert channel.told == []


def test_who_says_nothing_is_watched_once_the_loop_has_taken_it_up(clock: Clock) -> None:
    channels = ChannelMap()
    timers = interests_of(channels).timers
    ours, theirs = socket.socketpair()
    with theirs:
        channel = Patient(timers, ours, channels)
        channel.due = timers.now + 5
        assert len(timers) == 0
        for _ in range(2):
            asyncore.loop(0, map=channels, count=1)
            assert len(timers) == 1
        channel.close()


def test_who_cannot_say_how_long_it_is_patient_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Patient):
        def patience(self) -> float:
            raise ValueError("cannot say")

    channels = ChannelMap()
    ours, theirs = socket.socketpair()
    with theirs:
        Odd(interests_of(channels).timers, ours, channels)
        asyncore.loop(0, map=channels, count=1)
        assert not channels
    assert "cannot say" in caplog.text


def test_sending_is_watched_too(timers: Counting) -> None:
    class Sends(Patient):
        def handle_write(self) -> None:
            super().handle_write()
            self.due = self.timers.now + 1

    channel = Sends(timers, ScriptedSocket(takes=[2, BLOCKS]))
    channel.push(b"abc")
    channel.handle_write_event()
    assert len(timers) == 1


def test_a_producer_that_fails_when_woken_costs_its_own_connection(
    timers: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails:
        asked = 0

        def more(self) -> bytes | None:
            self.asked += 1
            if self.asked > 1:
                raise ValueError("no more")
            return None

    channel = Patient(timers, ScriptedSocket())
    channel.producers_may_stall = True
    channel.push_with_producer(Fails())
    channel.wake()
    assert channel.socket.closed == 1
    assert "no more" in caplog.text


def test_the_methods_to_be_overridden(timers: Counting) -> None:
    channel = WatchedChat(timers, {})
    with pytest.raises(NotImplementedError):
        channel.patience()
    with pytest.raises(NotImplementedError):
        channel.timed_out()
