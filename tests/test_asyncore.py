"""asyncore's contract, point by point, as programs rely on it."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from httpd.net import asyncore, listening
from httpd.net.backends import ERROR, HUNG_UP, INVALID, READ, URGENT, WRITE
from httpd.net.interest import announced

from .scripted import BLOCKS, BROKEN, EOF, RESET, ScriptedSocket
from .tools import TOP


@pytest.fixture
def channels() -> Iterator[dict[int, Any]]:
    """A map of the test's own; what is left in it is closed."""
    made: dict[int, Any] = {}
    yield made
    asyncore.close_all(made, ignore_all=True)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    asyncore.close_all(ignore_all=True)


def turns(channels: dict[int, Any], until: Callable[[], object] = lambda: False, most: int = 100, **how: Any) -> int:
    """Passes of the loop until the condition holds; how many it took."""
    for number in range(most):
        if until():
            return number
        asyncore.loop(timeout=0.02, map=channels, count=1, **how)
    return most


class Quiet(asyncore.dispatcher):
    """Only reads; counts its events."""

    def __init__(self, sock: Any = None, channels: Any = None) -> None:
        super().__init__(sock, channels)
        self.events: list[str] = []
        self.data = b""

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        self.events.append("read")
        self.data += self.recv(4096)

    def handle_write(self) -> None:
        self.events.append("write")

    def handle_connect(self) -> None:
        self.events.append("connect")

    def handle_expt(self) -> None:
        self.events.append("urgent")

    def handle_close(self) -> None:
        self.events.append("close")
        self.close()


# ---- the names that programs reach for

NAMES = """
    ExitNow close_all compact_traceback dispatcher dispatcher_with_send file_dispatcher file_wrapper loop poll poll2
    poll3
    read readwrite socket_map write _exception _DISCONNECTED _strerror _reraised_exceptions
    select socket sys time os warnings errorcode
    EALREADY EINPROGRESS EWOULDBLOCK ECONNRESET EINVAL ENOTCONN ESHUTDOWN EISCONN EBADF ECONNABORTED EPIPE EAGAIN
"""


@pytest.mark.parametrize(
    "name",
    NAMES.split(),
)
def test_the_names_that_programs_read(name: str) -> None:
    assert hasattr(asyncore, name)


def test_the_modules_of_the_house_are_one_with_those_of_the_front_door() -> None:
    import httpd

    assert httpd.asyncore is asyncore
    assert httpd.asynchat.asyncore is asyncore


def test_socket_is_looked_up_at_the_call(monkeypatch: pytest.MonkeyPatch, channels: dict[int, Any]) -> None:
    made = []

    def factory(family: int, kind: int) -> ScriptedSocket:
        made.append((family, kind))
        return ScriptedSocket([b"x"])

    monkeypatch.setattr(asyncore, "socket", SimpleNamespace(socket=factory, SOL_SOCKET=1, SO_ERROR=4))
    channel = Quiet(None, channels)
    channel.create_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    channels.clear()
    assert made == [(socket.AF_INET6, socket.SOCK_DGRAM)]
    assert channel.family_and_type == made[0]
    channel.handle_connect_event()
    assert channel.connected


def test_socket_map_is_looked_up_at_the_call(monkeypatch: pytest.MonkeyPatch, pair: Any) -> None:
    own: dict[int, Any] = {}
    monkeypatch.setattr(asyncore, "socket_map", own)
    ours, theirs = pair
    channel = Quiet(ours)
    assert own == {ours.fileno(): channel}
    theirs.send(b"x")
    asyncore.loop(timeout=1, count=1)
    assert channel.data == b"x"
    asyncore.close_all()
    assert own == {}
    assert ours.fileno() == -1


@pytest.mark.parametrize(("use_poll", "name"), [(False, "poll"), (True, "poll2")])
def test_loop_calls_the_modules_poll(monkeypatch: pytest.MonkeyPatch, use_poll: bool, name: str) -> None:
    calls = []
    monkeypatch.setattr(asyncore, name, lambda timeout, map: calls.append((timeout, map)))
    own = {1: object()}
    asyncore.loop(timeout=7, use_poll=use_poll, map=own, count=2)
    assert calls == [(7, own), (7, own)]


def test_strerror() -> None:
    assert asyncore._strerror(errno.EPERM) == os.strerror(errno.EPERM)
    assert asyncore._strerror(10**30) == f"Unknown error {10**30}"


# ---- the map


def test_a_loop_without_channels_ends_at_once() -> None:
    began = time.monotonic()
    asyncore.loop(timeout=30, map={})
    asyncore.loop(timeout=30, map={}, count=3)
    asyncore.poll(30, {})
    assert time.monotonic() - began < 1


def test_the_loop_ends_when_the_map_is_empty(pair: Any, channels: dict[int, Any]) -> None:
    ours, theirs = pair
    Quiet(ours, channels)
    theirs.close()
    asyncore.loop(timeout=5, map=channels)
    assert channels == {}


@pytest.mark.parametrize("shared", [True, False], ids=["socket_map", "a plain dict"])
def test_users_change_the_map_themselves(pair: Any, shared: bool) -> None:
    own = asyncore.socket_map if shared else {}
    ours, theirs = pair
    channel = Quiet(ours, {})
    theirs.send(b"1")
    other, far = socket.socketpair()
    idle = Quiet(other, own)
    turns(own, most=1)
    own[ours.fileno()] = channel
    turns(own, most=1)
    assert channel.data == b"1"
    theirs.send(b"2")
    del own[ours.fileno()]
    assert turns(own, lambda: channel.data == b"12", 3) == 3
    own.update({ours.fileno(): channel})
    turns(own, most=1)
    assert channel.data == b"12"
    assert own.pop(ours.fileno()) is channel
    assert own.pop(ours.fileno(), None) is None
    theirs.send(b"3")
    turns(own, most=1)
    assert own.setdefault(ours.fileno(), channel) is channel
    turns(own, most=1)
    assert channel.data == b"123"
    assert own.popitem() == (ours.fileno(), channel)
    own |= {ours.fileno(): channel}
    theirs.send(b"4")
    turns(own, most=1)
    assert channel.data == b"1234"
    own.clear()
    theirs.send(b"5")
    turns(own, most=2)
    assert channel.data == b"1234"
    assert idle.events == []
    other.close()
    far.close()


