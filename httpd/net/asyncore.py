"""The documented asyncore, kept and mended: wait until some channel is ready, and let it act.

A *dispatcher* wraps a socket and has a method for each event.  `loop()` serves the channels of a map, by default
`socket_map`, until it is empty.  The contract is that of the module that left the standard library in Python 3.12;
what lies beneath is new (see `interest`): the kernel keeps what each channel waits for, and a channel is asked again
only when its answer may have changed.

What is mended: a listener survives having no descriptors left; any number of descriptors; a dead descriptor closes its
own channel only; no event reaches the next owner of a descriptor; a peer that is gone before the channel was made is
seen; what a pipe still holds at hang-up is read; `handle_close()` runs once; urgent data does not spin the loop; errors
go to `logging` with their traceback.  New: `call_later`, `interest_changed`, `handle_eof`, waking from a thread.
"""

from __future__ import annotations

import os
import select  # noqa: F401 (programs read asyncore.select)
import socket
import sys
import time  # noqa: F401 (programs read asyncore.time)
import warnings
from errno import (
    EAGAIN,
    EALREADY,
    EBADF,
    ECONNABORTED,
    ECONNRESET,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    EMFILE,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOTCONN,
    EPIPE,
    ESHUTDOWN,
    EWOULDBLOCK,
    errorcode,
)
from typing import Any

from .backends import ERROR, HUNG_UP, INVALID, READ, URGENT, WRITE
from .channel_map import ChannelMap
from .interest import Interests, announced, forget, interests_of, rouse, touch
from .listening import accept
from .report import Reporter
from .timers import LEAVING, ExitNow, Timer

__all__ = [
    "ExitNow",
    "Timer",
    "call_later",
    "close_all",
    "compact_traceback",
    "dispatcher",
    "dispatcher_with_send",
    "file_dispatcher",
    "file_wrapper",
    "loop",
    "poll",
    "poll2",
    "poll3",
    "read",
    "readwrite",
    "socket_map",
    "write",
]

logger = Reporter("httpd.net")

_MapType = dict[int, Any]

_DISCONNECTED = frozenset({ECONNRESET, ENOTCONN, ESHUTDOWN, ECONNABORTED, EPIPE, EBADF})
# accept() fails so when the process or the system has nothing left; the connection stays in the queue.
_EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
# How long a listener then rests: long enough not to spin, short enough that nobody notices.
_REST_SECONDS = 0.1

socket_map: _MapType = ChannelMap()


def _strerror(err: int) -> str:
    try:
        return os.strerror(err)
    except (ValueError, OverflowError, NameError):
        return errorcode.get(err, f"Unknown error {err}")


_reraised_exceptions = LEAVING

# ---- events to methods


def read(obj: Any) -> None:
    """Give a channel its read event; whatever it raises goes to its `handle_error()`."""
    _guarded(obj, "handle_read_event")


def write(obj: Any) -> None:
    """Give a channel its write event; whatever it raises goes to its `handle_error()`."""
    _guarded(obj, "handle_write_event")


def _exception(obj: Any) -> None:
    _guarded(obj, "handle_expt_event")


def _guarded(obj: Any, event: str) -> None:
    try:
        getattr(obj, event)()
    except _reraised_exceptions:
        raise
    except BaseException:
        obj.handle_error()


def readwrite(obj: Any, flags: int) -> None:
    """Give a channel the events of one pass, as poll(2) names them.

    With data still to be read, or to be acted on, a hang-up waits.
    """
    try:
        # One event alone, as almost always.
        if flags == READ:
            obj.handle_read_event()
            return
        if flags == WRITE:
            obj.handle_write_event()
            return
        sock = getattr(obj, "socket", None)
        if flags & READ:
            obj.handle_read_event()
        if flags & WRITE and _has(obj, sock):
            obj.handle_write_event()
        if flags & URGENT and _has(obj, sock):
            obj.handle_expt_event()
        if flags & (HUNG_UP | ERROR | INVALID) and _has(obj, sock) and not (flags & READ and _has_unread(obj)):
            _lost(obj)
    except OSError as why:
        if why.errno not in _DISCONNECTED:
            obj.handle_error()
        else:
            _lost(obj)
    except _reraised_exceptions:
        raise
    except BaseException:
        obj.handle_error()


def _has(obj: Any, sock: Any) -> bool:
    """Whether the socket that the events are of is still the channel's: it may have closed, and even have another."""
    return getattr(obj, "_fileno", 0) is not None and getattr(obj, "socket", None) is sock


