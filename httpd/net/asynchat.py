"""The documented asynchat, kept and mended: terminators in, producers out.

Input is searched for a terminator, which is bytes, a number of bytes, or None; what comes before it goes to
`collect_incoming_data()` as it arrives, and then `found_terminator()` is called.  Output is a first-in-first-out queue
of bytes and producers, sent as the peer takes it.

Three mends an old program might not expect.  They are class attributes, off here, on in `http_request_handler`:

    producers_may_stall    more() giving None means "nothing yet"; off, it ends the producer, as b"" does
    answers_after_eof      a peer that has finished sending still gets what is queued; off, the channel closes
    stops_when_closing     no found_terminator() after close_when_done(); off, input is served until the close

Mended for all: nothing is called after close(); many short lines in one piece, and large data in small sends, take
linear time; a producer that is falsy loses nothing; close() of a producer is called once, also when the connection is
lost; pushed data is copied if it can change; set_terminator(str) is a TypeError at once, and None is the default.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable
from threading import get_ident
from typing import Any

from . import asyncore
from .interest import announced, interests_of
from .output_queue import OutputQueue, close_queued
from .producers import Producer, close_producer, stall_producer

__all__ = ["async_chat", "fifo", "find_prefix_at_end", "simple_producer"]

# What one channel may send in one turn: then the others have theirs.  However little a send carries, it costs time.
SEND_ALLOWANCE = 1 << 21
_LEAST_COST = SEND_ALLOWANCE // 64
# A socket's own bound on how many buffers go into one sendmsg (IOV_MAX is 1,024 or more everywhere).
_MOST_PIECES = 64
# Tells the kernel that more follows at once, where it can be told (Linux).
_MSG_MORE = getattr(socket, "MSG_MORE", 0)
# What may be sent as it is; anything else in the queue but None is a producer, or becomes data.
_DATA = (bytes, memoryview, bytearray)
_own_send = asyncore.dispatcher.send


class async_chat(asyncore.dispatcher):
    """A channel that speaks in terminated messages.  Derive from it and add `collect_incoming_data` and
    `found_terminator`."""

    ac_in_buffer_size = 65536
    ac_out_buffer_size = 65536

    # Encoding is not done unless asked for: it would hide a bug.
    use_encoding = False
    encoding = "latin-1"

    producers_may_stall = False
    answers_after_eof = False
    stops_when_closing = False

    terminator: bytes | int | None = None

    # What a channel begins with; here too for a program that calls only dispatcher.__init__, as many did.
    ac_bytes_sent = 0
    _ac_in_data: bytes = b""
    _ac_in_at = 0
    _ac_paused = _ac_taking = _ac_eof = _ac_ended = _ac_closed = False
    _ac_stalled = _ac_woken = _ac_sending = _ac_waits = False
    _ac_queue_given = False  # whether the queue is one that a program has put there
    _ac_thread = 0  # the loop's, where a producer stalls

    def __init__(self, sock: Any = None, map: dict[int, Any] | None = None) -> None:
        # All set here, for an instance's own attributes are found fastest.
        self.ac_bytes_sent = 0  # that the kernel has taken, in all
        self.incoming: list[bytes] = []
        self._ac_in_data = b""  # the piece being searched, after what was held back of the one before
        self._ac_in_at = 0  # how far it has been taken
        self._ac_fifo: deque[Any] = deque()
        self._ac_paused = self._ac_taking = self._ac_eof = False
        self._ac_stalled = self._ac_woken = self._ac_sending = self._ac_waits = False
        self._ac_ended = False  # no more input is taken
        self._ac_closed = False
        asyncore.dispatcher.__init__(self, sock, map)

    def set_socket(self, sock: Any, map: dict[int, Any] | None = None) -> None:
        """Take a socket and enter the map; a channel that was closed begins anew."""
        self._ac_closed = self._ac_ended = self._ac_eof = False
        super().set_socket(sock, map)

    # ---- what old programs reach for

    @property
    def ac_in_buffer(self) -> bytes:
        """What has been received and not been taken yet."""
        return self._ac_in_data[self._ac_in_at :]

    @ac_in_buffer.setter
    def ac_in_buffer(self, data: bytes) -> None:
        self._ac_in_data = data
        self._ac_in_at = 0

    @property
    def producer_fifo(self) -> deque[Any]:
        """The output queue: bytes, producers, and None for "close now".  It may be kept, and changed at any time.

        Producers that its `clear()` drops are closed, and so are those that another queue, put in its place, has not.
        """
        if not self._ac_queue_given and type(self._ac_fifo) is deque:
            self._ac_fifo = OutputQueue(self, self._ac_fifo)
        return self._ac_fifo

    @producer_fifo.setter
    def producer_fifo(self, queue: deque[Any]) -> None:
        before = getattr(self, "_ac_fifo", None)
        self._ac_fifo = queue
        if before is not queue:
            if isinstance(before, OutputQueue):
                before.channel = None
            kept = set(map(id, queue))
            close_queued([item for item in before or () if id(item) not in kept])
            self._ac_has_queue_given()
        self.interest_changed()

    def _ac_has_queue_given(self) -> None:
        """A program's own queue says nothing of what is put into it: `writable()` is asked on every pass."""
        if not self._ac_queue_given:
            self._ac_queue_given = True
            self.writable = lambda: type(self).writable(self)  # type: ignore[method-assign]

    def _collect_incoming_data(self, data: bytes) -> None:
        self.incoming.append(data)

    def _get_data(self) -> bytes:
        data = b"".join(self.incoming)
        del self.incoming[:]
        return data

    # ---- in: to be overridden

    def collect_incoming_data(self, data: bytes) -> None:
        """Take data that comes before the terminator; never b"".  It may come in any number of pieces."""
        raise NotImplementedError("must be implemented in subclass")

    def found_terminator(self) -> None:
        """The terminator was found; the data before it has been collected."""
        raise NotImplementedError("must be implemented in subclass")

    def ac_terminator_awaited(self) -> None:
        """What has come was collected, and does not end with the terminator.  May be overridden."""

    # ---- in: terminators

    def set_terminator(self, term: Any) -> None:
        """What ends the next message: bytes, a number of bytes, or None (also 0 and b""): nothing, collect without end.

        Raises ValueError for a negative number, TypeError for anything else (a str too, unless `use_encoding`).
        """
        self.terminator = term if isinstance(term, bytes) else self._ac_as_terminator(term)

    def _ac_as_terminator(self, term: Any) -> bytes | int | None:
        if isinstance(term, str) and self.use_encoding:
            return term.encode(self.encoding)
        if isinstance(term, int):
            if term < 0:
                raise ValueError("the number of received bytes must be positive")
            return term
        if term is None:
            return None
        if not isinstance(term, (bytearray, memoryview)):
            raise TypeError(f"a terminator is bytes, an integer or None, not {type(term).__name__}")
        return bytes(term)

    def get_terminator(self) -> bytes | int | None:
        """The terminator; an integer one says how many bytes are still to come."""
        return self.terminator

    def handle_read(self) -> None:
        """Receive a piece, and take what it completes."""
        try:
            data: Any = self.recv(self.ac_in_buffer_size)
        except BlockingIOError:
            return
        except OSError:
            self.handle_error()
            return
        if data:
            if data.__class__ is not bytes:
                data = data.encode(self.encoding) if isinstance(data, str) and self.use_encoding else bytes(data)
            # Only what was held back, at most a terminator's length, is ever copied to be searched again.
            if self._ac_in_data:
                data = self._ac_in_data[self._ac_in_at :] + data
            self._ac_in_data = data
            self._ac_in_at = 0
            self.take_input()

    def take_input(self) -> None:
        """Give out what has been received, until it is used up, held back, paused, or the channel closes."""
        if self._ac_taking:
            return
        self._ac_taking = True
        try:
            while self._ac_in_data and not self._ac_paused and not self._ac_ended:
                terminator = self.get_terminator()
                if terminator and isinstance(terminator, bytes):
                    goes_on = self._ac_take(terminator)
                else:
                    goes_on = self._ac_take_otherwise(terminator)
                if not goes_on:
                    return
        finally:
            self._ac_taking = False

    def _ac_take(self, terminator: bytes) -> bool:
        """Take input up to the terminator or its end.  False when nothing more can be taken of this piece."""
        data, at = self._ac_in_data, self._ac_in_at
        found, held = self.ac_scan(data, at, terminator)
        if found < 0:
            self._ac_collect_to(len(data) - held)
            self.ac_terminator_awaited()
            return not held
        if found > at:
            self._ac_in_at = found
            self.collect_incoming_data(data[at:found])
        if not self._ac_ended:
            end = found + len(terminator)
            if end < len(data):
                self._ac_in_at = end
            else:
                self._ac_in_data = b""
                self._ac_in_at = 0
            self.found_terminator()
        return True

    def _ac_take_otherwise(self, terminator: Any) -> bool:
        if terminator and not isinstance(terminator, int):
            # Of a program's own get_terminator().
            return self._ac_take(bytes(terminator))
        if terminator:
            return self._ac_take_counted(terminator)
        self._ac_collect_to(len(self._ac_in_data))
        return True

    def _ac_take_counted(self, terminator: int) -> bool:
        count, before = min(terminator, len(self._ac_in_data) - self._ac_in_at), self.terminator
        self._ac_collect_to(self._ac_in_at + count)
        # What has been found was asked for before; what is set meanwhile holds for what comes after it.
        if self.terminator == before:
            self.terminator = terminator - count
        if count == terminator and not self._ac_ended:
            self.found_terminator()
        return True

    def _ac_collect_to(self, end: int) -> None:
        data, at = self._ac_in_data, self._ac_in_at
        if end > at:
            self._ac_in_at = end
            # The whole of a bytes is itself, not a copy.
            self.collect_incoming_data(data[at:end])
        if self._ac_in_at >= len(self._ac_in_data):
            self.ac_in_buffer = b""

    def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
        """Look for the terminator: (its position, 0), or (-1, how many bytes at the end may be its beginning)."""
        found = data.find(terminator, start)
        if found >= 0:
            return found, 0
        tail = data[max(start, len(data) - len(terminator) + 1) :]
        return -1, find_prefix_at_end(tail, terminator) if tail else 0

    def pause_input(self) -> None:
        """Neither read nor take what was read, until `resume_input()`."""
        self._ac_paused = True
        self.interest_changed()

    def resume_input(self) -> None:
        """Take what waits, and read on."""
        self._ac_paused = False
        self.interest_changed()
        self.take_input()

    def handle_eof(self) -> None:
        """The peer has finished sending: close, with `answers_after_eof` not before what is queued is sent."""
        if self.answers_after_eof and self._ac_fifo:
            self._ac_eof = True
            self.close_when_done()
            self.interest_changed()
        else:
            super().handle_eof()

    @announced
    def readable(self) -> bool:
        """Whether to wait for data: always, but while input is paused and after the peer's end."""
        return not self._ac_paused and not self._ac_eof

    # ---- out

    def push(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data, and send what can be sent at once.  Raises TypeError for what is no data."""
        if not isinstance(data, bytes):
            if not isinstance(data, (bytearray, memoryview)):
                raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
            data = bytes(data)
        if data:
            self._ac_fifo.append(data)
        self.initiate_send()

    def ac_enqueue(self, item: bytes | Producer) -> None:
        """Queue data, or a producer, that goes out with what is pushed next; on a closed channel it is closed."""
        if self._ac_closed:
            close_producer(item)
        else:
            self._ac_fifo.append(item)

    def push_with_producer(self, producer: Producer) -> None:
        """Queue a producer, and send what can be sent at once.  On a closed channel, the producer is closed at once."""
        self.ac_enqueue(producer)
        self.initiate_send()

    def close_when_done(self) -> None:
        """Close the channel once the queue is empty."""
        if self.stops_when_closing:
            self._ac_ended = True
        self._ac_fifo.append(None)
        self._ac_announce_output()

    def wake(self) -> None:
        """A producer that had nothing yet may have something now: ask it again.  For the loop's own thread."""
        self._ac_woken = True
        self.initiate_send()

    def ac_ask_again(self) -> None:
        """`wake`, from any thread: it is what a producer is given that has nothing yet."""
        if get_ident() == self._ac_thread:
            self.wake()
        else:
            interests_of(self._map).call(self.wake)

    def ac_ask_later(self, seconds: float | None) -> None:
        """A producer has nothing yet, and will be asked again in so many seconds; None: not before it says so."""
        if seconds is not None:
            asyncore.call_later(seconds, self.wake, map=self._map)

    @announced
    def writable(self) -> bool:
        """Whether to wait for room to send."""
        return (bool(self._ac_fifo) and not self._ac_stalled) or not self.connected

    def handle_write(self) -> None:
        """There is room to send."""
        self.initiate_send()

    def handle_close(self) -> None:
        """The connection is gone, or all is sent: close."""
        self.close()

    def initiate_send(self) -> None:
        """Send what is queued, until the kernel takes no more, a producer stalls, or this turn's allowance is spent."""
        # A close in the middle of a send may push a farewell: that is sent by the loop that is already here.
        if self._ac_sending:
            return
        self._ac_sending = True
        self._ac_stalled = False
        try:
            allowance = SEND_ALLOWANCE
            while self._ac_fifo and self.connected:
                first = self._ac_fifo[0]
                sent = self._ac_send_data(first) if isinstance(first, _DATA) else self._ac_send_other(first, allowance)
                if sent < 0:
                    break
                if self._ac_fifo:
                    allowance -= sent and max(sent, _LEAST_COST)
                    if allowance <= 0:
                        break
        finally:
            self._ac_sending = False
        if self._ac_fifo or self._ac_waits:
            self._ac_announce_output()
        if not self._ac_fifo:
            self.output_sent()

    def output_sent(self) -> None:
        """All that was queued is with the kernel.  To be overridden."""

    def _ac_send_other(self, first: Any, allowance: int) -> int:
        """Serve what is not data at the head of the queue; how many bytes were sent, -1 when no more can be now."""
        if first is None:
            self._ac_fifo.popleft()
            asyncore._lost(self)
            return -1
        if self.ac_by_sendfile(first):
            return self._ac_serve_file(first, allowance)
        if hasattr(first, "more"):
            return self._ac_ask(first)
        self._ac_fifo[0] = self._ac_as_data(first)
        return 0

    def _ac_as_data(self, item: Any) -> Any:
        """The bytes of what an old program may have queued: a str, or anything that has bytes, as mmap and array."""
        if isinstance(item, str) and self.use_encoding:
            return item.encode(self.encoding)
        return memoryview(item).cast("B")

    def _ac_ask(self, producer: Any) -> int:
        self._ac_woken = False
        data: Any = self.ac_refill(producer)
        if self._ac_fifo and self._ac_fifo[0] is producer:
            if data:
                # A producer may fill its one buffer again and again.
                self._ac_fifo.appendleft(data if isinstance(data, bytes) else _settled(data))
            elif data is None and self.producers_may_stall:
                self._ac_thread = get_ident()
                self.ac_ask_later(stall_producer(producer, self.ac_ask_again))
                self._ac_stalled = not self._ac_woken
                if self._ac_stalled:
                    self.interest_changed()
                return -1
            else:
                self._ac_fifo.popleft()
                close_producer(producer)
        return 0

    def ac_refill(self, producer: Any) -> bytes | None:
        """Ask a producer for more."""
        return producer.more()  # type: ignore[no-any-return]

    def _ac_send_data(self, first: Any) -> int:
        """Send the data that stands at the head of the queue, coalesced."""
        offered = len(first)
        if not offered:
            self._ac_fifo.popleft()
            return 0
        try:
            if not self._ac_sends_itself:
                # It may count, log or limit: it gets what it always got, one piece of bytes a turn.
                self._ac_drop_sent(self.send(bytes(first[: self.ac_out_buffer_size])) or 0)
                return -1
            if len(self._ac_fifo) == 1 and offered <= self.ac_out_buffer_size:
                sent = self.ac_send(first)
                if sent == offered and self._ac_fifo:
                    self._ac_fifo.popleft()
                    self.ac_bytes_sent += sent
                    return sent
            else:
                pieces, more = self._ac_gather()
                sent, offered = self.ac_send_pieces(pieces, more), sum(map(len, pieces))
        except OSError:
            self.handle_error()
            return -1
        self._ac_drop_sent(sent)
        return sent if sent == offered and self.connected else -1

    def _ac_gather(self) -> tuple[list[Any], bool]:
        """(the pieces to send together, whether a file follows them at once)"""
        pieces: list[Any] = []
        fifo, room = self._ac_fifo, self.ac_out_buffer_size
        # By number: another thread may push meanwhile, which ends an iteration.
        for at in range(min(len(fifo), _MOST_PIECES)):
            item = fifo[at]
            if not isinstance(item, _DATA):
                return pieces, hasattr(item, "send_to") and item.remaining > 0
            pieces.append(item)
            room -= len(item)
            if room <= 0:
                if room:
                    pieces[-1] = memoryview(item)[:room]
                break
        return pieces, False

    def _ac_drop_sent(self, count: int) -> None:
        fifo = self._ac_fifo
        self.ac_bytes_sent += count
        while count > 0 and fifo:
            first = fifo[0]
            count -= len(first)
            if count < 0:
                fifo[0] = memoryview(first)[count:]
            else:
                fifo.popleft()

    # Send one piece; how many bytes the kernel took.  Not the documented `send`: one that a program has put in its
    # place is served otherwise.
    ac_send = _own_send

    def ac_send_pieces(self, pieces: list[Any], more: bool) -> int:
        """Send pieces together; how many bytes the kernel took.  `more`: a file follows at once, in the same packet."""
        if type(self.socket) is not socket.socket:
            return self.send(b"".join(pieces))
        try:
            return self.socket.sendmsg(pieces, (), _MSG_MORE if more else 0)
        except OSError as why:
            return self._not_sent(why)

    @property
    def _ac_sends_itself(self) -> bool:
        """Whether `send` is the documented one, not a program's own."""
        return getattr(self.send, "__func__", None) is _own_send

    def ac_by_sendfile(self, item: Any) -> bool:
        """Whether it is a file that may go to the socket past `self.send`."""
        return hasattr(item, "send_to") and type(self.socket) is socket.socket and self._ac_sends_itself

    def _ac_serve_file(self, producer: Any, allowance: int) -> int:
        offered = min(producer.remaining, allowance)
        sent = self.ac_send_file(producer, offered) if offered else 0
        self.ac_bytes_sent += sent
        if self._ac_fifo and self._ac_fifo[0] is producer and producer.remaining == 0:
            self._ac_fifo.popleft()
            close_producer(producer)
        return sent if sent == offered and self.connected else -1

    def ac_send_file(self, producer: Any, most: int) -> int:
        """Let a file producer send itself; how many bytes the kernel took."""
        try:
            return producer.send_to(self._fileno, most)  # type: ignore[no-any-return]
        except OSError as why:
            return self._not_sent(why)

    def _ac_announce_output(self) -> None:
        waits = bool(self._ac_fifo) and not self._ac_stalled
        if waits and self._ac_waits and self._kept_by is not None and self._kept_by.waits_for_room(self):
            # As after every piece of a large file.
            return
        # To say it once too often is harmless; not to say it would leave the rest unsent.
        if waits or self._ac_waits:
            self._ac_waits = waits
            self.interest_changed()

    # ---- the end

    def close(self) -> None:
        """Close the channel; producers still queued are closed too."""
        self._ac_closed = self._ac_ended = True
        try:
            super().close()
        finally:
            if self._ac_fifo:
                self._ac_drop_output()

    def discard_buffers(self) -> None:
        """Forget all input and output.  Emergencies only!"""
        self.ac_in_buffer = b""
        del self.incoming[:]
        self._ac_drop_output()

    def _ac_drop_output(self) -> None:
        fifo = self._ac_fifo
        close_queued([fifo.popleft() for _ in range(len(fifo))])


def _settled(data: Any) -> Any:
    """Data that may change, as data that may not; anything else as it is."""
    return bytes(data) if isinstance(data, (bytearray, memoryview)) else data


class simple_producer:
    """Gives `data` in pieces of at most `buffer_size` bytes.  What was given is dropped from `data`."""

    def __init__(self, data: bytes, buffer_size: int = 512) -> None:
        self.data = data
        self.buffer_size = buffer_size

    @property
    def data(self) -> bytes:
        """What is still to be given."""
        return self._data[self._at :]

    @data.setter
    def data(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bytes:
        """The next piece; b"" when all was given."""
        result = self._data[self._at : self._at + self.buffer_size]
        self._at += len(result)
        return result


class fifo:
    """The documented first-in-first-out queue of Python 2's asynchat."""

    def __init__(self, list: Iterable[Any] | None = None) -> None:
        self.list: deque[Any] = deque(list or ())

    def __len__(self) -> int:
        return len(self.list)

    def is_empty(self) -> bool:
        """Whether nothing is queued."""
        return not self.list

    def first(self) -> Any:
        """The item that `pop()` would give.  Raises IndexError when nothing is queued."""
        return self.list[0]

    def push(self, data: Any) -> None:
        """Add an item at the end."""
        self.list.append(data)

    def pop(self) -> tuple[bool, Any]:
        """(True, the first item), or (False, None) when nothing is queued."""
        return (True, self.list.popleft()) if self.list else (False, None)


def find_prefix_at_end(haystack: bytes, needle: bytes) -> int:
    """The length of the longest beginning of `needle`, less than all of it, that `haystack` ends with."""
    length = len(needle) - 1
    while length and not haystack.endswith(needle[:length]):
        length -= 1
    return length