def test_the_kinds_of_dict_behave_as_dicts() -> None:
    with pytest.raises(KeyError):
        asyncore.socket_map.popitem()
    with pytest.raises(KeyError):
        asyncore.socket_map.pop(5)
    with pytest.raises(KeyError):
        del asyncore.socket_map[5]
    assert isinstance(asyncore.socket_map, dict)


def test_values_need_not_be_dispatchers(pair: Any, channels: dict[int, Any]) -> None:
    class Own:
        """All that the loop ever asked of a value."""

        __slots__ = ("events",)
        accepting = False

        def __init__(self) -> None:
            self.events: list[str] = []

        def readable(self) -> bool:
            return True

        def writable(self) -> bool:
            return not self.events

        def handle_read_event(self) -> None:
            self.events.append("read")
            ours.recv(10)

        def handle_write_event(self) -> None:
            self.events.append("write")

        def handle_close(self) -> None:
            self.events.append("close")
            channels.clear()

        def handle_error(self) -> None:
            raise AssertionError

    ours, theirs = pair
    own = channels[ours.fileno()] = Own()
    turns(channels, most=1)
    theirs.send(b"x")
    turns(channels, most=1)
    assert own.events == ["write", "read"]
    theirs.close()
    turns(channels, lambda: not channels)
    assert own.events[-1] == "close"


def test_a_channel_may_close_another_in_the_same_pass(channels: dict[int, Any]) -> None:
    class Closes(Quiet):
        def handle_read(self) -> None:
            super().handle_read()
            for channel in list(channels.values()):
                if channel is not self:
                    channel.close()

    pairs = [socket.socketpair() for _ in range(5)]
    made = [Closes(ours, channels) for ours, _ in pairs]
    for _, theirs in pairs:
        theirs.send(b"x")
    turns(channels, most=1)
    assert sorted(len(channel.events) for channel in made) == [0, 0, 0, 0, 1]
    for _, theirs in pairs:
        theirs.close()


def test_the_map_may_be_cleared_in_a_pass(pair: Any, channels: dict[int, Any]) -> None:
    class Clears(Quiet):
        def handle_read(self) -> None:
            super().handle_read()
            channels.clear()

    ours, theirs = pair
    other, far = socket.socketpair()
    made = [Clears(ours, channels), Clears(other, channels)]
    theirs.send(b"x")
    far.send(b"x")
    asyncore.loop(timeout=1, map=channels)
    assert sum(len(channel.events) for channel in made) == 1
    other.close()
    far.close()


def pair_at(number: int) -> tuple[socket.socket, socket.socket]:
    """A connected pair; the first has this number, which is free."""
    ours, theirs = socket.socketpair()
    if theirs.fileno() == number:
        ours, theirs = theirs, ours
    if ours.fileno() != number:
        with ours:
            ours = socket.socket(fileno=os.dup2(ours.fileno(), number))
    return ours, theirs


def test_another_channel_on_the_same_number_is_waited_for(channels: dict[int, Any]) -> None:
    ours, theirs = socket.socketpair()
    first = Quiet(ours, channels)
    turns(channels, most=1)
    number = ours.fileno()
    # Closed behind its back, and the number is in use again.
    ours.close()
    theirs.close()
    ours, theirs = pair_at(number)
    second = Quiet(ours, channels)
    theirs.send(b"x")
    turns(channels, lambda: second.data)
    assert second.data == b"x"
    assert first.events == []
    for sock in (ours, theirs):
        sock.close()


@pytest.mark.parametrize("shared", [True, False], ids=["socket_map", "a plain dict"])
def test_a_channel_that_connects_again_on_the_same_number_is_waited_for(shared: bool) -> None:
    class Again(Quiet):
        def handle_close(self) -> None:
            super().handle_close()
            if self.events.count("close") == 1:
                self.begin(*pair_at(number))

        def begin(self, ours: socket.socket, theirs: socket.socket) -> None:
            self.theirs = theirs
            ours.setblocking(False)
            self.set_socket(ours)
            self.connected = True

    own = asyncore.socket_map if shared else {}
    channel = Again(None, own)
    channel.begin(*socket.socketpair())
    number = channel._fileno
    turns(own, most=1)
    channel.theirs.close()
    turns(own, lambda: "close" in channel.events)
    assert channel._fileno == number
    channel.theirs.send(b"second life")
    turns(own, lambda: channel.data == b"second life")
    channel.theirs.close()
    turns(own, lambda: not own)
    assert channel.events.count("close") == 2


def test_an_event_of_the_old_socket_does_not_reach_the_new_one(pair: Any, channels: dict[int, Any]) -> None:
    class Switches(Quiet):
        def writable(self) -> bool:
            return True

        def handle_read(self) -> None:
            self.events.append("read")
            self.close()
            self.set_socket(ScriptedSocket())

    ours, theirs = pair
    channel = Switches(ours, channels)
    theirs.send(b"x")
    asyncore.readwrite(channel, READ | WRITE | URGENT | HUNG_UP)
    assert channel.events == ["read"]
    channels.clear()


# ---- what is asked, and when


def test_overridden_questions_are_asked_on_every_pass_and_may_do_work(channels: dict[int, Any], pair: Any) -> None:
    class Works(Quiet):
        asked = 0

        def readable(self) -> bool:
            self.asked += 1
            if self.asked == 5:
                asyncore.close_all(channels)
            return True

    ours, _ = pair
    channel = Works(ours, channels)
    asyncore.loop(timeout=0.01, map=channels)
    assert channel.asked == 5