def _has_unread(obj: Any) -> bool:
    """Whether a channel that reads has not read all yet, or has not done what it was asked for."""
    if not isinstance(obj, dispatcher) or type(obj).handle_read is dispatcher.handle_read or obj._fileno is None:
        return False
    if obj._acts_later():
        return True
    # Seldom needed, and not everywhere to be had.
    from fcntl import ioctl
    from termios import FIONREAD

    # What a TLS socket has decrypted already, the kernel does not know of.
    pending = getattr(obj.socket, "pending", None)
    try:
        return any(ioctl(obj._fileno, FIONREAD, bytes(4))) or (pending is not None and pending() > 0)
    except OSError:
        return False


def _lost(obj: Any) -> None:
    """The connection is gone: say so, once a connection."""
    if not isinstance(obj, dispatcher):
        obj.handle_close()
    elif not obj._close_told:
        obj._close_told = True
        obj.handle_close()


# ---- the loop


def poll(timeout: float | None = 0.0, map: _MapType | None = None) -> None:
    """One pass: wait at most `timeout` seconds for events of the map's channels (None: for ever), and give them out."""
    if map is None:
        map = socket_map
    if map:
        interests_of(map).turn(timeout, readwrite)
        if not map:
            forget(map)


# The documented name for a pass with poll(2); every pass uses the best that the system has.
poll2 = poll
poll3 = poll2


def loop(timeout: float = 30.0, use_poll: bool = False, map: _MapType | None = None, count: int | None = None) -> None:
    """Serve the channels of a map until it is empty, or for `count` passes of at most `timeout` seconds each.

    `use_poll` is accepted and means nothing more.
    """
    if map is None:
        map = socket_map
    poll_fun = poll2 if use_poll else poll
    if count is None:
        while map:
            poll_fun(timeout, map)
    else:
        while map and count > 0:
            poll_fun(timeout, map)
            count -= 1


def call_later(delay: float, call: Any, *args: Any, map: _MapType | None = None) -> Timer:
    """Make a call in `delay` seconds, from the map's loop; the Timer can be cancelled."""
    return interests_of(socket_map if map is None else map).call_later(delay, call, *args)


# ---- channels


