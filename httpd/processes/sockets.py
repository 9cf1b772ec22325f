"""The listening sockets that a parent holds: those of the plan that serves, and of the one that is to come."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..net.listening import listen_at, listen_at_path

__all__ = ["Held", "Places", "hold", "keep"]


class Places(NamedTuple):
    """Where to listen: addresses, on one port and perhaps on another for passing, and the path of a unix socket, its
    rights and its owner (uid, gid).
    """

    hosts: tuple[str, ...]
    port: int
    passing: int | None = None
    unix: str = ""
    unix_mode: int = 0o660
    owner: tuple[int, int] | None = None


class Held(NamedTuple):
    """Sockets that listen at these places, and the ports that they really have.  `remove` takes the path away."""

    places: Places
    sockets: list[socket.socket]
    port: int
    passing: int | None = None
    remove: Callable[[], None] | None = None

    def let_go(self) -> None:
        """Close them, as far as this process has them."""
        for sock in self.sockets:
            sock.close()

    def release(self, successor: Held | None = None) -> None:
        """Close them for good; a path that the successor has goes over to it."""
        self.let_go()
        if self.remove and (successor is None or successor.remove is not self.remove):
            self.remove()


def hold(places: Places, before: Held | None = None) -> Held:
    """Listen at these places; a socket that was held there before is taken over, as a copy: no connection is refused.

    A port 0 stays what it has come to.  Raises OSError, whose `filename` is the host or the path that cannot be had, or
    "port" and the number of that for passing.
    """
    port, passing, remove = places.port, places.passing, None
    if before and before.places.port == port == 0:
        port = before.port
    if before and before.places.passing == passing == 0:
        passing = before.passing
    old = before.sockets if before else []
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(sock) for sock in listen_at(places.hosts, port, old)]
        port = sockets[0].getsockname()[1] if sockets else port
        if passing is not None:
            more = [undo.enter_context(sock) for sock in _for_passing(places.hosts, passing, old)]
            passing = more[0].getsockname()[1]
            sockets += more
        if places.unix:
            sock, remove = _at_path(places, before)
            sockets.append(undo.enter_context(sock))
            _hand_over(places)
        undo.pop_all()
    return Held(places, sockets, port, passing, remove)


def _for_passing(hosts: tuple[str, ...], port: int, old: list[socket.socket]) -> list[socket.socket]:
    try:
        return listen_at(hosts, port, old)
    except OSError as why:
        raise OSError(why.errno, why.strerror, f"port {port}") from None


def keep(before: Held) -> Held:
    """The same sockets again, as copies: those that were handed over to us are all that there are."""
    return before._replace(sockets=[sock.dup() for sock in before.sockets])


def _at_path(places: Places, before: Held | None) -> tuple[socket.socket, Callable[[], None]]:
    if before and before.remove and before.places.unix == places.unix:
        return before.sockets[-1].dup(), before.remove
    return listen_at_path(places.unix, places.unix_mode)


def _hand_over(places: Places) -> None:
    """Let the path have the owner and the rights that it is to have.  Raises OSError where it is no socket any more:
    whoever may write its folder can have put a link in its place, and this may be root.
    """
    with _itself(places.unix) as socket_itself:
        os.chmod(socket_itself, places.unix_mode)
        if places.owner:
            os.chown(socket_itself, *places.owner)


@contextlib.contextmanager
def _itself(path: str) -> Iterator[str]:
    """A name of the socket at a path that goes on naming this one, where the system has such names."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
    if not hasattr(os, "O_PATH"):
        yield path
        return
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