def test_a_question_may_make_and_close_channels(channels: dict[int, Any], pair: Any) -> None:
    pairs: list[Any] = []

    class Replaces(Quiet):
        def readable(self) -> bool:
            if len(pairs) < 3:
                pairs.append(socket.socketpair())
                pairs[-1][1].send(b"hello")
                Quiet(pairs[-1][0], channels)
            return True

    Replaces(pair[0], channels)
    turns(channels, most=4)
    assert [channel.data for channel in list(channels.values())[1:]] == [b"hello"] * 3
    for _, theirs in pairs:
        theirs.close()


def test_a_question_that_raises_is_an_error_of_its_channel(
    channels: dict[int, Any], pair: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Quiet):
        def readable(self) -> bool:
            raise ZeroDivisionError("cannot say")

    channel = Fails(pair[0], channels)
    with caplog.at_level(logging.ERROR):
        turns(channels, most=2)
    assert channel.events == ["close"]
    assert "cannot say" in caplog.text


def test_an_error_handler_that_fails_while_a_question_is_asked_is_logged(
    channels: dict[int, Any], pair: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Quiet):
        def readable(self) -> bool:
            raise ZeroDivisionError

        def handle_error(self) -> None:
            raise ValueError("nor help")

    Fails(pair[0], channels)
    with caplog.at_level(logging.ERROR):
        turns(channels, most=1)
    assert "nor help" in caplog.text


def test_a_question_may_leave_the_loop(channels: dict[int, Any], pair: Any) -> None:
    class Leaves(Quiet):
        def readable(self) -> bool:
            raise asyncore.ExitNow

    Leaves(pair[0], channels)
    with pytest.raises(asyncore.ExitNow):
        asyncore.loop(timeout=5, map=channels)


def test_a_file_that_has_no_number_once_it_is_closed(channels: dict[int, Any], pair: Any) -> None:
    class Wrapped:
        """As a file object is: closed, it raises."""

        def __init__(self, sock: Any) -> None:
            self.sock, self.number = sock, sock.fileno()

        def fileno(self) -> int:
            if self.sock.fileno() < 0:
                raise ValueError("closed")
            return int(self.number)

        def close(self) -> None:
            self.sock.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    class Closes(Quiet):
        def handle_read(self) -> None:
            self.close()

    ours, theirs = pair
    channel = Closes(None, channels)
    channel.set_socket(Wrapped(ours))
    channel.connected = True
    theirs.send(b"x")
    idle, other = socket.socketpair()
    with idle, other:
        stays = Quiet(idle, channels)
        turns(channels, most=3)
        assert list(channels.values()) == [stays]


def test_who_says_no_hears_nothing(channels: dict[int, Any], pair: Any) -> None:
    class Deaf(Quiet):
        def readable(self) -> bool:
            return False

    ours, theirs = pair
    channel = Deaf(ours, channels)
    theirs.send(b"x")
    theirs.close()
    turns(channels, most=3)
    assert channel.events == []


def test_a_foreign_predicate_may_be_announced(channels: dict[int, Any], pair: Any) -> None:
    asked = []

    class Says(Quiet):
        wants = False

        @announced
        def readable(self) -> bool:
            asked.append("readable")
            return self.wants

        @announced
        def writable(self) -> bool:
            return False

    ours, theirs = pair
    channel = Says(ours, channels)
    theirs.send(b"x")
    turns(channels, most=5)
    assert (len(asked), channel.events) == (1, [])
    channel.wants = True
    turns(channels, most=2)
    assert channel.events == []
    channel.interest_changed()
    turns(channels, lambda: channel.data)
    assert channel.data == b"x"


def test_interest_changed_on_a_channel_that_nobody_keeps() -> None:
    Quiet().interest_changed()


@pytest.mark.parametrize("kind", ["listening", "connected", "nothing wanted"])
def test_nothing_to_do_costs_nothing(channels: dict[int, Any], pair: Any, kind: str) -> None:
    if kind == "listening":
        listener = asyncore.dispatcher(map=channels)
        listener.create_socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
    else:
        channel = Quiet(pair[0], channels)
        if kind == "nothing wanted":
            channel.readable = lambda: False  # type: ignore[method-assign]
    passes = 0
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        asyncore.loop(timeout=0.05, map=channels, count=1)
        passes += 1
    assert passes <= 6


def test_a_connection_that_is_gone_does_not_spin_even_if_nobody_closes_it(channels: dict[int, Any], pair: Any) -> None:
    class Keeps(asyncore.dispatcher):
        closes = 0

        def readable(self) -> bool:
            return False

        def handle_write(self) -> None:
            pass

        def writable(self) -> bool:
            return self.closes == 0

        def handle_close(self) -> None:
            self.closes += 1

    client, server = tcp()
    with client:
        channel = Keeps(server, channels)
        turns(channels, most=1)
        server.shutdown(socket.SHUT_RDWR)
        reset(client)
        turns(channels, most=2)
        assert turns(channels, lambda: False, 5) == 5
    assert channel.closes == 1
    began = time.monotonic()
    asyncore.loop(timeout=0.1, map=channels, count=2)
    assert time.monotonic() - began > 0.15
    channel.close()


@pytest.mark.parametrize("asked", [False, True])
def test_who_stays_when_the_peer_has_ended_is_told_once_and_may_still_send(
    channels: dict[int, Any], pair: Any, asked: bool
) -> None:
    class Stays(asyncore.dispatcher):
        closes = 0

        @announced
        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            self.recv(10)

        def handle_close(self) -> None:
            self.closes += 1

    ours, theirs = pair
    channel = Stays(ours, channels)
    if asked:
        channel.readable = lambda: True  # type: ignore[method-assign]
    theirs.shutdown(socket.SHUT_WR)
    turns(channels, lambda: channel.closes > 0)
    asyncore.loop(timeout=0, map=channels, count=1)
    began = time.monotonic()
    asyncore.loop(timeout=0.1, map=channels, count=2)
    assert time.monotonic() - began > 0.15
    assert channel.closes == 1
    channel.send(b"all the same")
    assert theirs.recv(100) == b"all the same"
    # With another socket it begins anew.
    channel.del_channel()
    again, far = socket.socketpair()
    far.close()
    channel.set_socket(again)
    turns(channels, lambda: channel.closes > 1)
    assert channel.closes == 2
    channel.close()


