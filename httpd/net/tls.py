"""The same channel over TLS.

The TLS engine never touches the socket.  It works between two buffers in memory: what was received is put into one,
what is to be sent comes out of the other.  So no full socket ever stops it within a record; all that it can lack is
input.

`TlsSocket` puts engine and socket together and behaves as a plain non-blocking socket does: `recv` gives plain bytes or
raises BlockingIOError, `send` says how many plain bytes are with the kernel.  None are said to be before the last of
their encrypted form is: until then `send` raises BlockingIOError and is to be called again with the same data, which
is what a channel does anyway.

`TlsChat` is a channel on such a socket.  It knows what a plain one need not: a handshake, which may last only so long;
bytes that are here already, of which no kernel tells; output of the engine's own, due where the channel has nothing to
say (an alert, the answer to a key update).
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
from errno import EAGAIN, ECONNABORTED
from typing import Any

from . import asyncore
from .hello import NO_APPLICATION_PROTOCOL, fatal_alert, offered_protocols
from .interest import announced
from .report import Reporter
from .watched import WatchedChat

__all__ = ["NotTls", "TlsChat", "TlsSocket"]

logger = Reporter("httpd.net")

# The most that a record holds (RFC 8446 §5.1), and that it takes on the wire (§5.2).  The engine's buffers keep the
# size of the most that they ever held, so they get one record at a time.
_RECORD = 1 << 14
_RECORD_ON_WIRE = 5 + _RECORD + 256
# The first byte of a connection in TLS: its first record is one of the handshake.
_HANDSHAKE = 22
# When so much waits to be sent, nothing more is read: reading may make answers too (to key updates).
_MOST_UNSENT = 1 << 18
# As a plain number: to combine its kind of flags takes longer than to encrypt a little.
_MSG_MORE = int(getattr(socket, "MSG_MORE", 0))


class NotTls(ConnectionError):
    """The peer does not speak TLS; `data` is what it said first, and will be received again."""

    def __init__(self, data: bytes) -> None:
        super().__init__(ECONNABORTED, "the peer does not speak TLS")
        self.data = data


class TlsSocket:
    """A connected, non-blocking socket with TLS on it, as the server's end.  `context` is an ssl.SSLContext.

    A client that offers protocols (ALPN), but none of `protocols`, is refused; where there are none, anybody is taken.
    A peer that leaves without saying so in TLS has ended all the same: HTTP itself tells what is whole.  It is told in
    the log, at the level of debug, as somebody else may have cut the connection (RFC 8446 §6.1).
    """

    __slots__ = (
        "_ahead", "_begun", "_engine", "_fed", "_hello", "_input", "_output", "_protocols", "_said_end", "_shuts",
        "_sock", "_taken", "_unsent", "established", "waits",
    )  # fmt: skip

    def __init__(self, sock: Any, context: ssl.SSLContext, protocols: frozenset[bytes] = frozenset()) -> None:
        self._sock = sock
        self._protocols = protocols
        self._hello: bytes | None = b"" if protocols else None  # what has come of it; None where nobody asks any more
        self._input = ssl.MemoryBIO()
        self._output = ssl.MemoryBIO()
        # None where the peer does not speak TLS: then everything goes through as it is.
        self._engine: ssl.SSLObject | None = context.wrap_bio(self._input, self._output, server_side=True)
        self.established = False  # whether the handshake is done
        self.waits = False  # whether there is something to `flush()` when the kernel has room
        self._begun = False  # whether the first byte has come
        self._fed = False  # whether the engine may have something to give without more input
        self._ahead = b""  # what was decrypted before it was asked for
        self._unsent: list[Any] = []  # encrypted, and not with the kernel yet
        self._taken = 0  # how many plain bytes are in it that were not said to be sent
        self._said_end = False
        self._shuts = False  # whether to shut the sending side when all is sent

    # ---- the handshake

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as the input reaches; whether it is done.

        Raises BlockingIOError, NotTls (from then on this is a plain socket), and another OSError where it fails.
        """
        engine, data = self._engine, self._sock.recv(_RECORD_ON_WIRE)
        if engine is None or not data:
            raise ConnectionAbortedError(ECONNABORTED, "the peer left during the handshake")
        if not self._begun and data[0] != _HANDSHAKE:
            self._engine, self.established, self._ahead = None, True, data
            raise NotTls(data)
        self._begun = True
        self._look_at_offer(data)
        self._input.write(data)
        try:
            engine.do_handshake()
            self.established = True
            self._fed = self._input.pending > 0
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as why:
            raise _failed(why) from None
        finally:
            # Where it failed, that is the alert which says why.
            self.flush()
        return self.established

    def _look_at_offer(self, data: bytes) -> None:
        """Refuse a client that offers only protocols that are not spoken here, before the engine answers it."""
        if self._hello is None:
            return
        self._hello += data
        offered = offered_protocols(self._hello)
        if offered is None:
            return
        self._hello = None
        if offered and self._protocols.isdisjoint(offered):
            self._unsent.append(fatal_alert(NO_APPLICATION_PROTOCOL))
            self.flush()
            raise ConnectionAbortedError(ECONNABORTED, "the peer offers no protocol that is spoken here")

    # ---- in

    def recv(self, size: int) -> bytes:
        """At most `size` plain bytes; b"" at the peer's end.  Raises BlockingIOError where there are none yet."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        engine = self._engine
        if engine is None:
            return self._sock.recv(size)  # type: ignore[no-any-return]
        if not self._fed:
            data = self._sock.recv(_RECORD_ON_WIRE)
            if not data:
                logger.debug("the peer has left without saying so in TLS")
                return b""
            self._input.write(data)
        self._fed = False
        try:
            data = engine.read(size)
            # Of one record at a time, so there is more of it only where this is all that was asked for.
            self._fed = self._input.pending > 0 or (len(data) == size and engine.pending() > 0)
        except ssl.SSLWantReadError:
            raise BlockingIOError(EAGAIN, "a record is not whole yet") from None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as why:
            raise _failed(why) from None
        finally:
            if self._output.pending:
                self.flush()
        return data

    def pending(self) -> int:
        """More than 0 where `recv` may give what the kernel does not know of."""
        return len(self._ahead) or int(self._fed)

    # ---- out

    def send(self, data: Any, flags: int = 0) -> int:
        """Encrypt and send; how many plain bytes are with the kernel.  Raises BlockingIOError: say it again later.

        With MSG_MORE a little is taken and kept back, to go in one packet with what follows.
        """
        engine = self._engine
        if engine is None:
            return self._sock.send(data, flags)  # type: ignore[no-any-return]
        if not self.established:
            raise BlockingIOError(EAGAIN, "the handshake is not done")
        taken = self._taken or self._encrypt(engine, data)
        if not (flags & _MSG_MORE and taken < _RECORD) and not self.flush():
            self._taken = taken
            raise BlockingIOError(EAGAIN, "the kernel takes no more")
        self._taken = 0
        return taken

    def _encrypt(self, engine: ssl.SSLObject, data: Any) -> int:
        try:
            if len(data) <= _RECORD:
                return engine.write(data)
            whole = memoryview(data)
            for start in range(0, len(whole), _RECORD):
                engine.write(whole[start : start + _RECORD])
                self._unsent.append(self._output.read())
            return len(whole)
        except ssl.SSLError as why:
            raise _failed(why) from None

    def flush(self) -> bool:
        """Send what is encrypted; whether the kernel has all of it.  Raises OSError, but not BlockingIOError."""
        unsent = self._unsent
        if self._output.pending:
            unsent.append(self._output.read())
        if unsent and not self._all_sent(unsent):
            self.waits = True
            return False
        self.waits = False
        if self._shuts:
            self._shuts = False
            self._sock.shutdown(socket.SHUT_WR)
        return True

    def _all_sent(self, unsent: list[Any]) -> bool:
        try:
            count = self._sock.send(unsent[0]) if len(unsent) == 1 else self._sock.sendmsg(unsent)
        except BlockingIOError:
            return False
        if count == len(unsent[0]):
            del unsent[0]
        else:
            self._drop(count)
        return not unsent

    def _drop(self, count: int) -> None:
        unsent = self._unsent
        while unsent:
            length = len(unsent[0])
            if count < length:
                unsent[0] = memoryview(unsent[0])[count:]
                return
            del unsent[0]
            count -= length

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that nothing should be read."""
        return bool(self._unsent) and sum(map(len, self._unsent)) > _MOST_UNSENT

    @property
    def version(self) -> str:
        """What is spoken, such as "TLSv1.3"; "" before the handshake is done."""
        return (self._engine and self.established and self._engine.version()) or ""

    @property
    def untold(self) -> int:
        """How many bytes are with the kernel of data that `send` has not said to be sent."""
        return max(0, self._taken - sum(map(len, self._unsent)))

    # ---- the end

    def shutdown(self, how: int) -> None:
        """Say that nothing more will be sent, in TLS and then, when that is sent, to the kernel."""
        if self._engine is None:
            self._sock.shutdown(how)
            return
        self._say_end(self._engine)
        self._shuts = True
        self.flush()

    def _say_end(self, engine: ssl.SSLObject) -> None:
        if self._said_end or not self.established:
            return
        self._said_end = True
        with contextlib.suppress(ssl.SSLError):
            # Having said its end, the engine looks for the peer's, and fails for good where it finds content.
            while self._fed and (data := engine.read(_RECORD)):
                self._ahead += data
        with contextlib.suppress(ssl.SSLError):
            engine.unwrap()

    def break_off(self) -> None:
        """Say no end: a connection that is cut must not look finished."""
        self._said_end = True

    def close(self) -> None:
        """Say the end, if it was not, as well as one can without waiting, and close."""
        try:
            if self._engine is not None:
                self._say_end(self._engine)
                self.flush()
        except OSError:
            pass
        finally:
            self._sock.close()

    # ---- the socket's own

    def fileno(self) -> int:
        return self._sock.fileno()  # type: ignore[no-any-return]

    def getpeername(self) -> Any:
        return self._sock.getpeername()

    def getsockname(self) -> Any:
        return self._sock.getsockname()

    def getsockopt(self, *which: int) -> Any:
        return self._sock.getsockopt(*which)

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        self._sock.setsockopt(level, name, value)


