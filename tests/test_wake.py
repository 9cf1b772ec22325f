"""From other threads into the loop: nothing waits for the loop's timeout, nothing is lost."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from httpd.net import asynchat, asyncore, wake
from httpd.net.interest import Interests, interests_of

from .kernel import until


class Chat(asynchat.async_chat):
    """Reads lines; silent."""

    def __init__(self, sock: Any = None, channels: Any = None) -> None:
        super().__init__(sock, channels)
        self.set_terminator(b"\n")
        self.lines: list[bytes] = []

    def collect_incoming_data(self, data: bytes) -> None:
        self._collect_incoming_data(data)

    def found_terminator(self) -> None:
        self.lines.append(self._get_data())


@pytest.fixture(params=[False, True], ids=["a plain dict", "socket_map"])
def channels(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: dict[int, Any] = asyncore.socket_map if request.param else {}
    yield made
    asyncore.close_all(made, ignore_all=True)


def other_thread(act: Callable[[], object], channels: Any, until: Callable[[], object]) -> float:
    """Let the loop wait long, while another thread acts a little later; how many seconds until the condition held."""
    acted = [0.0]

    def later() -> None:
        time.sleep(0.1)
        acted[0] = time.monotonic()
        act()

    thread = threading.Thread(target=later)
    thread.start()
    end = time.monotonic() + 5
    while not until() and time.monotonic() < end:
        asyncore.loop(timeout=4, map=channels, count=1)
    took = time.monotonic() - acted[0]
    thread.join()
    assert until()
    return took


def test_a_call_from_another_thread_is_made_in_the_loops(pair: Any, channels: Any) -> None:
    Chat(pair[0], channels)
    calls: list[Any] = []

    def act() -> None:
        wake.call(lambda *args: calls.append((args, threading.get_ident())), 1, 2, map=channels)

    assert other_thread(act, channels, lambda: calls) < 1
    assert calls == [((1, 2), threading.get_ident())]


def test_the_map_of_a_call_is_socket_map_by_default(pair: Any) -> None:
    Chat(pair[0])
    calls: list[int] = []
    wake.call(calls.append, 1)
    asyncore.loop(timeout=5, count=1)
    assert calls == [1]
    asyncore.close_all()


def test_a_call_from_the_loops_own_thread_is_made_without_waiting(pair: Any, channels: Any) -> None:
    Chat(pair[0], channels)
    calls: list[int] = []
    wake.call(calls.append, 1, map=channels)
    began = time.monotonic()
    asyncore.loop(timeout=5, map=channels, count=1)
    assert calls == [1]
    assert time.monotonic() - began < 1


def test_calls_that_ask_for_further_calls_let_the_loop_go_on(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    channel = Chat(ours, channels)
    theirs.send(b"line\n")
    calls: list[int] = []

    def again() -> None:
        calls.append(len(calls))
        if len(calls) < 100:
            wake.call(again, map=channels)

    wake.call(again, map=channels)
    asyncore.loop(timeout=1, map=channels, count=2)
    assert channel.lines == [b"line"]
    assert len(calls) <= 2
    asyncore.loop(timeout=0.01, map=channels, count=110)
    assert len(calls) == 100


def test_a_call_that_fails_is_logged(pair: Any, channels: Any, caplog: pytest.LogCaptureFixture) -> None:
    Chat(pair[0], channels)
    wake.call(lambda: 1 / 0, map=channels)
    asyncore.loop(timeout=5, map=channels, count=1)
    assert "ZeroDivisionError" in caplog.text


def test_a_push_from_another_thread(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    channel = Chat(ours, channels)
    data = b"d" * 3_000_000
    got: list[int] = []

    def read() -> None:
        left = len(data)
        while left:
            left -= len(theirs.recv(1 << 16))
        got.append(1)
        wake.call(lambda: None, map=channels)

    reader = threading.Thread(target=read)
    reader.start()
    assert other_thread(lambda: channel.push(data), channels, lambda: got) < 2
    reader.join()


def test_interest_that_another_thread_changes(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    channel = Chat(ours, channels)
    channel.pause_input()
    theirs.send(b"line\n")
    assert other_thread(channel.resume_input, channels, lambda: channel.lines) < 1


def test_a_channel_that_another_thread_has_the_loop_make(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    first, far = socket.socketpair()
    Chat(first, channels)
    theirs.send(b"line\n")
    made: list[Chat] = []

    def act() -> None:
        wake.call(lambda: made.append(Chat(ours, channels)), map=channels)

    assert other_thread(act, channels, lambda: made and made[0].lines) < 1
    first.close()
    far.close()


def test_a_channel_that_another_thread_makes_is_sent_for_at_once(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    first, far = socket.socketpair()
    Chat(first, channels)
    asyncore.loop(timeout=0, map=channels, count=1)
    got: list[int] = []

    def act() -> None:
        Chat(ours, channels).push(b"x" * 1_000_000)
        left = 1_000_000
        while left:
            left -= len(theirs.recv(1 << 16))
        got.append(1)
        wake.call(lambda: None, map=channels)

    assert other_thread(act, channels, lambda: got) < 2
    first.close()
    far.close()


def test_the_loop_does_not_look_at_half_a_channel(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    first, far = socket.socketpair()
    Chat(first, channels)
    theirs.send(b"line\n")
    failed: list[bool] = []

    class Slow(Chat):
        def __init__(self, sock: socket.socket) -> None:
            super().__init__(sock, channels)
            time.sleep(0.1)
            self.ready = True

        def found_terminator(self) -> None:
            failed.append(not hasattr(self, "ready"))

    thread = threading.Thread(target=lambda: (time.sleep(0.05), Slow(ours)))
    thread.start()
    asyncore.loop(timeout=0.4, map=channels, count=1)
    thread.join()
    asyncore.loop(timeout=0.4, map=channels, count=1)
    assert failed == [False]
    first.close()
    far.close()


def test_a_closing_that_another_thread_asks_for(pair: Any, channels: Any) -> None:
    channel = Chat(pair[0], channels)
    assert other_thread(channel.close_when_done, channels, lambda: not channels) < 1


def test_a_producer_that_another_thread_has_something_for(pair: Any, channels: Any) -> None:
    class Waits:
        ready: bytes | None = None

        def more(self) -> bytes | None:
            ready, self.ready = self.ready, b"" if self.ready else None
            return ready

    ours, theirs = pair
    channel = Chat(ours, channels)
    channel.producers_may_stall = True
    producer = Waits()
    channel.push_with_producer(producer)

    def act() -> None:
        producer.ready = b"at last"
        wake.call(channel.wake, map=channels)

    assert other_thread(act, channels, lambda: not channel.producer_fifo) < 1
    assert theirs.recv(100) == b"at last"


def test_no_push_of_many_threads_is_lost_or_torn(pair: Any, channels: Any) -> None:
    ours, theirs = pair
    channel = Chat(ours, channels)
    threads, each = 4, 300
    received = bytearray()

    def push(number: int) -> None:
        for n in range(each):
            channel.push(b"<%d.%d%s>\n" % (number, n, b"." * (n * 7 % 1000)))

    def read() -> None:
        while received.count(b"\n") < threads * each:
            received.extend(theirs.recv(1 << 16))

    running = [threading.Thread(target=push, args=[number]) for number in range(threads)]
    running.append(threading.Thread(target=read))
    for thread in running:
        thread.start()
    end = time.monotonic() + 20
    while any(thread.is_alive() for thread in running) and time.monotonic() < end:
        asyncore.loop(timeout=0.2, map=channels, count=1)
    for thread in running:
        thread.join(1)
    lines = [line.strip(b"<>").rstrip(b".") for line in bytes(received).splitlines()]
    assert all(line.startswith(b"<") and line.endswith(b">") for line in bytes(received).splitlines())
    for number in range(threads):
        mine = [line for line in lines if line.startswith(b"%d." % number)]
        assert mine == [b"%d.%d" % (number, n) for n in range(each)]


def test_every_thread_may_have_a_loop_of_its_own() -> None:
    results: list[bytes] = []

    def serve(number: int) -> None:
        ours, theirs = socket.socketpair()
        own: dict[int, Any] = {}
        channel = Chat(ours, own)
        with theirs:
            for turn in range(5):
                theirs.send(b"%d.%d\n" % (number, turn))
                asyncore.loop(timeout=1, map=own, count=1)
                time.sleep(0.005)
        asyncore.loop(timeout=1, map=own)
        results.extend(channel.lines)

    threads = [threading.Thread(target=serve, args=[number]) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == sorted(b"%d.%d" % (number, turn) for number in range(25) for turn in range(5))


def test_work_is_begun_in_its_order_by_as_few_threads_as_it_needs() -> None:
    channels: dict[int, Any] = {}
    worker = wake.Worker(channels, threads=3)
    begun: list[int] = []
    threads: set[str | int] = set()
    go = threading.Semaphore(0)

    def piece(number: int) -> None:
        begun.append(number)
        threads.add(threading.get_ident())
        go.acquire()

    try:
        for number in range(4):
            worker.do(partial(piece, number))
            go.release()
            assert until(lambda: worker.pieces == 0)
        # Each was idle again before the next piece came.
        assert (begun, len(threads)) == ([0, 1, 2, 3], 1)
        for number in range(4, 10):
            worker.do(partial(piece, number))
        assert until(lambda: len(begun) == 7)
        assert (worker.pieces, len(threads)) == (6, 3)
        for _ in range(6):
            go.release()
        assert until(lambda: worker.pieces == 0)
        assert (sorted(begun), begun[7:], len(threads)) == ([*range(10)], [7, 8, 9], 3)
    finally:
        worker.close()


def test_no_piece_is_lost_or_done_twice_whoever_brings_it() -> None:
    worker = wake.Worker({}, threads=4)
    done: list[int] = []

    def bring(first: int) -> None:
        for number in range(first, first + 2_000):
            worker.do(partial(done.append, number))

    bringing = [threading.Thread(target=bring, args=[first]) for first in (0, 2_000, 4_000)]
    for thread in bringing:
        thread.start()
    assert until(lambda: len(done) == 6_000, 30)
    assert sorted(done) == [*range(6_000)]
    worker.close()
    assert not any(thread.is_alive() for thread in worker._threads)


def test_what_a_closed_worker_has_not_begun_is_forgotten() -> None:
    worker = wake.Worker({})
    go, begun = threading.Event(), threading.Event()
    done: list[int] = []
    worker.do(lambda: begun.set() or go.wait(5))  # type: ignore[func-returns-value]
    worker.do(partial(done.append, 1))
    assert begun.wait(5)
    threading.Timer(0.1, go.set).start()
    worker.close()
    worker.do(partial(done.append, 2))
    assert done == []
    assert not worker._threads[0].is_alive()


def test_a_worker_may_be_closed_again_and_again() -> None:
    worker, done = wake.Worker({}), threading.Event()
    worker.do(done.set)
    assert done.wait(5)
    for _ in range(3):
        worker.close()


def test_where_the_system_has_no_thread_left_those_there_are_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, done, go = wake.Worker({}, threads=2), threading.Event(), threading.Event()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(wake.Full):
            worker.do(done.set)
        assert worker.pieces == 0
    worker.do(lambda: go.wait(5))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        worker.do(done.set)
    go.set()
    assert done.wait(5)
    worker.close()


def test_a_piece_of_work_may_close_its_worker() -> None:
    worker = wake.Worker({})
    closed = threading.Event()

    def close() -> None:
        worker.close()
        closed.set()

    worker.do(close)
    assert closed.wait(5), "it waits for itself"


def test_a_signal_handler_may_wake_the_loop(pair: Any, channels: Any) -> None:
    Chat(pair[0], channels)
    calls: list[int] = []
    asyncore.loop(timeout=0, map=channels, count=1)
    before = signal.signal(signal.SIGUSR1, lambda *signal: wake.call(calls.append, 1, map=channels))
    try:
        timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
        timer.start()
        began = time.monotonic()
        while not calls and time.monotonic() - began < 5:
            asyncore.loop(timeout=4, map=channels, count=1)
        assert time.monotonic() - began < 3
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()


def test_waking_a_thousand_times_is_as_good_as_once(pair: Any, channels: Any) -> None:
    Chat(pair[0], channels)
    asyncore.loop(timeout=0, map=channels, count=1)
    interests = interests_of(channels)
    for _ in range(70_000):
        interests.wake()
    began = time.monotonic()
    asyncore.loop(timeout=0.2, map=channels, count=20)
    assert 0.15 < time.monotonic() - began < 60
    asyncore.close_all(channels)


def test_a_signal_ends_the_wait_also_where_it_comes_just_before_it() -> None:
    """Its handler would run only when the kernel's wait has ended: so the signal itself says something to the loop."""
    interests = Interests({})
    before = signal.signal(signal.SIGUSR2, lambda number, frame: None)
    try:
        interests.signals_wake(True)
        signal.raise_signal(signal.SIGUSR2)
        assert select.select([interests._wake_pipe[0]], [], [], 0)[0]
    finally:
        interests.signals_wake(False)
        signal.signal(signal.SIGUSR2, before)
        interests.close()


@pytest.mark.parametrize("gone", [False, True])
def test_whom_signals_woke_before_they_wake_afterwards(gone: bool) -> None:
    ours, others = socket.socketpair()
    ours.setblocking(False)
    interests = Interests({})
    assert signal.set_wakeup_fd(ours.fileno()) == -1
    try:
        interests.signals_wake(True)
        interests.close()
        interests.turn(0, lambda channel, flags: None)
        assert signal.set_wakeup_fd(interests._wake_pipe[1]) == interests._wake_pipe[1]
        expected = -1 if gone else ours.fileno()
        if gone:
            ours.close()
        interests.signals_wake(False)
        assert signal.set_wakeup_fd(-1) == expected
    finally:
        signal.set_wakeup_fd(-1)
        interests.close()
        ours.close()
        others.close()