def test_an_empty_datagram_is_no_end(channels: dict[int, Any]) -> None:
    got: list[bytes] = []

    class Hears(Quiet):
        def handle_read(self) -> None:
            got.append(self.recv(10))

        def handle_close(self) -> None:
            pass

    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    with ours, theirs:
        Hears(ours, channels)
        for data in (b"", b"x"):
            theirs.send(data)
            turns(channels, lambda data=data: got[-1:] == [data])  # type: ignore[misc]


def test_urgent_data_does_not_spin_who_does_not_wait_for_it(channels: dict[int, Any]) -> None:
    class Ignores(asyncore.dispatcher):
        data = b""

        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            self.data += self.recv(100)

    client, server = tcp()
    with client:
        channel = Ignores(server, channels)
        client.send(b"!", socket.MSG_OOB)
        client.send(b"data")
        turns(channels, lambda: channel.data == b"data")
        assert channel.data == b"data"
        began = time.monotonic()
        asyncore.loop(timeout=0.05, map=channels, count=2)
        assert time.monotonic() - began > 0.08


def test_urgent_data_reaches_who_waits_for_it(channels: dict[int, Any]) -> None:
    class Hears(Quiet):
        def readable(self) -> bool:
            return "urgent" not in self.events

        def handle_read(self) -> None:
            """The kernel may say readable for a moment, before it knows that the byte is an urgent one."""

    client, server = tcp()
    with client:
        channel = Hears(server, channels)
        client.send(b"!", socket.MSG_OOB)
        turns(channels, lambda: "urgent" in channel.events, 20)
        assert server.recv(1, socket.MSG_OOB) == b"!"
    plain = Quiet(ScriptedSocket(), {})
    asyncore.readwrite(plain, URGENT)
    assert plain.events == ["urgent"]


# ---- overridden hooks


def test_the_channels_own_map_methods_are_used(pair: Any) -> None:
    calls = []
    own: dict[int, Any] = {}

    class Own(Quiet):
        def add_channel(self, map: Any = None) -> None:
            calls.append("add")
            own[self._fileno or 0] = self

        def del_channel(self, map: Any = None) -> None:
            calls.append("del")
            own.clear()

    channel = Own(pair[0])
    assert asyncore.socket_map == {}
    pair[1].send(b"x")
    turns(own, lambda: channel.data)
    channel.close()
    assert calls == ["add", "del"]


def test_handle_read_event_as_a_class_attribute(pair: Any, channels: dict[int, Any]) -> None:
    seen = []
    channel = Quiet(pair[0], channels)
    try:
        Quiet.handle_read_event = lambda self: seen.append(self.recv(10))  # type: ignore[method-assign]
        pair[1].send(b"x")
        turns(channels, lambda: seen)
    finally:
        del Quiet.handle_read_event
    assert seen == [b"x"]
    assert channel.events == []


def test_handle_error_is_the_programs(pair: Any, channels: dict[int, Any]) -> None:
    errors = []

    class Own(Quiet):
        def handle_read(self) -> None:
            self.recv(10)
            raise ValueError("mine")

        def handle_error(self) -> None:
            errors.append(sys.exc_info()[1])

    Own(pair[0], channels)
    pair[1].send(b"x")
    turns(channels, lambda: errors)
    assert [str(error) for error in errors] == ["mine"]
    assert len(channels) == 1


@pytest.mark.parametrize("where", ["class", "instance", "base"])
def test_log_info_is_the_programs(monkeypatch: pytest.MonkeyPatch, where: str, channels: dict[int, Any]) -> None:
    told = []
    channel = Quiet(ScriptedSocket(), {})
    if where == "instance":
        channel.log_info = lambda message, kind="info": told.append((kind, message))  # type: ignore[method-assign]
    else:
        owner = Quiet if where == "class" else asyncore.dispatcher
        monkeypatch.setattr(
            owner, "log_info", lambda self, message, kind="info": told.append((kind, message)), raising=where == "base"
        )
    monkeypatch.setattr(Quiet, "handle_read", lambda self: 1 / 0)
    asyncore.read(channel)
    assert [kind for kind, _ in told] == ["error"]
    assert "uncaptured python exception" in told[0][1]
    assert "ZeroDivisionError" in told[0][1]
    assert channel.events == ["close"]


def test_an_object_that_cannot_say_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Quiet):
        def __repr__(self) -> str:
            raise ValueError

        def handle_read(self) -> None:
            raise KeyError("lost")

    asyncore.read(Odd(ScriptedSocket(), {}))
    assert "__repr__(self) failed for object at" in caplog.text


# ---- sockets