class dispatcher:
    """A socket and its events.  Derive from it and override the `handle_` methods.

    `map` is the socket map to live in, `socket_map` by default.
    """

    debug = False
    connected = False
    accepting = False
    connecting = False
    closing = False
    addr: Any = None
    ignore_log_types: frozenset[str] = frozenset({"warning"})

    socket: Any
    _fileno: int | None = None
    _close_told = False
    _accept_exhausted = False
    _kept_by: Interests | None = None

    def __init__(self, sock: Any = None, map: _MapType | None = None) -> None:
        self._map = socket_map if map is None else map
        # An instance's own is found five times as fast as its class's.
        self._kept_by = None
        self._close_told = False
        if sock:
            # It may come from a blocking source.
            sock.setblocking(False)
            self.set_socket(sock, map)
            self.connected = True
            try:
                self.addr = sock.getpeername()
            except OSError as why:
                if why.errno not in (ENOTCONN, EINVAL):
                    # Broken in some unknown way: never wait for it.
                    self.del_channel(map)
                    raise
                self._begin_without_peer(sock)
        else:
            self.socket = self._fileno = None

    def _begin_without_peer(self, sock: Any) -> None:
        """With a socket that was never connected yet, or whose peer is gone already."""
        self.connected = _was_connected(sock)
        if self.connected:
            interests_of(self._map).timers.call_soon(self._peer_is_gone, sock)

    def _peer_is_gone(self, sock: Any) -> None:
        # Where it reads, that will tell, after what the peer still sent.
        if self._fileno is not None and self.socket is sock and not self.readable():
            _lost(self)

    def __repr__(self) -> str:
        # Known by the module's old name, wherever the module lives.
        status = [f"{type(self).__module__.removeprefix('httpd.net.')}.{type(self).__qualname__}"]
        if self.accepting and self.addr:
            status.append("listening")
        elif self.connected:
            status.append("connected")
        if self.addr is not None:
            try:
                host, port = self.addr
                status.append("%s:%d" % (host, port))
            except (TypeError, ValueError):
                status.append(repr(self.addr))
        return f"<{' '.join(status)} at {id(self):#x}>"

    def add_channel(self, map: _MapType | None = None) -> None:
        """Put the channel into its map."""
        if map is None:
            map = self._map
        fd: Any = self._fileno
        map[fd] = self
        if not isinstance(map, ChannelMap):
            touch(map, fd)

    def del_channel(self, map: _MapType | None = None) -> None:
        """Take the channel out of its map."""
        fd = self._fileno
        if map is None:
            map = self._map
        if fd in map:
            del map[fd]
        self._fileno = None

    def interest_changed(self) -> None:
        """`readable()` or `writable()` may now answer otherwise.  May be called from any thread.

        Needed only where both are marked `announced` and neither event nor `push` changed them.
        """
        if self._kept_by is not None:
            self._kept_by.note(self)
        elif self._fileno is not None:
            # No loop has seen it yet: it will be asked when one does.
            rouse(self._map)

    def _begins_to_wait(self) -> None:
        # Often said in a constructor, and in another thread than the loop's: it must not look at half a channel.
        if self._kept_by is not None:
            self._kept_by.note(self)

    def create_socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM) -> None:
        """Make a new non-blocking socket for this channel."""
        self.family_and_type = family, type
        sock = socket.socket(family, type)
        sock.setblocking(False)
        self.set_socket(sock)

    def set_socket(self, sock: Any, map: _MapType | None = None) -> None:
        """Take a socket, or anything with `fileno`, `close` and `getsockopt`, and enter the map."""
        self.socket = sock
        self._fileno = sock.fileno()
        self._close_told = False
        self.add_channel(map)
        # A program's own add_channel() tells nobody; with the same number, no look at the map would see the difference.
        if self._kept_by is not None and self._fileno is not None:
            self._kept_by.touch(self._fileno)

    def _acts_later(self) -> bool:
        """Whether what was read in this pass is acted on at its end only."""
        return False

    def set_reuse_addr(self) -> None:
        """Let a server bind its port again at once (SO_REUSEADDR), where the system can."""
        try:
            reuse = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) | 1
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        except OSError:
            pass

    # ---- what it waits for

    @announced
    def readable(self) -> bool:
        """Whether to wait for data."""
        return True

    @announced
    def writable(self) -> bool:
        """Whether to wait for room to send."""
        return True

    # ---- the socket's methods

    def listen(self, num: int) -> None:
        """Begin to accept connections."""
        self.accepting = True
        if os.name == "nt" and num > 5:
            num = 5
        self.socket.listen(num)
        self._begins_to_wait()

    def bind(self, addr: Any) -> None:
        """Bind the socket to an address."""
        self.addr = addr
        self.socket.bind(addr)

    def connect(self, address: Any) -> None:
        """Begin to connect; `handle_connect()` runs when it is done.  Raises OSError when it fails at once."""
        self.connected = False
        self.connecting = True
        self._begins_to_wait()
        err = self.socket.connect_ex(address)
        if err in (EINPROGRESS, EALREADY, EWOULDBLOCK) or (err == EINVAL and os.name == "nt"):
            self.addr = address
            return
        if err in (0, EISCONN):
            self.addr = address
            self.handle_connect_event()
        else:
            raise OSError(err, errorcode[err])

    def accept(self) -> tuple[Any, Any] | None:
        """(socket, address) of the next connection, or None when there is none to be had now.

        Out of descriptors or memory, the listener rests a moment and goes on.
        """
        try:
            pair = accept(self.socket)
        except TypeError:
            return None
        except OSError as why:
            self._not_accepted(why)
            return None
        self._accept_exhausted = False
        return pair

    def _not_accepted(self, why: OSError) -> None:
        if why.errno in _EXHAUSTED:
            self._rest_from(why)
        elif why.errno not in (EWOULDBLOCK, ECONNABORTED, EAGAIN):
            raise why

    def _rest_from(self, why: OSError) -> None:
        if self._kept_by is not None:
            self._kept_by.rest(self, _REST_SECONDS)
        if not self._accept_exhausted:
            self._accept_exhausted = True
            logger.warning("cannot accept: %s; trying every %s s", _strerror(why.errno or 0), _REST_SECONDS)

    def _has_to_rest(self, why: BaseException | None) -> bool:
        """Whether a listener failed only for want of descriptors, also where a program takes accept()'s None apart."""
        if self.accepting and isinstance(why, OSError) and why.errno in _EXHAUSTED:
            self._rest_from(why)
        return self.accepting and self._kept_by is not None and self._kept_by.rests(self)

    def send(self, data: Any) -> int:
        """Send what the kernel takes of `data`; how much it took, 0 when it takes none or the connection is gone."""
        try:
            return self.socket.send(data)  # type: ignore[no-any-return]
        except OSError as why:
            return self._not_sent(why)

    def _not_sent(self, why: OSError) -> int:
        if why.errno in (EWOULDBLOCK, EAGAIN):
            return 0
        if why.errno in _DISCONNECTED:
            _lost(self)
            return 0
        raise why

    def recv(self, buffer_size: int) -> bytes:
        """At most `buffer_size` bytes of what has come; b"" when the peer has ended, which `handle_eof()` was told."""
        try:
            data: bytes = self.socket.recv(buffer_size)
        except OSError as why:
            return self._not_received(why)
        if not data:
            self.handle_eof()
            if self._kept_by is not None and getattr(self.socket, "type", None) == socket.SOCK_STREAM:
                # Who stays all the same would be told of the end on every pass.  Other files may go on after one.
                self._kept_by.hears_no_more(self)
        return data

    def _not_received(self, why: OSError) -> bytes:
        # winsock sometimes raises ENOTCONN
        if why.errno in _DISCONNECTED:
            _lost(self)
            return b""
        try:
            raise why
        finally:
            # It leads to this frame, and the frame to it: only a collection would find the two.
            del why

    def close(self) -> None:
        """Leave the map and close the socket."""
        self.connected = False
        self.accepting = False
        self.connecting = False
        self.del_channel()
        if self.socket is not None:
            try:
                self.socket.close()
            except OSError as why:
                if why.errno not in (ENOTCONN, EBADF):
                    raise

    # ---- logging, to be overridden

    def log(self, message: Any) -> None:
        """Log a hit."""
        sys.stderr.write(f"log: {message}\n")

    def log_info(self, message: Any, type: str = "info") -> None:
        """Log information, a warning or an error."""
        if type not in self.ignore_log_types:
            print(f"{type}: {message}")

    # ---- events, as the loop gives them

    def handle_read_event(self) -> None:
        """There is something to read, to accept, or a connection was made."""
        if self.accepting:
            # A listener is never connected: it brings forth new sockets that are.
            self.handle_accept()
        elif not self.connected:
            if self.connecting:
                self.handle_connect_event()
            self.handle_read()
        else:
            self.handle_read()

    def handle_connect_event(self) -> None:
        """A connection was made, or was not: then OSError is raised."""
        err = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if err != 0:
            raise OSError(err, _strerror(err))
        self.handle_connect()
        self.connected = True
        self.connecting = False

    def handle_write_event(self) -> None:
        """There is room to send, or a connection was made."""
        if self.accepting:
            return
        if not self.connected and self.connecting:
            self.handle_connect_event()
        self.handle_write()

    @announced
    def handle_expt_event(self) -> None:
        """There is an error, or urgent data."""
        err = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if err != 0:
            _lost(self)
        else:
            self.handle_expt()

    def handle_error(self) -> None:
        """A method raised and nobody caught it: log it with its traceback, and close.

        A listener that failed for want of descriptors only rests.
        """
        if self._has_to_rest(sys.exc_info()[1]):
            return
        try:
            self_repr = repr(self)
        except Exception:
            self_repr = f"<__repr__(self) failed for object at {id(self):#x}>"
        if getattr(self.log_info, "__func__", None) is _own_log_info:
            logger.error("uncaught exception, closing channel %s", self_repr, exc_info=True)
        else:
            _, kind, value, where = compact_traceback()
            self.log_info(f"uncaptured python exception, closing channel {self_repr} ({kind}:{value} {where})", "error")
        _lost(self)

    # ---- events, to be overridden

    @announced
    def handle_expt(self) -> None:
        """Urgent data has come.  It is waited for only where this is overridden."""
        self.log_info("unhandled incoming priority event", "warning")

    def handle_read(self) -> None:
        """There is something to read."""
        self.log_info("unhandled read event", "warning")

    def handle_write(self) -> None:
        """There is room to send."""
        self.log_info("unhandled write event", "warning")

    def handle_connect(self) -> None:
        """The connection was made."""
        self.log_info("unhandled connect event", "warning")

    def handle_accept(self) -> None:
        """A connection waits to be accepted."""
        pair = self.accept()
        if pair is not None:
            self.handle_accepted(*pair)

    def handle_accepted(self, sock: Any, addr: Any) -> None:
        """A connection was accepted."""
        sock.close()
        self.log_info("unhandled accepted event", "warning")

    def handle_eof(self) -> None:
        """The peer has ended its side.  Closes the channel, as the documented module does."""
        _lost(self)

    def handle_close(self) -> None:
        """The connection is gone."""
        self.log_info("unhandled close event", "warning")
        self.close()


