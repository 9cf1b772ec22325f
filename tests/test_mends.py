"""What was wrong with the asyncore and asynchat of Python 3.11: each defect, and that it is mended.

Every test here is about one defect (`@mends` names it) and runs against a pair of modules, ours.  The last test
runs this file once more against the pair that Python 3.11 ships (see `reference`), where every one of them must fail:
so none of them passes for a reason of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .reference import chat, modules, on_the_modules_of_3_11, opened, pair_of_sockets, run
from .scripted import BLOCKS, RESET, ScriptedSocket, play
from .tools import missing

DEFECTS = {
    "accept": "out of descriptors on accept closes the listener for good",
    "high": "select() fails at fd 1024, and is the default",
    "dead": "one dead descriptor raises out of loop() and takes every channel down",
    "owner": "an event meant for a closed channel reaches the new owner of its fd in the same pass",
    "peer": "a peer gone before the constructor leaves a channel that is writable for ever",
    "half": "half-close: a client that has finished sending loses the answer",
    "pipe": "a hang-up on a pipe loses what is still to be read",
    "twice": "handle_close() runs twice",
    "after": "found_terminator() goes on after close() or close_when_done()",
    "quadratic": "many short lines, and a big piece in small sends, cost quadratic time",
    "falsy": 'a falsy producer loses data; b"" is sent as an empty write',
    "told": "producers are never told that the connection is gone",
    "copied": "a pushed bytearray is not copied",
    "terminator": "set_terminator(str) fails later; none set at all is an AttributeError",
    "thread": "a thread's push() waits for the loop's timeout; an idle map sleeps",
    "timers": "no timers, no timeouts, no TLS, no limits",
    "errors": "errors are one line on stdout",
    "asked": "every channel is asked on every pass",
}
_TESTED: set[str] = set()


def mends(defect: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as that of a defect."""
    assert defect in DEFECTS

    def marked(test: Callable[..., None]) -> Callable[..., None]:
        _TESTED.add(defect)
        return test

    return marked


@pytest.fixture
def net() -> Iterator[Any]:
    """The modules under test: `.asyncore`, `.asynchat`; beside ours, `.limited` and `.tls`."""
    with modules() as pair:
        yield pair


# ---- helpers


def tcp_connection() -> tuple[socket.socket, socket.socket]:
    """A TCP connection over the loopback: (client, server's side)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return opened(client, listener.accept()[0])


def reset(sock: socket.socket) -> None:
    """Close so that the peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def no_descriptor_left() -> contextlib.AbstractContextManager[None]:
    """For the while of the block every new descriptor is one too many."""

    @contextlib.contextmanager
    def limited() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return limited()