def _failed(why: ssl.SSLError) -> ConnectionAbortedError:
    """What a channel knows for the end of its connection."""
    told = f"TLS failed: {why.reason or why}"
    logger.debug("%s", told)
    return ConnectionAbortedError(ECONNABORTED, told)


class TlsChat(WatchedChat):
    """A channel on a TlsSocket.  `handshake_time` is how many seconds its handshake may take."""

    handshake_time = 10.0
    # What is offered is encrypted at once, and held until the socket takes it.
    ac_out_buffer_size = 1 << 16

    __slots__ = ()

    def set_socket(self, sock: Any, map: dict[int, Any] | None = None) -> None:
        self._shaken_by = self.timers.now + self.handshake_time
        self._waited = self._in_event = False
        super().set_socket(sock, map)

    # ---- events

    def handle_read_event(self) -> None:
        self._in_event = True
        try:
            if self.socket.established:
                # By name: super() costs as much as the call, which is made for every request.
                WatchedChat.handle_read_event(self)
            else:
                self.shake_hands()
            if self.socket.pending():
                self._read_pending()
        finally:
            self._in_event = False

    def handle_write_event(self) -> None:
        self._in_event = True
        try:
            self._flush()
            super().handle_write_event()
            self._read_pending()
        finally:
            self._in_event = False

    def _flush(self) -> None:
        try:
            self.socket.flush()
        except OSError as why:
            self._not_sent(why)

    def _read_pending(self) -> None:
        """Take what the kernel will not tell of."""
        while self.connected and self.socket.pending() and self.readable():
            super().handle_read_event()

    def _read_soon(self) -> None:
        if self.connected:
            asyncore.read(self)

    def shake_hands(self) -> None:
        """Go on with the handshake.  One that fails is no news but to whoever looks closely."""
        try:
            if self.socket.shake_hands():
                self.interest_changed()
        except BlockingIOError:
            return
        except NotTls as why:
            self.spoke_plainly(why)
        except OSError as why:
            self.not_shaken(why)
        self.watch()

    def not_shaken(self, why: OSError) -> None:
        """The handshake has failed: the connection is lost."""
        logger.debug("the TLS handshake with %s failed: %s", self.addr, why)
        self._not_received(why)

    def spoke_plainly(self, why: NotTls) -> None:
        """The peer does not speak TLS.  The socket is a plain one from now on, and what came will be received."""
        self.not_shaken(why)

    # ---- interest

    @announced
    def readable(self) -> bool:
        return super().readable() and not self.socket.is_full

    @announced
    def writable(self) -> bool:
        return self.socket.waits or (self.socket.established and super().writable())

    def watch(self) -> None:
        WatchedChat.watch(self)
        if not self._in_event and self.connected and self.socket.pending() and self.readable():
            # No event will end in a look at what is pending, so one is made.
            self.timers.call_soon(self._read_soon)
        # What the engine has to send changes in events and timers, and both end here.
        waits = self.socket.waits
        if waits or self._waited:
            self._waited = waits
            self.interest_changed()

    # ---- out

    def ac_send_pieces(self, pieces: list[Any], more: bool) -> int:
        try:
            return self.socket.send(b"".join(pieces), _MSG_MORE if more else 0)  # type: ignore[no-any-return]
        except OSError as why:
            return self._not_sent(why)

    def bytes_gone(self) -> int:
        return super().bytes_gone() + int(self.socket.untold)

    # ---- time

    def patience(self) -> float:
        if self.socket.established:
            return super().patience()
        return self._shaken_by if self.connected else math.inf

    def timed_out(self) -> None:
        if self.socket.established:
            super().timed_out()
        else:
            logger.debug("the TLS handshake with %s takes too long", self.addr)
            self.close()