# Where a program has put its own in the place of this, errors go to that.
_own_log_info = dispatcher.log_info


def _was_connected(sock: Any) -> bool:
    """Whether a socket without a peer had one: a fresh socket cannot be read, one whose peer is gone has an end."""
    if getattr(sock, "type", None) != socket.SOCK_STREAM:
        return False
    try:
        sock.recv(1, socket.MSG_PEEK)
    except OSError as why:
        return why.errno in (ECONNRESET, ECONNABORTED, EPIPE)
    except ValueError:
        # TLS cannot look ahead; but it had a peer, or it would not be TLS yet.
        return True
    return True


class dispatcher_with_send(dispatcher):
    """A dispatcher with a simple output buffer, for simple clients.  For more, use `asynchat.async_chat`."""

    def __init__(self, sock: Any = None, map: _MapType | None = None) -> None:
        dispatcher.__init__(self, sock, map)
        self.out_buffer = b""

    @property
    def out_buffer(self) -> bytes:
        """What is queued and not sent yet."""
        return bytes(self._out_unsent)

    @out_buffer.setter
    def out_buffer(self, data: bytes) -> None:
        # Grows at its end and shrinks at its beginning without being copied.
        self._out_unsent = bytearray(data)

    def initiate_send(self) -> None:
        """Send what the kernel takes of the buffer."""
        num_sent = dispatcher.send(self, bytes(self._out_unsent[:65536]))
        del self._out_unsent[:num_sent]

    def handle_write(self) -> None:
        self.initiate_send()

    def writable(self) -> bool:
        return not self.connected or bool(self._out_unsent)

    def send(self, data: bytes) -> None:  # type: ignore[override]
        """Queue data, and send what can be sent at once."""
        if self.debug:
            self.log_info(f"sending {data!r}")
        self._out_unsent += data
        self.initiate_send()