@pytest.mark.parametrize("own_half", [True, False], ids=["as here", "as elsewhere"])
def test_an_accepted_socket_is_as_the_standard_librarys(own_half: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not own_half:
        monkeypatch.setattr(listening, "_HAS_HALF", False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for accepts in (socket.socket.accept, listening.accept):
            with socket.create_connection(listener.getsockname()) as client, accepts(listener)[0] as sock:
                assert type(sock) is socket.socket
                assert (sock.family, sock.type, sock.proto) == (listener.family, listener.type, listener.proto)
                assert (sock.getpeername(), sock.gettimeout()) == (client.getsockname(), None)
                assert not sock.get_inheritable()


def test_a_socket_that_accepts_in_its_own_way_does() -> None:
    class Own(socket.socket):
        def accept(self) -> Any:
            return "a socket", "an address"

    channel = Quiet(channels={})
    with Own() as channel.socket:
        assert channel.accept() == ("a socket", "an address")


def test_what_cannot_be_received_yet_leaves_no_garbage(pair: tuple[socket.socket, socket.socket]) -> None:
    channel = Quiet(pair[0], {})
    gc.collect()
    for _ in range(3):
        with contextlib.suppress(BlockingIOError):
            channel.recv(1)
    assert gc.collect() == 0


def tcp() -> tuple[socket.socket, socket.socket]:
    """(client, server's side) over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_anything_with_fileno_close_and_getsockopt_is_a_socket(channels: dict[int, Any]) -> None:
    reading, writing = os.pipe()

    class Pipe:
        closed = 0

        def fileno(self) -> int:
            return reading

        def close(self) -> None:
            self.closed += 1
            os.close(reading)

        def getsockopt(self, *arguments: Any) -> int:
            return 0

    got = []

    class Reads(asyncore.dispatcher):
        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            got.append(os.read(reading, 10))

    channel = Reads(map=channels)
    pipe = Pipe()
    channel.set_socket(pipe)
    os.write(writing, b"x")
    turns(channels, lambda: got)
    assert got == [b"x"]
    channel.close()
    os.close(writing)
    assert pipe.closed == 1


def test_an_unconnected_socket_is_not_connected(channels: dict[int, Any]) -> None:
    with socket.socket() as sock:
        channel = asyncore.dispatcher(sock, channels)
        assert not channel.connected
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"waiting", sock.getsockname())
        assert not asyncore.dispatcher(sock, channels).connected
    channels.clear()


def test_a_socket_that_is_broken_otherwise_is_refused(channels: dict[int, Any]) -> None:
    with pytest.raises(OSError, match="strange"):
        asyncore.dispatcher(ScriptedSocket(peer=OSError(errno.EIO, "strange")), channels)
    assert channels == {}


@pytest.mark.parametrize("data", [b"", b"last words\r\n"])
def test_a_peer_gone_before_is_read_to_its_end(channels: dict[int, Any], data: bytes) -> None:
    client, server = tcp()
    client.sendall(data)
    time.sleep(0.02)
    reset(client)
    time.sleep(0.02)
    channel = Quiet(server, channels)
    turns(channels, lambda: not channels)
    assert channels == {}
    assert channel.events[-1] == "close"
    assert channel.events.count("close") == 1


def test_a_tls_socket_whose_peer_is_gone_was_connected(channels: dict[int, Any]) -> None:
    class Tls(ScriptedSocket):
        def recv(self, size: int, flags: int = 0) -> bytes:
            if flags:
                raise ValueError("non-zero flags not allowed")
            return super().recv(size)

    sock = Tls([EOF], peer=OSError(errno.ENOTCONN, "gone"))
    channel = Quiet(sock, {})
    assert channel.connected
    asyncore.read(channel)
    assert channel.events == ["read", "close"]


def test_a_channel_that_was_given_another_socket_is_not_closed_for_the_first(pair: Any) -> None:
    class Deaf(Quiet):
        def readable(self) -> bool:
            return False

    client, server = tcp()
    reset(client)
    time.sleep(0.02)
    channels: dict[int, Any] = {}
    channel = Deaf(server, channels)
    channel.del_channel()
    channel.set_socket(pair[0])
    turns(channels, most=2)
    assert channel.events == []
    server.close()
    channel.close()


def test_connecting(channels: dict[int, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = Quiet(None, channels)
        channel.writable = lambda: not channel.connected  # type: ignore[method-assign]
        channel.create_socket()
        channel.connect(listener.getsockname())
        assert channel.connecting
        assert channel.addr == listener.getsockname()
        turns(channels, lambda: channel.connected)
        assert channel.events[0] == "connect"
        assert not channel.connecting


def test_a_listener_may_change_its_mind_while_it_listens(channels: dict[int, Any]) -> None:
    accepted = []
    listener = Quiet(None, channels)
    listener.handle_accepted = lambda sock, address: accepted.append(sock)  # type: ignore[method-assign]
    listener.create_socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    turns(channels, most=1)
    listener.listen(10)
    with socket.create_connection(listener.socket.getsockname()):
        turns(channels, lambda: accepted)
    accepted[0].close()


def test_connecting_to_nobody(channels: dict[int, Any], caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    channel = Quiet(None, channels)
    channel.writable = lambda: True  # type: ignore[method-assign]
    channel.create_socket()
    channel.connect(address)
    turns(channels, lambda: not channels)
    assert channel.events == ["close"]
    assert "refused" in caplog.text


@pytest.mark.parametrize("answer", [0, errno.EISCONN])
def test_a_connection_made_at_once(answer: int) -> None:
    sock: Any = ScriptedSocket()
    sock.connect_ex = lambda address: answer
    channel = Quiet(None, {})
    channel.set_socket(sock)
    channel.connect(("192.0.2.1", 80))
    assert channel.connected
    assert channel.events == ["connect"]


def test_a_connection_that_cannot_be_begun() -> None:
    sock: Any = ScriptedSocket()
    sock.connect_ex = lambda address: errno.ENETUNREACH
    channel = Quiet(None, {})
    channel.set_socket(sock)
    with pytest.raises(OSError, match="ENETUNREACH"):
        channel.connect(("192.0.2.1", 80))


def test_windows_says_some_things_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    sock: Any = ScriptedSocket()
    sock.connect_ex = lambda address: errno.EINVAL
    asked = []
    sock.listen = asked.append
    channel = Quiet(None, {})
    channel.set_socket(sock)
    with monkeypatch.context() as windows:
        windows.setattr(asyncore.os, "name", "nt")
        channel.connect(("192.0.2.1", 80))
        channel.listen(100)
    assert channel.connecting
    assert asked == [5]


def test_a_connecting_channel_that_becomes_readable_is_connected() -> None:
    channel = Quiet(ScriptedSocket([b"x", b"y"]), {})
    channel.connected, channel.connecting = False, True
    channel.handle_read_event()
    assert channel.events == ["connect", "read"]
    channel.connected = False
    channel.handle_read_event()
    assert channel.events == ["connect", "read", "read"]


def test_a_connection_that_failed_is_an_error() -> None:
    sock: Any = ScriptedSocket()
    sock.getsockopt = lambda level, name: errno.ECONNREFUSED
    channel = Quiet(sock, {})
    channel.connected, channel.connecting = False, True
    with pytest.raises(ConnectionRefusedError):
        channel.handle_write_event()


def test_a_listener_hears_no_write_event() -> None:
    channel = Quiet(ScriptedSocket(), {})
    channel.accepting = True
    channel.handle_write_event()
    assert channel.events == []


@pytest.mark.parametrize("nothing", [TypeError(), OSError(errno.ECONNABORTED, "x"), OSError(errno.EAGAIN, "x")])
def test_a_connection_that_went_before_it_was_accepted(nothing: Exception) -> None:
    def accept() -> Any:
        raise nothing

    sock: Any = ScriptedSocket()
    sock.accept = accept
    channel = Quiet(sock, {})
    channel.accepting = True
    channel.handle_read_event()
    assert channel.accept() is None


def test_a_listener_that_fails_otherwise_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    def accept() -> Any:
        raise OSError(errno.EINVAL, "not listening")

    sock: Any = ScriptedSocket()
    sock.accept = accept
    channel = Quiet(sock, {})
    channel.accepting = True
    asyncore.read(channel)
    assert channel.events == ["close"]
    assert "not listening" in caplog.text


def test_a_listener_outside_a_loop_has_nothing_to_rest_from(caplog: pytest.LogCaptureFixture) -> None:
    def accept() -> Any:
        raise OSError(errno.EMFILE, "too many")

    sock: Any = ScriptedSocket()
    sock.accept = accept
    channel = Quiet(sock, {})
    channel.accepting = True
    assert channel.accept() is None
    assert channel.accept() is None
    assert caplog.text.count("cannot accept") == 1


def test_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    asyncore.dispatcher(map={}).log("a hit")
    assert capsys.readouterr().err == "log: a hit\n"


def test_poll_serves_socket_map_by_default(pair: Any) -> None:
    channel = Quiet(pair[0])
    pair[1].send(b"x")
    asyncore.poll(1)
    assert channel.data == b"x"


def test_the_default_handlers_only_say_so(capsys: pytest.CaptureFixture[str], channels: dict[int, Any]) -> None:
    ours, theirs = socket.socketpair()
    channel = asyncore.dispatcher(ours, channels)
    channel.ignore_log_types = frozenset()
    channel.handle_connect()
    channel.handle_read()
    channel.handle_write()
    channel.handle_expt()
    channel.handle_accepted(theirs, None)
    channel.handle_close()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("unhandled ")[2] for line in said] == [
        "connect event",
        "read event",
        "write event",
        "incoming priority event",
        "accepted event",
        "close event",
    ]
    assert theirs.fileno() == ours.fileno() == -1


def test_what_a_channel_looks_like(pair: Any) -> None:
    channel = asyncore.dispatcher(map={})
    assert repr(channel) == f"<asyncore.dispatcher at {id(channel):#x}>"
    channel.addr = ("127.0.0.1", 80)
    channel.accepting = True
    assert "listening 127.0.0.1:80" in repr(channel)
    channel.accepting, channel.connected, channel.addr = False, True, ("::1", 80, 0, 0)
    assert "connected ('::1', 80, 0, 0)" in repr(channel)
    channel.addr = "/run/socket"
    assert "/run/socket" in repr(channel)


# ---- sending and receiving


@pytest.mark.parametrize(("script", "sent"), [(3, 3), (BLOCKS, 0), (BROKEN, 0), (RESET, 0)])
def test_send(script: Any, sent: int) -> None:
    channel = Quiet(ScriptedSocket(takes=[script]), {})
    assert channel.send(b"12345") == sent
    assert channel.events == (["close"] if script in (BROKEN, RESET) else [])


def test_send_raises_what_is_no_end() -> None:
    channel = Quiet(ScriptedSocket(takes=[OSError(errno.EIO, "strange")]), {})
    with pytest.raises(OSError, match="strange"):
        channel.send(b"x")


@pytest.mark.parametrize(("script", "got"), [(b"abc", b"abc"), (EOF, b""), (RESET, b"")])
def test_recv(script: Any, got: bytes) -> None:
    channel = Quiet(ScriptedSocket([script]), {})
    assert channel.recv(10) == got
    assert channel.events == ([] if got else ["close"])


def test_recv_raises_what_is_no_end() -> None:
    channel = Quiet(ScriptedSocket([BLOCKS]), {})
    with pytest.raises(BlockingIOError):
        channel.recv(10)


def test_the_peers_end_and_a_lost_connection_can_be_told_apart() -> None:
    class Tells(Quiet):
        def handle_eof(self) -> None:
            self.events.append("eof")

    ended, lost = Tells(ScriptedSocket([EOF]), {}), Tells(ScriptedSocket([RESET]), {})
    for channel in (ended, lost):
        assert channel.recv(10) == b""
    assert (ended.events, lost.events) == (["eof"], ["close"])


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.EBADF])
def test_closing_what_is_closed(number: int) -> None:
    class Gone(ScriptedSocket):
        def close(self) -> None:
            raise OSError(number, "x")

    asyncore.dispatcher(Gone(), {}).close()


def test_closing_that_fails_otherwise() -> None:
    class Fails(ScriptedSocket):
        def close(self) -> None:
            raise OSError(errno.EIO, "unsaved")

    with pytest.raises(OSError, match="unsaved"):
        asyncore.dispatcher(Fails(), {}).close()


def test_closing_what_never_had_a_socket() -> None:
    asyncore.dispatcher(map={}).close()


def test_reuse_addr_where_it_cannot_be() -> None:
    class Fails(ScriptedSocket):
        def setsockopt(self, *arguments: Any) -> None:
            raise OSError(errno.ENOPROTOOPT, "no")

    asyncore.dispatcher(Fails(), {}).set_reuse_addr()


# ---- events to methods


@pytest.mark.parametrize("flags", [HUNG_UP, ERROR, INVALID])
def test_the_end_is_told_once(flags: int) -> None:
    class Keeps(Quiet):
        def handle_close(self) -> None:
            self.events.append("close")

    channel = Keeps(ScriptedSocket(), {})
    asyncore.readwrite(channel, flags)
    asyncore.readwrite(channel, flags)
    assert channel.events == ["close"]


def test_with_data_to_read_a_hang_up_waits(pair: Any) -> None:
    class Little(Quiet):
        def handle_read(self) -> None:
            self.events.append("read")
            self.socket.recv(2)

    ours, theirs = pair
    theirs.send(b"abc")
    channel = Little(ours, {})
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert channel.events == ["read"]
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert channel.events == ["read", "read", "close"]


@pytest.mark.programs
def test_a_hang_up_waits_on_the_lowest_descriptor_too() -> None:
    """A program started without standard input has a socket of the number 0."""
    program = """
import os, socket
from httpd.net import asyncore

class Reader(asyncore.dispatcher):
    def readable(self): return True
    def writable(self): return False
    def handle_read(self): print(self.recv(2).decode(), end="")
    def handle_close(self): self.close()

os.close(0)
ours, theirs = socket.socketpair()
assert ours.fileno() == 0
theirs.sendall(b"abcdef")
theirs.close()
Reader(ours)
asyncore.loop(0.1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TOP, timeout=30)
    assert (done.stdout, done.stderr) == ("abcdef", "")


def test_what_tls_has_decrypted_is_read_before_a_hang_up(pair: Any) -> None:
    class Tls:
        """A socket that holds back what was received, as TLS does."""

        held = [b"a", b"b"]

        def fileno(self) -> int:
            return int(pair[0].fileno())

        def pending(self) -> int:
            return len(self.held)

        def recv(self, size: int) -> bytes:
            return self.held.pop(0)

        def close(self) -> None: ...

    channel = Quiet(None, {})
    channel.set_socket(Tls())
    channel.connected = True
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert channel.events == ["read"]
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert (channel.events, channel.data) == (["read", "read", "close"], b"ab")


def test_a_socket_that_cannot_say_what_is_unread_is_closed() -> None:
    channel = Quiet(ScriptedSocket([b"abc"]), {})
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert channel.events == ["read", "close"]


def test_who_does_not_read_is_told_of_the_hang_up_all_the_same() -> None:
    class Never(asyncore.dispatcher):
        closes = 0

        def handle_close(self) -> None:
            self.closes += 1

    channel = Never(ScriptedSocket([b"x"]), {})
    asyncore.readwrite(channel, READ | HUNG_UP)
    assert channel.closes == 1


@pytest.mark.parametrize(
    "error", [ConnectionResetError(errno.ECONNRESET, "x"), OSError(errno.EIO, "x"), ValueError("x")]
)
def test_what_a_handler_raises_closes_its_channel(error: Exception) -> None:
    class Fails(Quiet):
        def handle_read(self) -> None:
            raise error

    channel = Fails(ScriptedSocket(), {})
    asyncore.readwrite(channel, READ)
    assert channel.events == ["close"]


def test_a_lost_connection_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Quiet):
        def handle_read(self) -> None:
            raise ConnectionResetError(errno.ECONNRESET, "x")

    asyncore.readwrite(Fails(ScriptedSocket(), {}), READ)
    assert caplog.text == ""


@pytest.mark.parametrize("leave", [asyncore.ExitNow, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("give", [asyncore.read, asyncore.write, asyncore._exception, None])
def test_who_leaves_the_loop_gets_through(leave: type[BaseException], give: Any) -> None:
    def leaves(*arguments: Any) -> None:
        raise leave

    channel: Any = Quiet(ScriptedSocket(), {})
    channel.handle_read_event = channel.handle_write_event = channel.handle_expt_event = leaves
    with pytest.raises(leave):
        give(channel) if give else asyncore.readwrite(channel, READ)
    assert channel.events == []


def test_after_someone_left_the_loop_it_can_go_on(channels: dict[int, Any], pair: Any) -> None:
    class Leaves(Quiet):
        def handle_read(self) -> None:
            super().handle_read()
            if self.data == b"1":
                raise asyncore.ExitNow

    ours, theirs = pair
    channel = Leaves(ours, channels)
    theirs.send(b"1")
    with pytest.raises(asyncore.ExitNow):
        asyncore.loop(timeout=1, map=channels)
    theirs.send(b"2")
    turns(channels, lambda: channel.data == b"12")
    assert channel.data == b"12"


@pytest.mark.parametrize(("error", "event"), [(0, "urgent"), (errno.ECONNRESET, "close")])
def test_an_exceptional_condition_is_an_error_or_urgent_data(error: int, event: str) -> None:
    sock: Any = ScriptedSocket()
    sock.getsockopt = lambda level, name: error
    channel = Quiet(sock, {})
    asyncore._exception(channel)
    assert channel.events == [event]


def test_a_loop_within_a_loop(channels: dict[int, Any], pair: Any) -> None:
    class Nests(Quiet):
        def handle_read(self) -> None:
            super().handle_read()
            if self.data == b"1":
                theirs.send(b"2")
                asyncore.loop(timeout=1, map=channels, count=1)

    ours, theirs = pair
    channel = Nests(ours, channels)
    theirs.send(b"1")
    turns(channels, most=1)
    assert channel.data == b"12"
    assert channel.events == ["read", "read"]


def test_an_error_needs_a_traceback() -> None:
    with pytest.raises(AssertionError, match="traceback"):
        asyncore.compact_traceback()


# ---- close_all


class Closes:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        if self.error:
            raise self.error


def test_close_all_closes_all() -> None:
    own: dict[int, Any] = {n: Closes() for n in range(3)}
    values = list(own.values())
    own[9] = Closes(OSError(errno.EBADF, "closed already"))
    asyncore.close_all(own)
    assert own == {}
    assert [value.closed for value in values] == [1, 1, 1]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "unsaved"), ValueError("unsaved")])
