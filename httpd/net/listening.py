"""Sockets that listen: at addresses, with one port for all of them, and at the path of a unix socket; who comes."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from .addresses import WILDCARDS, Where, unbracketed, where_to_bind

__all__ = ["accept", "accepted", "listen_at", "listen_at_path"]

# How many connections the kernel keeps until they are accepted.
BACKLOG = 1024
# How often another free port is looked for, where the one that is free at one address is taken at the next.
_MOST_TRIES = 20
# What a machine says that has no such address, or no IPv6 at all.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

# Not `sock.type`, which finds an enum's member each time: that takes longer than accept(2).
_type_of = socket.SocketType.type.__get__
# Linux: a connection is not to be accepted before something has come, or so many seconds have gone.  Then most are over
# in the turn that accepts them, and who connects and says nothing costs the kernel little and this process nothing.
_DEFER_ACCEPT = getattr(socket, "TCP_DEFER_ACCEPT", None)
_DEFERRED_SECONDS = 1
# The standard library's own half of accept(), where there is one.
_HAS_HALF = hasattr(socket.socket, "_accept")


def accepted(listening: Any, most: int) -> Iterator[tuple[Any, Any]]:
    """The connections that wait at a socket that does not block, so many at most: (socket, peer's address) of each.

    Raises OSError where there is none to be had, as `listening.accept()` does.
    """
    if type(listening) is not socket.socket or not _HAS_HALF:
        for _ in range(most):
            yield listening.accept()
        return
    kind, protocol, accept_half = _type_of(listening), listening.proto, listening._accept  # type: ignore[attr-defined]
    for _ in range(most):
        fd, addr = accept_half()
        # The family is found in any case.
        yield socket.socket(-1, kind, protocol, fd), addr


def accept(listening: Any) -> tuple[Any, Any]:
    """The next connection that waits at a socket; see `accepted`."""
    return next(accepted(listening, 1))


# ---- addresses


def listen_at(hosts: Iterable[str], port: int, held: Sequence[socket.socket] = ()) -> list[socket.socket]:
    """Non-blocking listening sockets for all these addresses and names, on one port; 0 is any that is free.

    "" is every address.  "::" is, too, unless an IPv4 address is named beside it.  Of a name's addresses those are
    taken that this machine has.  Where one of the `held` sockets listens already, a copy of it is taken.  Raises
    OSError, whose `filename` is the host that cannot be had.
    """
    plain = list(dict.fromkeys(map(unbracketed, hosts)))
    for _ in range(_MOST_TRIES - 1):
        try:
            return _listen_at_all(plain, port, held)
        except OSError as why:
            if port or why.errno != errno.EADDRINUSE:
                raise
    return _listen_at_all(plain, port, held)


def _listen_at_all(hosts: list[str], port: int, held: Sequence[socket.socket]) -> list[socket.socket]:
    places = _places(hosts)
    dual = all(family != socket.AF_INET for wheres in places.values() for family, _ in wheres)
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for host, wheres in places.items():
            with _named(host):
                for sock in _listen_at_some(wheres, port, dual, held):
                    sockets.append(undo.enter_context(sock))
                    port = port or sock.getsockname()[1]
        undo.pop_all()
    return sockets


def _places(hosts: list[str]) -> dict[str, list[Where]]:
    """The addresses of each host, each address once, and none of a family of which every one is there."""
    found: dict[str, list[Where]] = {}
    for host in hosts:
        with _named(host):
            found[host] = where_to_bind(host)
    everywhere = {where for wheres in found.values() for where in wheres if where[1][0] in WILDCARDS}
    whole = {family for family, _ in everywhere}
    seen: set[Where] = set()
    for host, wheres in found.items():
        found[host] = [
            where for where in wheres if where not in seen and (where in everywhere or where[0] not in whole)
        ]
        seen.update(wheres)
    return found


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    """Have an OSError name the host or path that it is about."""
    try:
        yield
    except OSError as why:
        raise OSError(why.errno, why.strerror or str(why), place) from None


def _listen_at_some(
    wheres: list[Where], port: int, dual: bool, held: Sequence[socket.socket]
) -> Iterator[socket.socket]:
    """Sockets at those addresses that this machine has; none at all is an error."""
    had = False
    for number, (family, address) in enumerate(wheres, 1):
        try:
            full = (address[0], port, *address[1:])
            sock = _copy_of(held, family, full) or _listening(family, full, dual)
        except OSError as why:
            if why.errno not in _NOT_HERE or (number == len(wheres) and not had):
                raise
        else:
            had = True
            yield sock
            port = port or sock.getsockname()[1]


def _copy_of(held: Sequence[socket.socket], family: int, address: Any) -> socket.socket | None:
    wanted = _by_value(family, address)
    same = (sock for sock in held if sock.family == family and _by_value(family, sock.getsockname()) == wanted)
    return next((sock.dup() for sock in same), None)


def _by_value(family: int, address: Any) -> tuple[object, ...]:
    """An address as it is, however it is written."""
    return (socket.inet_pton(family, address[0].partition("%")[0]), *address[1:])


def _listening(family: int, address: Any, dual: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Said either way: the system's own default differs.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        # Answers go out whole, so there is nothing to gain by waiting for more.  What is accepted inherits it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _DEFER_ACCEPT is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _DEFER_ACCEPT, _DEFERRED_SECONDS)
        sock.bind(address)
        # Here, as it may fail where bind() did not: another began to listen in between.
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


# ---- unix sockets


def listen_at_path(path: str, mode: int) -> tuple[socket.socket, Callable[[], None]]:
    """A non-blocking listening socket at a path that only `mode` (as 0o660) lets in; and what takes the path away.

    A socket that nobody listens at any more is replaced, anything else at the path is not.  Raises OSError, whose
    `filename` is the path.
    """
    with _named(path), contextlib.ExitStack() as undo:
        _make_way(path)
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.setblocking(False)
        _bind_with_mode(sock, path, mode)
        sock.listen(BACKLOG)
        # The folder may be another when it is taken away.
        place = os.path.abspath(path)
        remove = partial(_remove, place, _identity(place))
        undo.pop_all()
    return sock, remove


def _make_way(path: str) -> None:
    """Remove what an earlier server has left at the path."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except BlockingIOError:
        # Somebody listens, and has so many connections waiting.
        pass
    raise OSError(errno.EADDRINUSE, "somebody listens there already")


def _bind_with_mode(sock: socket.socket, path: str, mode: int) -> None:
    # So the path never has more rights than these, not for a moment.
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(path)
    except OSError as why:
        if why.errno is None:
            # Python's own complaint; the room is that of sockaddr_un.
            raise OSError(errno.ENAMETOOLONG, "the path of a unix socket has about 100 bytes at the most") from None
        raise
    finally:
        os.umask(before)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _remove(path: str, identity: tuple[int, int]) -> None:
    """Remove a socket's path, unless it is another's by now."""
    with contextlib.suppress(OSError):
        if _identity(path) == identity:
            os.unlink(path)