def cpu_ratio(work: Callable[[int], None], small: int, times: int) -> float:
    """How many times the CPU time that `times` as much work takes; the best of three, as noise only adds."""

    def cost(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            work(size)
            best = min(best, time.process_time() - began)
        return best

    work(small)
    return cost(small * times) / max(cost(small), 1e-4)


# ---- descriptors


@mends("accept")
def test_a_listener_without_descriptors_left_waits_and_accepts_again(net: Any) -> None:
    accepted: list[socket.socket] = []
    attempts = 0

    class Listener(net.asyncore.dispatcher):  # type: ignore[misc]
        def accept(self) -> Any:
            nonlocal attempts
            attempts += 1
            return super().accept()

        def handle_accepted(self, sock: socket.socket, addr: Any) -> None:
            accepted.append(sock)

    channels: dict[int, Any] = {}
    listener = Listener(map=channels)
    listener.create_socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    net.asyncore.loop(timeout=0, map=channels, count=1)
    with socket.create_connection(listener.socket.getsockname()):
        with no_descriptor_left():
            end = time.monotonic() + 0.25
            while time.monotonic() < end and channels:
                net.asyncore.loop(timeout=0.02, map=channels, count=1)
        assert channels == {listener._fileno: listener}
        assert 1 <= attempts <= 10, "it spins"
        run(net, channels, lambda: bool(accepted))
    accepted[0].close()
    listener.close()


@mends("accept")
def test_a_listener_that_unpacks_what_accept_gives_survives_too(net: Any) -> None:
    class Listener(net.asyncore.dispatcher):  # type: ignore[misc]
        def handle_accept(self) -> None:
            _sock, _addr = self.socket.accept()

        def log_info(self, *message: Any) -> None:
            pass

    channels: dict[int, Any] = {}
    listener = Listener(map=channels)
    listener.create_socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    net.asyncore.loop(timeout=0, map=channels, count=1)
    with socket.create_connection(listener.socket.getsockname()), no_descriptor_left():
        net.asyncore.loop(timeout=0.02, map=channels, count=3)
    assert channels == {listener._fileno: listener}
    listener.close()


@mends("high")
def test_descriptors_above_1023_by_default(net: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        missing("a limit that leaves this process 2,048 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    ours, theirs = pair_of_sockets()
    high = socket.socket(fileno=fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD, 1100))
    channels: dict[int, Any] = {}
    try:
        channel = chat(net)(high, channels)
        theirs.sendall(b"hello\r\n")
        run(net, channels, lambda: channel.lines == [b"hello"])
        channel.close()
    finally:
        high.close()
        ours.close()
        theirs.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@mends("dead")
@pytest.mark.parametrize("when", ["before the first pass", "between two passes"])
def test_a_dead_descriptor_closes_its_own_channel_only(net: Any, when: str) -> None:
    channels: dict[int, Any] = {}
    (a, far_a), (b, far_b) = pair_of_sockets(), pair_of_sockets()
    dead, alive = chat(net)(a, channels), chat(net)(b, channels)
    if when == "between two passes":
        net.asyncore.loop(timeout=0, map=channels, count=1)
    os.close(a.detach())
    far_b.sendall(b"one\r\n")
    run(net, channels, lambda: bool(alive.lines and dead.closes), patience=5)
    assert channels == {b.fileno(): alive}
    assert dead.closes == 1
    far_b.sendall(b"two\r\n")
    run(net, channels, lambda: alive.lines == [b"one", b"two"])
    for sock in (far_a, b, far_b):
        sock.close()


@mends("owner")
def test_an_event_never_reaches_the_next_owner_of_a_descriptor(net: Any) -> None:
    channels: dict[int, Any] = {}
    spurious: list[Any] = []
    pairs = [pair_of_sockets(), pair_of_sockets()]
    quiet, far_quiet = pair_of_sockets()

    class Successor(net.asyncore.dispatcher):  # type: ignore[misc]
        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            spurious.append(self)

    class Closer(net.asyncore.dispatcher):  # type: ignore[misc]
        other: Any = None

        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            self.recv(10)
            number = self.other.socket.fileno()
            self.other.close()
            # As the next socket would get the lowest free number, the very one that was just closed.
            os.dup2(quiet.fileno(), number)
            Successor(socket.socket(fileno=number), channels)

    first, second = (Closer(ours, channels) for ours, _ in pairs)
    first.other, second.other = second, first
    for _, far in pairs:
        far.send(b"x")
    net.asyncore.loop(timeout=0.05, map=channels, count=1)
    assert len(channels) == 2
    assert spurious == []
    net.asyncore.close_all(channels)
    for sock in (quiet, far_quiet, *(end for pair in pairs for end in pair)):
        sock.close()


@mends("peer")
def test_a_peer_gone_before_the_channel_was_made_is_seen_at_once(net: Any) -> None:
    channels: dict[int, Any] = {}
    client, ours = tcp_connection()
    reset(client)
    time.sleep(0.05)
    writes = 0

    class Paused(chat(net)):  # type: ignore[misc]
        """Does not read now: only its being writable could tell."""

        def readable(self) -> bool:
            return False

        def handle_write(self) -> None:
            nonlocal writes
            writes += 1
            super().handle_write()

    channel = Paused(ours, channels)
    net.asyncore.loop(timeout=0.02, map=channels, count=5)
    assert channels == {}
    assert channel.closes == 1
    assert writes <= 1
    ours.close()


# ---- ends


@mends("half")
def test_a_client_that_has_finished_sending_gets_its_answer(net: Any) -> None:
    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    answer = os.urandom(3_000_000)

    class Server(chat(net, answers_after_eof=True)):  # type: ignore[misc]
        def found_terminator(self) -> None:
            self.push(answer)

    channel = Server(ours, channels)
    received = bytearray()

    def client() -> None:
        theirs.sendall(b"please\r\n")
        theirs.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        while piece := theirs.recv(1 << 16):
            received.extend(piece)

    thread = threading.Thread(target=client)
    thread.start()
    with contextlib.suppress(AssertionError):
        run(net, channels, lambda: not channels, patience=3)
    channel.close()
    thread.join()
    theirs.close()
    assert len(received) == len(answer)
    assert received == answer


@mends("pipe")
def test_a_pipe_is_read_to_its_end(net: Any) -> None:
    channels: dict[int, Any] = {}
    reading, writing = os.pipe()
    got = bytearray()
    closes = 0

    class Reader(net.asyncore.file_dispatcher):  # type: ignore[misc]
        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            got.extend(self.recv(1000))

        def handle_close(self) -> None:
            nonlocal closes
            closes += 1
            self.close()

    Reader(reading, channels)
    os.close(reading)
    os.write(writing, b"y" * 50_000)
    os.close(writing)
    run(net, channels, lambda: not channels, use_poll=True)
    assert len(got) == 50_000
    assert closes == 1


@mends("twice")
def test_handle_close_runs_once(net: Any) -> None:
    channels: dict[int, Any] = {}
    client, ours = tcp_connection()
    channel = chat(net)(ours, channels)
    reset(client)
    time.sleep(0.05)
    run(net, channels, lambda: not channels, use_poll=True)
    net.asyncore.loop(timeout=0, map=channels, count=1)
    assert channel.closes == 1


@mends("twice")
def test_handle_close_runs_once_when_reading_finds_the_end_and_then_fails(net: Any) -> None:
    class Fails(chat(net)):  # type: ignore[misc]
        def handle_read(self) -> None:
            raise ConnectionResetError(errno.ECONNRESET, "again") if not self.recv(10) else ValueError

        def log_info(self, *message: Any) -> None:
            pass

    channel = Fails(ScriptedSocket([b""]), {})
    net.asyncore.read(channel)
    assert channel.closes == 1


# ---- input


@mends("after")
def test_no_terminator_is_found_after_close(net: Any) -> None:
    class Quits(chat(net)):  # type: ignore[misc]
        def found_terminator(self) -> None:
            super().found_terminator()
            if self.lines[-1] == b"quit":
                self.close()

    channel = Quits(ScriptedSocket([b"one\r\nquit\r\ntwo\r\nthr"]), {})
    channel.handle_read()
    assert channel.lines == [b"one", b"quit"]
    assert channel.heard == []


@mends("after")
def test_no_terminator_is_found_after_close_when_done_if_so_asked(net: Any) -> None:
    class Quits(chat(net, stops_when_closing=True)):  # type: ignore[misc]
        def found_terminator(self) -> None:
            super().found_terminator()
            if self.lines[-1] == b"quit":
                self.push(b"bye\r\n")
                self.close_when_done()

    channel = Quits(ScriptedSocket([b"one\r\nquit\r\ntwo\r\nthr", b"ee\r\n"]), {})
    play(channel)
    assert channel.lines == [b"one", b"quit"]
    assert channel.socket.sent == b"bye\r\n"
    assert channel.closes == 1


@mends("quadratic")
def test_many_short_lines_in_one_piece_take_linear_time(net: Any) -> None:
    class Counts(net.asynchat.async_chat):  # type: ignore[misc]
        ac_in_buffer_size = 1 << 24
        terminator = b"\n"

        def collect_incoming_data(self, data: bytes) -> None:
            pass

        def found_terminator(self) -> None:
            pass

    def work(lines: int) -> None:
        Counts(ScriptedSocket([b"ab\n" * lines]), {}).handle_read()

    assert cpu_ratio(work, 20_000, 8) < 24


@mends("quadratic")
def test_a_big_piece_in_small_sends_takes_linear_time(net: Any) -> None:
    class Once:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def more(self) -> bytes:
            data, self.data = self.data, b""
            return data

    def work(sends: int) -> None:
        channel = chat(net)(ScriptedSocket(takes=[1000] * sends), {})
        channel.push_with_producer(Once(b"z" * (sends * 1000)))
        while channel.producer_fifo:
            channel.handle_write()

    assert cpu_ratio(work, 1000, 8) < 24


@mends("quadratic")
def test_a_simple_producer_takes_linear_time(net: Any) -> None:
    def work(pieces: int) -> None:
        producer = net.asynchat.simple_producer(b"z" * (pieces * 64), 64)
        while producer.more():
            pass

    assert cpu_ratio(work, 2000, 8) < 24


@mends("quadratic")
@pytest.mark.parametrize("much", ["in many sends", "pushed bit by bit"])
def test_the_simple_output_buffer_takes_linear_time(net: Any, much: str) -> None:
    def work(size: int) -> None:
        sends = size if much == "in many sends" else 0
        channel = net.asyncore.dispatcher_with_send(ScriptedSocket(takes=[200] * sends + [BLOCKS] * size), {})
        if sends:
            channel.send(b"z" * (sends * 200))
            for _ in range(sends - 1):
                channel.handle_write()
        else:
            for _ in range(size):
                channel.send(b"z" * 200)

    assert cpu_ratio(work, 1000, 8) < 24


@mends("terminator")
def test_a_str_terminator_is_refused_at_once(net: Any) -> None:
    channel = net.asynchat.async_chat()
    with pytest.raises(TypeError, match="terminator"):
        channel.set_terminator("\r\n")


@mends("terminator")
def test_without_a_terminator_everything_is_collected(net: Any) -> None:
    class Collects(net.asynchat.async_chat):  # type: ignore[misc]
        def collect_incoming_data(self, data: bytes) -> None:
            self._collect_incoming_data(data)

    channel = Collects(ScriptedSocket([b"a\r\n", b"b"]), {})
    assert channel.get_terminator() is None
    play(channel)
    assert channel._get_data() == b"a\r\nb"


# ---- output


@mends("falsy")
def test_a_falsy_producer_is_asked_until_it_is_exhausted(net: Any) -> None:
    class Empty(list[bytes]):
        """As long as what it still has to give, and so falsy while it has none queued."""

        pieces = iter([b"three ", b"pieces ", b"whole"])

        def __getitem__(self, index: Any) -> Any:
            raise TypeError("not a sequence of bytes")

        def more(self) -> bytes:
            return next(self.pieces, b"")

    channel = chat(net)(ScriptedSocket(), {})
    channel.push_with_producer(Empty())
    play(channel)
    assert channel.socket.sent == b"three pieces whole"


@mends("falsy")
def test_nothing_to_send_is_not_sent(net: Any) -> None:
    channel = chat(net)(ScriptedSocket(), {})
    channel.push(b"")
    channel.push_with_producer(b"")
    channel.push(bytearray())
    play(channel)
    assert channel.socket.offered == []


class Closable:
    """A producer that counts how often it was told that it is not asked again."""

    def __init__(self, pieces: list[Any]) -> None:
        self.pieces = pieces
        self.closed = 0

    def more(self) -> bytes:
        piece: bytes = self.pieces.pop(0) if self.pieces else b""
        return piece

    def close(self) -> None:
        self.closed += 1


@mends("told")
@pytest.mark.parametrize("end", ["exhausted", "reset", "closed", "discarded", "told to close when done"])
def test_a_producer_is_closed_once(net: Any, end: str) -> None:
    takes = [4, RESET] if end == "reset" else [4, BLOCKS]
    channel = chat(net)(ScriptedSocket(takes=takes), {})
    producers = [Closable([b"12345678", b"abc"]), Closable([b"second"])]
    for producer in producers:
        channel.push_with_producer(producer)
    if end == "closed":
        channel.close()
    elif end == "discarded":
        channel.discard_buffers()
    elif end == "told to close when done":
        channel.close_when_done()
    play(channel)
    channel.close()
    assert [producer.closed for producer in producers] == [1, 1]


@mends("told")
def test_a_producer_pushed_too_late_is_closed(net: Any) -> None:
    channel = chat(net)(ScriptedSocket(), {})
    channel.close()
    producer = Closable([b"late"])
    channel.push_with_producer(producer)
    assert producer.closed == 1


@mends("copied")
@pytest.mark.parametrize("view", [False, True])
def test_what_was_pushed_may_be_changed_afterwards(net: Any, view: bool) -> None:
    channel = chat(net)(ScriptedSocket(takes=[BLOCKS]), {})
    data = bytearray(b"as it was")
    channel.push(memoryview(data) if view else data)
    data[:] = b"something"
    play(channel)
    assert channel.socket.sent == b"as it was"


# ---- the loop


@mends("thread")
@pytest.mark.parametrize("listening", [True, False], ids=["reading", "nothing to wait for"])
def test_a_push_from_a_thread_is_sent_at_once(net: Any, listening: bool) -> None:
    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    data = b"d" * 2_000_000
    channel = chat(net, **({} if listening else {"readable": lambda self: False}))(ours, channels)
    took = 0.0

    def other_thread() -> None:
        nonlocal took
        time.sleep(0.1)
        began = time.monotonic()
        channel.push(data)
        left = len(data)
        while left:
            left -= len(theirs.recv(1 << 16))
        took = time.monotonic() - began
        theirs.close()

    thread = threading.Thread(target=other_thread)
    thread.start()
    while thread.is_alive():
        net.asyncore.loop(timeout=1.5, map=channels, count=1)
    assert 0 < took < 1
    channel.close()


@mends("timers")
def test_a_call_can_be_made_later(net: Any) -> None:
    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    channel = chat(net)(ours, channels)
    net.asyncore.call_later(0.05, channel.close, map=channels)
    began = time.monotonic()
    net.asyncore.loop(timeout=5, map=channels)
    assert 0.03 < time.monotonic() - began < 2
    theirs.close()


@mends("timers")
def test_input_can_be_paused(net: Any) -> None:
    class Polite(chat(net)):  # type: ignore[misc]
        """One line at a time."""

        def found_terminator(self) -> None:
            super().found_terminator()
            self.pause_input()

    channel = Polite(ScriptedSocket([b"one\r\ntwo\r\n", b"three\r\n"]), {})
    play(channel)
    assert channel.lines == [b"one"]
    channel.resume_input()
    assert channel.lines == [b"one", b"two"]


@mends("timers")
def test_who_says_nothing_for_too_long_is_closed(net: Any) -> None:
    class Hasty(net.limited.LimitedChat):  # type: ignore[misc]
        idle_seconds = 0.05

    channels: dict[int, Any] = {}
    Hasty(pair_of_sockets()[0], channels)
    run(net, channels, lambda: not channels)


@mends("timers")
@pytest.mark.parametrize("limit", ["most_before_terminator", "most_queued"])
def test_a_peer_cannot_fill_the_memory(net: Any, limit: str) -> None:
    class Limited(net.limited.LimitedChat):  # type: ignore[misc]
        terminator = b"\n"

        def collect_incoming_data(self, data: bytes) -> None:
            self._collect_incoming_data(data)

    setattr(Limited, limit, 1000)
    channel = Limited(ScriptedSocket([b"x" * 500] * 3, takes=[BLOCKS] * 9), {})
    for _ in range(3):
        channel.handle_read()
        channel.push(b"x" * 500)
    assert channel.socket.closed == 1


@mends("timers")
def test_the_same_channel_over_tls(net: Any) -> None:
    class Echo(net.tls.TlsChat):  # type: ignore[misc]
        def __init__(self, sock: Any, channels: Any) -> None:
            super().__init__(net.asyncore.interests_of(channels).timers, channels)
            self.set_terminator(b"\n")
            self.set_socket(sock)
            self.connected = True

        def collect_incoming_data(self, data: bytes) -> None:
            self.push(data + b"!")

        def found_terminator(self) -> None:
            self.close_when_done()

        def patience(self) -> float:
            return float("inf")

    from .test_tls import client_context, server_context

    channels: dict[int, Any] = {}
    ours, theirs = pair_of_sockets()
    ours.setblocking(False)
    Echo(net.tls.TlsSocket(ours, server_context()), channels)
    heard: list[bytes] = []

    def client() -> None:
        with client_context().wrap_socket(theirs) as sock:
            sock.sendall(b"hello\n")
            heard.append(sock.recv(100))

    thread = threading.Thread(target=client)
    thread.start()
    run(net, channels, lambda: not channels)
    thread.join()
    assert heard == [b"hello!"]


@mends("errors")
def test_an_error_goes_to_the_log_with_its_traceback(
    net: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fails(chat(net)):  # type: ignore[misc]
        def found_terminator(self) -> None:
            raise ZeroDivisionError("in the handler")

    channel = Fails(ScriptedSocket([b"x\r\n"]), {})
    with caplog.at_level(logging.ERROR):
        net.asyncore.read(channel)
    assert channel.closes == 1
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]
    assert "found_terminator" in caplog.text
    assert capsys.readouterr().out == ""


@mends("asked")
def test_only_those_that_overrode_the_question_are_asked_on_every_pass(net: Any) -> None:
    channels: dict[int, Any] = {}
    pairs = [pair_of_sockets() for _ in range(30)]
    plain = chat(net)
    asked: list[str] = []

    class Asks(plain):  # type: ignore[misc]
        def readable(self) -> bool:
            asked.append("overridden")
            return True

    for ours, _ in pairs[1:]:
        plain(ours, channels)
    Asks(pairs[0][0], channels)
    net.asyncore.loop(timeout=0, map=channels, count=3)
    asked.clear()

    def watch(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name in ("readable", "writable"):
            asked.append(frame.f_code.co_qualname)

    sys.setprofile(watch)
    try:
        net.asyncore.loop(timeout=0, map=channels, count=20)
    finally:
        sys.setprofile(None)
    assert asked.count("overridden") == 20
    assert len(asked) <= 3 * 20, "others were asked too"
    net.asyncore.close_all(channels)
    for _, theirs in pairs:
        theirs.close()


# ---- that these tests test something


def test_every_defect_has_its_test() -> None:
    assert set(DEFECTS) == _TESTED


@pytest.mark.slow
def test_every_one_of_these_fails_on_the_modules_of_python_3_11(tmp_path: Path) -> None:
    outcomes = on_the_modules_of_3_11(__file__, "not every_defect and not every_one_of_these", tmp_path)
    assert len(outcomes) > len(DEFECTS)
    assert [name for name, outcome in outcomes.items() if outcome not in ("failed", "skipped")] == []