def test_close_all_raises_unless_it_is_to_ignore_all(error: Exception) -> None:
    own: dict[int, Any] = {1: Closes(error), 2: Closes()}
    with pytest.raises(type(error), match="unsaved"):
        asyncore.close_all(own)
    assert len(own) == 2
    asyncore.close_all(own, ignore_all=True)
    assert own == {}


def test_close_all_lets_through_who_leaves() -> None:
    with pytest.raises(asyncore.ExitNow):
        asyncore.close_all({1: Closes(asyncore.ExitNow())}, ignore_all=True)


# ---- dispatcher_with_send


def test_dispatcher_with_send_keeps_what_was_not_taken(capsys: pytest.CaptureFixture[str]) -> None:
    class Own(asyncore.dispatcher_with_send):
        debug = True

    channel = Own(ScriptedSocket(takes=[3, BLOCKS]), {})
    channel.send(b"abcdef")
    assert channel.out_buffer == b"def"
    assert channel.writable()
    channel.handle_write()
    channel.handle_write()
    assert channel.socket.sent == b"abcdef"
    assert not channel.writable()
    assert "sending b'abcdef'" in capsys.readouterr().out
    channel.connected = False
    assert channel.writable()
    channel.debug = False  # type: ignore[misc]
    channel.send(b"!")
    assert capsys.readouterr().out == ""


