"""The kept set: what the kernel is told, and how seldom."""

from __future__ import annotations

import gc
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpd.net import asynchat, asyncore, interest
from httpd.net.backends import INVALID, READ, WRITE, PollBackend, SelectBackend, best_backend
from httpd.net.channel_map import ChannelMap
from httpd.net.interest import Interests, announced, forget, interests_of, rouse, touch


class Recorded:
    """The system's backend, with a record of what it was told."""

    def __init__(self) -> None:
        self.backend = best_backend()
        self.told: list[tuple[str, int, int]] = []

    def set(self, fd: int, mask: int) -> None:
        self.told.append(("set", fd, mask))
        self.backend.set(fd, mask)

    def remove(self, fd: int, closed: bool = False) -> bool:
        self.told.append(("remove", fd, int(closed)))
        return self.backend.remove(fd, closed)

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        return self.backend.wait(timeout)

    def close(self) -> None:
        self.backend.close()


class Channel:
    """The least that a channel is, its answers announced."""

    accepting = False

    def __init__(self, fd: int, *, reads: bool = True, writes: bool = False) -> None:
        self._fileno: int | None = fd
        self.reads, self.writes = reads, writes
        self.events: list[int] = []
        self.asked = 0

    @announced
    def readable(self) -> bool:
        self.asked += 1
        return self.reads

    @announced
    def writable(self) -> bool:
        return self.writes

    @announced
    def handle_expt(self) -> None: ...

    @announced
    def handle_expt_event(self) -> None: ...


def note(channel: Channel, events: int) -> None:
    """The handler of these tests."""
    channel.events.append(events)


@pytest.fixture(params=["ChannelMap", "dict"])
def channels(request: pytest.FixtureRequest) -> dict[int, Any]:
    return ChannelMap() if request.param == "ChannelMap" else {}


@pytest.fixture
def kept(channels: dict[int, Any]) -> Iterator[tuple[Interests, Recorded]]:
    backend = Recorded()
    interests = Interests(channels, lambda: backend)  # type: ignore[arg-type,return-value]
    backend.told.clear()
    if isinstance(channels, ChannelMap):
        channels.interests = interests
    yield interests, backend
    interests.close()


