"""Every backend behaves alike: what is waited for is kept until changed, and what is ready is told."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from httpd.net import backends
from httpd.net.backends import HUNG_UP, INVALID, READ, URGENT, WRITE, Backend, best_backend


class FakeKqueue:
    """BSD's kqueue, as far as it is used, by poll(2): filters are added, deleted, and give events while ready."""

    def __init__(self) -> None:
        self.filters: set[tuple[int, int]] = set()
        self.closed = False

    def control(self, changes: Any, most: int, timeout: float | None = None) -> list[Any]:
        for change in changes or ():
            try:
                os.fstat(change.ident)
            except OSError:
                raise OSError(errno.EBADF, "Bad file descriptor") from None
            entry = (change.ident, change.filter)
            if change.flags == select.KQ_EV_ADD:  # type: ignore[attr-defined,unused-ignore]
                self.filters.add(entry)
            elif entry in self.filters:
                self.filters.remove(entry)
            else:
                raise FileNotFoundError(errno.ENOENT, "no such filter")
        if not most:
            return []
        poll = select.poll()
        for fd in {fd for fd, _ in self.filters}:
            poll.register(fd, ((fd, -1) in self.filters) * 1 | ((fd, -2) in self.filters) * 4)
        events = []
        for fd, flags in poll.poll(None if timeout is None else int(timeout * 1000)):
            for kind, bits in ((-1, 1 | 16), (-2, 4)):
                if flags & bits and (fd, kind) in self.filters:
                    events.append(SimpleNamespace(ident=fd, filter=kind, flags=0))
        return events[:most]

    def close(self) -> None:
        self.closed = True


def fake_kevent(ident: int, kind: int, flags: int) -> Any:
    return SimpleNamespace(ident=ident, filter=kind, flags=flags)