def test_a_program_may_change_what_dispatcher_with_send_has_queued() -> None:
    class Own(asyncore.dispatcher_with_send):
        """As many did, it calls only the dispatcher's constructor."""

        def __init__(self, sock: Any) -> None:
            asyncore.dispatcher.__init__(self, sock, {})
            self.out_buffer = b"ab"

    channel = Own(ScriptedSocket(takes=[BLOCKS]))
    channel.send(b"cd")
    channel.out_buffer += b"ef"
    channel.handle_write()
    assert channel.socket.sent == b"abcdef"
    assert channel.out_buffer == b""


# ---- files


def test_a_pipe_is_a_channel(channels: dict[int, Any]) -> None:
    reading, writing = os.pipe()

    class Reads(asyncore.file_dispatcher):
        data = b""

        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            self.data += self.recv(1000)

        def handle_close(self) -> None:
            self.close()

    class Writes(asyncore.file_dispatcher):
        sent = 0

        def readable(self) -> bool:
            return False

        def handle_write(self) -> None:
            self.sent += self.send(b"x" * 100)
            if self.sent >= 1000:
                self.close()

    with open(reading, "rb", buffering=0) as file:
        reader = Reads(file, channels)
    writer = Writes(writing, channels)
    os.close(writing)
    asyncore.loop(timeout=1, map=channels)
    assert reader.data == b"x" * writer.sent