# ---- for debugging


def compact_traceback() -> tuple[tuple[str, str, str], Any, Any, str]:
    """((file, function, line), type, value, one line of text) of the exception being handled.

    Raises AssertionError where none is.
    """
    kind, value, tb = sys.exc_info()
    if tb is None:
        raise AssertionError("traceback does not exist")
    places = []
    while tb is not None:
        code = tb.tb_frame.f_code
        places.append((code.co_filename, code.co_name, str(tb.tb_lineno)))
        tb = tb.tb_next
    return places[-1], kind, value, " ".join(f"[{file}|{function}|{line}]" for file, function, line in places)


def close_all(map: _MapType | None = None, ignore_all: bool = False) -> None:
    """Close every channel of a map and empty it.  Errors but EBADF are raised, unless `ignore_all`."""
    if map is None:
        map = socket_map
    for channel in list(map.values()):
        try:
            channel.close()
        except OSError as why:
            if why.errno != EBADF and not ignore_all:
                raise
        except _reraised_exceptions:
            raise
        except BaseException:
            if not ignore_all:
                raise
    map.clear()


# ---- pipes and other files

if os.name == "posix":  # pragma: no branch

    class file_wrapper:
        """A file descriptor with just enough of a socket's methods.  The descriptor given is duplicated."""

        def __init__(self, fd: int) -> None:
            self.fd = os.dup(fd)

        def __del__(self) -> None:
            if self.fd >= 0:
                warnings.warn(f"unclosed file {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()

        def recv(self, bufsize: int, flags: int = 0) -> bytes:
            """Read at most `bufsize` bytes."""
            return os.read(self.fd, bufsize)

        def send(self, data: bytes, flags: int = 0) -> int:
            """Write; how much was written."""
            return os.write(self.fd, data)

        def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> int:
            """SO_ERROR, which is 0; nothing else."""
            if level == socket.SOL_SOCKET and optname == socket.SO_ERROR and not buflen:
                return 0
            raise NotImplementedError("Only asyncore specific behaviour implemented.")

        read = recv
        write = send

        def close(self) -> None:
            """Close the duplicate."""
            if self.fd < 0:
                return
            fd = self.fd
            self.fd = -1
            os.close(fd)

        def fileno(self) -> int:
            """The duplicate's descriptor."""
            return self.fd

    class file_dispatcher(dispatcher):
        """A channel on a pipe or another file that can be waited for."""

        def __init__(self, fd: Any, map: _MapType | None = None) -> None:
            dispatcher.__init__(self, None, map)
            self.connected = True
            if hasattr(fd, "fileno"):
                fd = fd.fileno()
            self.set_file(fd)
            os.set_blocking(fd, False)

        def set_file(self, fd: int) -> None:
            """Take a file's descriptor, and enter the map."""
            dispatcher.set_socket(self, file_wrapper(fd))