@pytest.fixture
def kqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `select` module with kqueue, where it has none."""
    if hasattr(select, "kqueue"):
        return
    for name, value in {
        "kqueue": FakeKqueue,
        "kevent": fake_kevent,
        "KQ_FILTER_READ": -1,
        "KQ_FILTER_WRITE": -2,
        "KQ_EV_ADD": 1,
        "KQ_EV_DELETE": 2,
    }.items():
        monkeypatch.setattr(select, name, value, raising=False)


KINDS: dict[str, Callable[[], Backend]] = {
    "epoll": backends.EpollBackend,
    "poll": backends.PollBackend,
    "kqueue": backends.KqueueBackend,
    "select": backends.SelectBackend,
}


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, kqueue: None) -> Iterator[Backend]:
    """One of each kind."""
    if request.param == "epoll" and not hasattr(select, "epoll"):
        pytest.skip("epoll is Linux's")
    made = KINDS[request.param]()
    yield made
    made.close()


def test_nothing_is_ready_and_it_waits_as_long_as_it_was_told(backend: Backend, pair: Any) -> None:
    ours, _ = pair
    began = time.monotonic()
    assert backend.wait(0.03) == []
    backend.set(ours.fileno(), READ)
    assert backend.wait(0.03) == []
    assert time.monotonic() - began >= 0.059
    assert backend.wait(0) == []


def test_data_is_told_as_often_as_it_is_not_read(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    backend.set(ours.fileno(), READ)
    theirs.send(b"x")
    assert backend.wait(1) == [(ours.fileno(), READ)]
    assert backend.wait(None) == [(ours.fileno(), READ)]
    ours.recv(1)
    assert backend.wait(0) == []


def test_what_is_waited_for_can_change(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    fd = ours.fileno()
    backend.set(fd, READ)
    backend.set(fd, READ | WRITE)
    assert backend.wait(1) == [(fd, WRITE)]
    theirs.send(b"x")
    assert backend.wait(1) == [(fd, READ | WRITE)]
    backend.set(fd, WRITE)
    assert backend.wait(1) == [(fd, WRITE)]
    backend.set(fd, 0)
    assert backend.wait(0) == []


def test_what_is_waited_for_alone_can_change(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    fd = ours.fileno()
    theirs.send(b"a")
    alone = READ | backend.alone
    for mask, told in ((alone, READ), (alone, READ), (0, 0), (alone, READ)):
        backend.set(fd, mask)
        assert backend.wait(0) == ([(fd, told)] if told else [])
    assert backend.remove(fd)
    assert backend.wait(0) == []
    backend.set(fd, READ | WRITE)
    assert backend.wait(0) == [(fd, READ | WRITE)]


@pytest.mark.skipif(not backends.EpollBackend.alone, reason="the kernel wakes everybody here")
def test_of_two_that_wait_alone_one_is_woken() -> None:
    # On a busy machine one of them may not wait yet: then both are told.
    assert any(_woken_by_one_connection() == [0, 1] for _ in range(20))


def _woken_by_one_connection() -> list[int]:
    """How many events each of two that wait alone was told of."""
    woken: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        waiting = [backends.EpollBackend(), backends.EpollBackend()]
        threads = []
        for backend in waiting:
            backend.set(listening.fileno(), READ | backend.alone)
            threads.append(threading.Thread(target=lambda it=backend: woken.append(len(it.wait(0.3)))))
            threads[-1].start()
        time.sleep(0.05)
        with socket.create_connection(listening.getsockname()):
            for thread in threads:
                thread.join()
        for backend in waiting:
            backend.close()
    return sorted(woken)


def test_a_closed_descriptor_is_forgotten_and_its_number_waited_for_anew(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    with socket.socket() as sock:
        number = sock.fileno()
        backend.set(number, READ)
    assert backend.remove(number, closed=True)
    os.dup2(theirs.fileno(), number)
    backend.set(number, READ)
    assert backend.wait(0) == []
    ours.send(b"x")
    assert backend.wait(1) == [(number, READ)]
    backend.remove(number)
    os.close(number)


def test_a_removed_descriptor_is_not_told_of(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    backend.set(ours.fileno(), READ | WRITE)
    theirs.send(b"x")
    assert backend.remove(ours.fileno())
    assert backend.wait(0) == []
    assert not backend.remove(ours.fileno())


def test_a_descriptor_that_is_not_open_is_found_at_once_or_told_as_invalid(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    fd = ours.fileno()
    ours.close()
    backend.set(theirs.fileno(), WRITE)
    try:
        backend.set(fd, READ)
    except OSError as why:
        assert why.errno == errno.EBADF
    else:
        assert (fd, INVALID) in backend.wait(1)
    with pytest.raises((OSError, ValueError)):
        backend.set(-1, READ)


def test_a_number_that_is_in_use_again_is_waited_for_anew(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    fd = ours.fileno()
    backend.set(fd, READ)
    os.dup2(theirs.fileno(), fd)
    backend.set(fd, READ | WRITE)
    assert backend.wait(1) == [(fd, READ | WRITE)] or backend.wait(1) == [(fd, WRITE | READ | HUNG_UP)]


def test_removing_what_was_closed_meanwhile(backend: Backend, pair: Any) -> None:
    ours, _ = pair
    backend.set(ours.fileno(), READ | WRITE)
    fd = ours.detach()
    os.close(fd)
    backend.remove(fd)
    if not isinstance(backend, backends.KqueueBackend):
        assert backend.wait(0) == []


def test_a_regular_file_is_always_ready(backend: Backend, tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "file").open("rb") as file:
        fd = file.fileno()
        backend.set(fd, READ)
        assert backend.wait(5) == [(fd, READ)]
        backend.set(fd, 0)
        assert backend.wait(0) == []
        backend.set(fd, READ | WRITE)
        assert backend.wait(5) == [(fd, READ | WRITE)]
        assert backend.remove(fd)
        assert backend.wait(0) == []


def test_a_regular_file_does_not_hide_the_others(backend: Backend, tmp_path: Any, pair: Any) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    (tmp_path / "file").write_bytes(b"x")
    with (tmp_path / "file").open("rb") as file:
        backend.set(file.fileno(), READ)
        backend.set(ours.fileno(), READ)
        assert sorted(backend.wait(5)) == sorted([(file.fileno(), READ), (ours.fileno(), READ)])
        backend.remove(file.fileno())


def test_urgent_data(backend: Backend) -> None:
    if isinstance(backend, backends.KqueueBackend):
        pytest.skip("kqueue does not tell of it")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        with ours, theirs:
            backend.set(ours.fileno(), READ | URGENT)
            theirs.send(b"!", socket.MSG_OOB)
            ((fd, events),) = backend.wait(2)
            assert fd == ours.fileno()
            assert events & URGENT


def test_a_pipe_that_was_hung_up(backend: Backend) -> None:
    reading, writing = os.pipe()
    backend.set(reading, READ)
    os.close(writing)
    ((fd, events),) = backend.wait(1)
    assert fd == reading
    assert events & (READ | HUNG_UP)
    backend.remove(reading)
    os.close(reading)


def test_select_without_anything_to_wait_for_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(backends.time, "sleep", slept.append)
    backend = backends.SelectBackend()
    assert backend.wait(1.5) == []
    assert backend.wait(None) == []
    assert slept == [1.5, 3600.0]


def test_select_raises_what_it_cannot_explain(monkeypatch: pytest.MonkeyPatch, pair: Any) -> None:
    def fails(*arguments: Any) -> Any:
        raise OSError(errno.EINVAL, "negative timeout")

    backend = backends.SelectBackend()
    backend.set(pair[0].fileno(), READ)
    monkeypatch.setattr(backends.select, "select", fails)
    with pytest.raises(OSError, match="negative"):
        backend.wait(1)


def test_a_file_whose_number_a_socket_got_is_not_ready_for_ever(backend: Backend, tmp_path: Any, pair: Any) -> None:
    ours, theirs = pair
    (tmp_path / "file").write_bytes(b"x")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    backend.set(fd, READ)
    assert backend.wait(0) == [(fd, READ)]
    os.dup2(ours.fileno(), fd)
    backend.set(fd, READ)
    assert backend.wait(0) == []
    theirs.send(b"x")
    assert backend.wait(1) == [(fd, READ)]
    backend.remove(fd)
    os.close(fd)


def test_a_descriptor_that_comes_back_from_a_copy(backend: Backend, pair: Any) -> None:
    ours, theirs = pair
    fd = ours.detach()
    backend.set(fd, READ)
    copy = os.dup(fd)
    os.close(fd)
    backend.remove(fd)
    os.dup2(copy, fd)
    os.close(copy)
    backend.set(fd, READ)
    theirs.send(b"x")
    assert backend.wait(1) == [(fd, READ)]
    backend.remove(fd)
    os.close(fd)


def test_the_best_of_the_system(monkeypatch: pytest.MonkeyPatch, kqueue: None) -> None:
    if hasattr(select, "epoll"):
        assert isinstance(best_backend(), backends.EpollBackend)
        monkeypatch.delattr(select, "epoll")
    assert isinstance(best_backend(), backends.KqueueBackend)
    monkeypatch.delattr(select, "kqueue")
    assert isinstance(best_backend(), backends.PollBackend)
    monkeypatch.delattr(select, "poll")
    assert isinstance(best_backend(), backends.SelectBackend)