def test_the_kernel_is_told_once(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, backend = kept
    fd = pair[0].fileno()
    channel = channels[fd] = Channel(fd)
    for _ in range(10):
        interests.turn(0, note)
    assert backend.told == [("set", fd, READ)]
    assert channel.asked == 1


def test_a_channel_is_asked_after_its_own_events_only(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, backend = kept
    ours, theirs = pair
    first, second = Channel(ours.fileno()), Channel(theirs.fileno())
    channels.update({ours.fileno(): first, theirs.fileno(): second})
    interests.turn(0, note)
    theirs.send(b"x")
    first.writes = True
    interests.turn(1, note)
    assert (first.asked, second.asked) == (2, 1)
    assert backend.told[2:] == [("set", ours.fileno(), READ | WRITE)]


def test_the_kernel_is_told_nothing_when_the_answer_is_the_same(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, backend = kept
    fd = pair[0].fileno()
    channel = channels[fd] = Channel(fd)
    interests.turn(0, note)
    channel._kept_by = interests  # type: ignore[attr-defined]
    for _ in range(5):
        interests.note(channel)
    interests.turn(0, note)
    assert len(backend.told) == 1


def test_what_was_noted_for_a_channel_that_is_gone_is_forgotten(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, backend = kept
    fd = pair[0].fileno()
    channel = channels[fd] = Channel(fd)
    interests.turn(0, note)
    interests.note(channel)
    del channels[fd]
    interests.turn(0, note)
    channel._fileno = None
    interests.note(channel)
    interests.turn(0, note)
    assert backend.told == [("set", fd, READ), ("remove", fd, 0)]


def test_a_channel_that_announces_all_is_not_asked_after_its_events(
    kept: Any, channels: dict[int, Any], pair: Any
) -> None:
    interests, _ = kept
    ours, theirs = pair

    class Steady(Channel):
        announces_all = True

    channel = channels[ours.fileno()] = Steady(ours.fileno())
    theirs.send(b"x")
    for _ in range(3):
        interests.turn(1, note)
    assert channel.asked == 1
    assert channel.events == [READ] * 3


def test_a_resting_channel_hears_nothing_and_then_everything(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, _ = kept
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    interests.rest(channel, 0.05)
    assert not interests.rests(channel)
    theirs.send(b"x")
    interests.turn(0.01, note)
    interests.rest(channel, 0.05)
    interests.rest(channel, 0.05)
    assert interests.rests(channel)
    channel.events.clear()
    interests.note(channel)
    interests.turn(0.01, note)
    assert channel.events == []
    end = time.monotonic() + 2
    while not channel.events and time.monotonic() < end:
        interests.turn(1, note)
    assert channel.events == [READ]
    assert not interests.rests(channel)


def test_a_channel_that_rests_in_its_own_event(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, _ = kept
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    theirs.send(b"x")

    def rests(channel: Channel, events: int) -> None:
        channel.events.append(events)
        interests.rest(channel, 10)

    for _ in range(3):
        interests.turn(0.01, rests)
    assert channel.events == [READ]


def test_a_channel_that_goes_while_it_rests(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, _ = kept
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    interests.turn(0, note)
    interests.rest(channel, 0.01)
    successor = channels[ours.fileno()] = Channel(ours.fileno())
    theirs.send(b"x")
    time.sleep(0.02)
    interests.turn(0.01, note)
    interests.turn(0.01, note)
    assert channel.events == []
    assert set(successor.events) == {READ}


def test_a_descriptor_that_died_is_found_while_the_loop_is_idle(
    kept: Any, channels: dict[int, Any], pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "_SWEEP_CHANNELS", 2)
    monkeypatch.setattr(interest, "_SWEEP_SECONDS", 0.0)
    interests, _ = kept
    pairs = [socket.socketpair() for _ in range(6)]
    for ours, _ in pairs:
        channels[ours.fileno()] = Channel(ours.fileno())
    interests.turn(0, note)
    dead = channels[pairs[3][0].fileno()]
    pairs[3][0].close()
    for _ in range(8):
        time.sleep(0.001)
        interests.turn(0, note)
    assert dead.events == [INVALID]
    assert dead not in channels.values()
    assert len(channels) == 5
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


def test_the_successor_of_a_channel_found_dead_does_not_wait(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, _ = kept
    ours, theirs = socket.socketpair()
    dead, successor = Channel(ours.fileno()), Channel(pair[0].fileno())
    channels[ours.fileno()] = dead
    interests.turn(0, note)

    def replace(channel: Channel, events: int) -> None:
        note(channel, events)
        if channel is dead:
            channels[pair[0].fileno()] = successor
            interests.touch(pair[0].fileno())

    ours.close()
    theirs.close()
    pair[1].send(b"x")
    dead.writes = True
    interests.note(dead)
    began = time.monotonic()
    interests.turn(10, replace)
    interests.turn(10, replace)
    assert (dead.events, successor.events) == ([INVALID], [READ])
    assert time.monotonic() - began < 5


def test_a_number_that_is_by_now_the_loops_own(kept: Any, channels: dict[int, Any]) -> None:
    interests, _ = kept
    for number in interests._wake_pipe:
        channel = channels[number] = Channel(number)
        interests.turn(0, note)
        assert channel.events == [INVALID]
        assert channels == {}


@pytest.mark.parametrize("backend", [PollBackend, SelectBackend])
def test_other_backends_tell_of_the_dead(backend: Any, channels: dict[int, Any], pair: Any) -> None:
    interests = Interests(channels, backend)
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    other = channels[theirs.fileno()] = Channel(theirs.fileno(), writes=True)
    interests.turn(0, note)
    ours.close()
    for _ in range(3):
        interests.turn(0, note)
    assert INVALID in channel.events
    assert WRITE in other.events
    interests.close()


def test_another_backend_takes_over_in_the_next_turn(channels: dict[int, Any], pair: Any) -> None:
    interests = Interests(channels)
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    interests.turn(0, note)
    backend = Recorded()
    interests.use_backend(lambda: backend)  # type: ignore[arg-type,return-value]
    theirs.send(b"x")
    interests.turn(1, note)
    assert channel.events == [READ]
    assert ("set", ours.fileno(), READ) in backend.told
    interests.close()


def test_a_kept_set_that_was_closed_begins_anew(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    _, _ = kept
    ours, theirs = pair
    channel = channels[ours.fileno()] = Channel(ours.fileno())
    interests = Interests(channels)
    interests.turn(0, note)
    interests.close()
    interests.close()
    interests.wake()
    theirs.send(b"x")
    interests.turn(1, note)
    assert channel.events == [READ]
    interests.close()


def test_a_plain_map_is_kept_while_it_is_used(pair: Any) -> None:
    own: dict[int, Any] = {pair[0].fileno(): Channel(pair[0].fileno())}
    interests = interests_of(own)
    assert interests_of(own) is interests
    timer = interests.call_later(60, print)
    forget(own)
    assert interests_of(own) is interests
    timer.cancel()
    forget(own)
    forget(own)
    assert interests_of(own) is not interests
    forget(own)


def test_only_so_many_plain_maps_are_kept_and_none_that_has_timers() -> None:
    maps: list[dict[int, Any]] = [{} for _ in range(40)]
    first = interests_of(maps[0])
    calls: list[int] = []
    first.call_later(0, calls.append, 1)
    kept = [interests_of(own) for own in maps]
    assert kept[0] is first
    open_sets = [interests for interests in kept if interests._wake_pipe != (-1, -1)]
    assert first in open_sets
    assert len(open_sets) <= 17
    first.turn(0, note)
    assert calls == [1]
    for own in maps:
        forget(own)


def test_a_map_with_timers_is_kept_however_many_there_are() -> None:
    maps: list[dict[int, Any]] = [{} for _ in range(20)]
    calls: list[int] = []
    for number, own in enumerate(maps):
        interests_of(own).call_later(0, calls.append, number)
    for own in maps:
        interests_of(own).turn(1, note)
        forget(own)
    assert calls == list(range(20))


def test_within_a_turn_later_counts_from_its_beginning(kept: Any, channels: dict[int, Any], pair: Any) -> None:
    interests, _ = kept
    timers: list[Any] = []

    def slow(channel: Channel, events: int) -> None:
        began = interests.timers.now
        time.sleep(0.03)
        timers.append(interests.call_later(1, print).when - began)

    channels[pair[0].fileno()] = Channel(pair[0].fileno())
    pair[1].send(b"x")
    interests.turn(1, slow)
    time.sleep(0.03)
    timers.append(interests.call_later(1, print).when - interests.timers.now)
    assert timers == [1, 1]


def test_a_map_that_is_dropped_gives_its_descriptors_back() -> None:
    channels = ChannelMap()
    interests = interests_of(channels)
    pipe = interests._wake_pipe
    reference = weakref.ref(interests)
    del channels, interests
    gc.collect()
    assert reference() is None
    for end in pipe:
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(end)


def test_a_kept_set_that_cannot_be_made_is_an_error_and_nothing_stays() -> None:
    def exhausted() -> Any:
        raise OSError(24, "Too many open files")

    with pytest.raises(OSError, match="Too many"):
        Interests({}, exhausted)
    gc.collect()


def test_touching_a_map_that_nobody_keeps() -> None:
    touch({}, 5)
    touch(ChannelMap(), 5)
    rouse({})


def test_a_channel_map_may_begin_with_channels(pair: Any) -> None:
    ours, theirs = pair
    channel = Channel(ours.fileno())
    channels = ChannelMap({ours.fileno(): channel}.items())
    theirs.send(b"x")
    interests_of(channels).turn(1, note)
    assert channel.events == [READ]


def test_a_map_whose_loop_nobody_runs_does_not_grow() -> None:
    channels = ChannelMap()
    for _ in range(1000):
        channels[5] = object()
        channels.pop(5)
    assert channels.touched == {5}


def test_notes_that_no_loop_reads_do_not_pile_up(kept: Any, pair: Any) -> None:
    interests, _ = kept
    channel = Channel(pair[0].fileno())
    for _ in range(1000):
        interests.note(channel)
    assert interests._noted == {pair[0].fileno()}


def test_what_another_thread_changes_is_noted_when_it_is_done() -> None:
    """Noted before, a loop might look at it too early, and never again."""
    seen: list[tuple[int, bool]] = []
    channels = ChannelMap()

    class Noting(set[int]):
        def add(self, fd: int) -> None:
            seen.append((fd, fd in channels))

        def update(self, *fds: Any) -> None:
            seen.extend((fd, fd in channels) for some in fds for fd in some)

    channels.touched = Noting()
    channels[1] = object()
    channels.setdefault(2)
    channels.update({3: object()})
    channels |= {4: object()}
    assert seen == [(1, True), (2, True), (3, True), (4, True)]
    seen.clear()
    del channels[1]
    channels.pop(2)
    channels.popitem()
    channels.clear()
    assert seen == [(1, False), (2, False), (4, False), (3, False)]


def test_a_channel_that_lives_in_another_map_than_it_was_made_for(pair: Any) -> None:
    """Then it is the loop that keeps it which is told."""

    class Chat(asynchat.async_chat):
        terminator = b"\n"

        def collect_incoming_data(self, data: bytes) -> None: ...
        def found_terminator(self) -> None: ...

    ours, theirs = pair
    made_for: dict[int, Any] = {}
    lives_in: dict[int, Any] = {}
    channel = Chat(ours, made_for)
    lives_in[ours.fileno()] = made_for.pop(ours.fileno())
    asyncore.loop(timeout=0, map=lives_in, count=1)
    channel.push(b"x" * 1_000_000)
    got = 0
    for _ in range(200):
        asyncore.loop(timeout=0.05, map=lives_in, count=1)
        got += len(theirs.recv(1 << 20))
        if got == 1_000_000:
            break
    assert got == 1_000_000
    asyncore.loop(timeout=0, map=lives_in, count=1)
    lives_in.clear()


# ---- whatever users do to a map, the kernel is told the same


Step = tuple[str, int, bool, bool]


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "replace", "change", "clear", "turn", "reopen", "put back", "swap"]),
            st.integers(0, 3),
            st.booleans(),
            st.booleans(),
        ),
        max_size=25,
    ),
    noting=st.booleans(),
)
def test_the_kept_set_is_always_that_of_the_map(steps: list[Step], noting: bool) -> None:
    channels: dict[int, Any] = ChannelMap() if noting else {}
    interests = Interests(channels)
    pairs = [socket.socketpair() for _ in range(4)]
    for _, theirs in pairs:
        theirs.send(b"x")

    def reopen(index: int) -> None:
        for sock in pairs[index]:
            sock.close()
        pairs[index] = socket.socketpair()
        pairs[index][1].send(b"x")

    def swap(index: int) -> None:
        """Another socket under the same number."""
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        os.dup2(ours.fileno(), pairs[index][0].fileno())
        ours.close()
        pairs[index][1].close()
        pairs[index] = pairs[index][0], theirs

    def put_back(index: int, fd: int) -> None:
        """The same object again, where the number is the same, for another socket."""
        channel = channels.pop(fd, None)
        reopen(index)
        if channel is not None and pairs[index][0].fileno() == fd:
            channels[fd] = channel

    actions: dict[str, Callable[..., object]] = {
        "add": lambda index, fd, r, w: channels.setdefault(fd, Channel(fd, reads=r, writes=w)),
        "remove": lambda index, fd, r, w: channels.pop(fd, None),
        "replace": lambda index, fd, r, w: channels.__setitem__(fd, Channel(fd, reads=r, writes=w)),
        "clear": lambda index, fd, r, w: channels.clear(),
        "turn": lambda index, fd, r, w: interests.turn(0, note),
        "reopen": lambda index, fd, r, w: (channels.pop(fd, None), reopen(index)),
        "put back": lambda index, fd, r, w: put_back(index, fd),
        "swap": lambda index, fd, r, w: swap(index),
    }
    # Every turn looks at the descriptors, and the next one knows.
    with patch.object(interest, "_SWEEP_SECONDS", -1.0):
        for action, index, reads, writes in steps:
            fd = pairs[index][0].fileno()
            if action == "change":
                if fd in channels:
                    channels[fd].reads, channels[fd].writes = reads, writes
                    interests.note(channels[fd])
            else:
                actions[action](index, fd, reads, writes)
        interests.turn(0, note)
        interests.turn(0, note)
    for channel in channels.values():
        channel.events.clear()
    interests.turn(0, note)
    for channel in channels.values():
        expected = READ * channel.reads | WRITE * channel.writes
        assert channel.events == ([expected] if expected else [])
    interests.close()
    for pair in pairs:
        for sock in pair:
            sock.close()