@pytest.mark.parametrize("use_poll", [False, True])
def test_a_regular_file_is_always_ready(tmp_path: Path, channels: dict[int, Any], use_poll: bool) -> None:
    (tmp_path / "file").write_bytes(b"contents")

    class Reads(asyncore.file_dispatcher):
        data = b""

        def writable(self) -> bool:
            return False

        def handle_read(self) -> None:
            self.data += self.recv(3)

        def handle_close(self) -> None:
            self.close()

    with (tmp_path / "file").open("rb") as file:
        reader = Reads(file, channels)
    asyncore.loop(timeout=10, map=channels, use_poll=use_poll)
    assert reader.data == b"contents"


def test_a_file_wrapper_is_hardly_a_socket(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        wrapper = asyncore.file_wrapper(file.fileno())
    assert wrapper.write(b"abc") == 3
    assert wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    with pytest.raises(NotImplementedError):
        wrapper.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    wrapper.close()
    wrapper.close()
    assert wrapper.fileno() == -1


def test_a_file_wrapper_that_nobody_closed() -> None:
    reading, writing = os.pipe()
    wrapper = asyncore.file_wrapper(reading)
    os.close(reading)
    os.close(writing)
    with pytest.warns(ResourceWarning, match="unclosed file"):
        wrapper.__del__()
    assert wrapper.fd == -1


# ---- beside other loops and processes


def test_called_from_somebody_elses_loop(pair: Any, channels: dict[int, Any]) -> None:
    ours, theirs = pair
    channel = Quiet(ours, channels)
    with select.epoll() if hasattr(select, "epoll") else select.poll() as foreign:  # type: ignore[union-attr]
        foreign.register(ours, select.POLLIN)
        theirs.send(b"x")
        while not channel.data:
            foreign.poll(1)
            asyncore.loop(timeout=0, map=channels, count=1)
    assert channel.data == b"x"


FORKED = """
import os, socket, sys
from httpd.net import asyncore

class Reads(asyncore.dispatcher):
    data = b""
    def writable(self): return False
    def handle_read(self): self.data += self.recv(100)
    def handle_close(self): self.close()

ours, theirs = socket.socketpair()
channel = Reads(ours)
asyncore.loop(timeout=0, count=1)
if os.fork() == 0:
    # The child has the map, the channel, and must have an epoll set of its own: here the parent's goes on.
    asyncore.loop(timeout=0.05, count=1)
    channel.close()
    own, far = socket.socketpair()
    second = Reads(own)
    far.send(b"child")
    asyncore.loop(timeout=1, count=1)
    os._exit(0 if second.data == b"child" else 1)
_, status = os.wait()
theirs.send(b"parent")
asyncore.loop(timeout=1, count=1)
assert channel.data == b"parent", channel.data
theirs.close()
asyncore.loop(timeout=1)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.programs
def test_a_fork_has_a_loop_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=TOP, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_a_socket_that_lives_on_in_a_copy_does_not_spin_the_loop(channels: dict[int, Any], pair: Any) -> None:
    ours, theirs = pair
    copy = ours.dup()
    other, far = socket.socketpair()
    Quiet(other, channels)
    Quiet(ours, channels)
    turns(channels, most=1)
    del channels[ours.fileno()]
    ours.close()
    theirs.send(b"x")
    turns(channels, most=3)
    began = time.monotonic()
    asyncore.loop(timeout=0.1, map=channels, count=1)
    assert time.monotonic() - began > 0.08
    copy.close()
    far.close()


def test_many_maps_one_after_the_other_leave_no_descriptors_behind() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    before = descriptors()
    for _ in range(60):
        ours, theirs = socket.socketpair()
        own: dict[int, Any] = {}
        channel = Quiet(ours, own)
        theirs.send(b"x")
        turns(own, lambda channel=channel: channel.data, 3)  # type: ignore[misc]
        assert channel.data == b"x"
        channel.close()
        theirs.close()
        asyncore.loop(timeout=0, map=own)
    assert descriptors() <= before + 60
