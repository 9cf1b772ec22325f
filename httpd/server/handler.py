"""http_request_handler: the asynchat documentation's class, grown up.

It reads a head with the terminator b"\\r\\n\\r\\n", then content with an integer terminator.  Heads that are not
known are judged, and requests answered, when all that came in this turn of the loop has been read (see `rounds`).  Its
states and what may follow each are the table below; one method a state.  While an answer is under way the channel does
not read, so that a client that takes nothing cannot make the server hold anything: requests sent ahead wait in the
input buffer, at most one piece of it, and are answered in order.

Content that is not small may be streamed to a thread that reads it while it comes (see `inflow`).  Then the site is
asked when the head is there, in READ_BODY, and its answer may begin before the content has ended: that goes on being
read in SEND_RESPONSE, as far as the thread takes it.

Time: each state has its patience (see `watched`).  Content and answers have a window of so many seconds after the
other; in each, the peer must send or take bytes at a minimum rate.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import math
import socket
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ..net import asyncore
from ..net.interest import announced
from ..net.producers import Broken, close_producer, finish_producer
from ..net.report import Reporter
from ..net.wake import Full
from ..net.watched import WatchedChat
from ..protocol.errors import Blocking, HTTPError, Later, Promised, Refusal
from ..protocol.head import RefusingParser, salvage
from ..protocol.json_content import JSON
from ..protocol.media_types import parse_media_type
from ..protocol.message import WITHOUT_CONTENT, Head, Request, Response, replaced
from ..protocol.negotiation import best
from ..site.answers import as_response
from ..site.error_pages import KINDS, error_response, excerpt
from ..site.templates import template_fault
from ..site.uploads import Reader, WholeReader
from .log import Log
from .service import Service

if TYPE_CHECKING:
    from ..site.inflow import Inflow

__all__ = ["TABLE", "State", "Wanted", "http_request_handler"]

logger = Reporter("httpd.server")

HEAD_END = b"\r\n\r\n"
# RFC 9110 §15.2.1.  An interim response is news of HTTP/1.1, sent to its clients only, so it names that version.
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# A body up to this size is joined to its head, for one send; a copy of a larger one would cost more than a call.
_JOINED = 65_536
# A head or content that comes in more pieces than this is joined now and then: a piece costs more than its bytes.
_MOST_PIECES = 1_024
# Linux has it.
_CORK = getattr(socket, "TCP_CORK", None)
# close() with this option sends a reset: the client can tell that what it got is not all.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


# What reads the content as it comes, why it is not taken, or None for content as any other.
Wanted: TypeAlias = Reader | Exception | None


class State(enum.Enum):
    """Where a connection is in its exchange."""

    READ_HEADER = "read header"
    READ_BODY = "read body"
    HANDLE = "handle"
    SEND_RESPONSE = "send response"
    LINGER = "linger"
    CLOSED = "closed"


READ_HEADER, READ_BODY, HANDLE = State.READ_HEADER, State.READ_BODY, State.HANDLE
SEND_RESPONSE, LINGER, CLOSED = State.SEND_RESPONSE, State.LINGER, State.CLOSED

# What may follow each state.
TABLE: dict[State, frozenset[State]] = {
    READ_HEADER: frozenset({READ_BODY, HANDLE, SEND_RESPONSE, LINGER, CLOSED}),
    READ_BODY: frozenset({HANDLE, SEND_RESPONSE, CLOSED}),
    HANDLE: frozenset({SEND_RESPONSE, CLOSED}),
    SEND_RESPONSE: frozenset({READ_HEADER, LINGER, CLOSED}),
    LINGER: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
# Where the site's answer is waited for.  A tuple: to find an enum's member in a set costs as much as a call.
_ASKED = (READ_BODY, HANDLE)


class http_request_handler(WatchedChat):
    """One connection's channel.

    `sock` is connected and non-blocking, `addr` its peer's address, `sessions` a mapping that may hold the site's
    sessions, `log` a Log; `service` is what all connections of the server share.  `on_close(handler)` is called once
    at the end.
    """

    producers_may_stall = True
    answers_after_eof = True
    stops_when_closing = True
    announces_all = True
    # As much as a socket's buffer takes at once, so that a remembered file goes with its head in one call.
    ac_out_buffer_size = 1 << 18
    # Whether the peer has clients of its own: then its connections are not counted as one client's.
    speaks_for_others = False
    # Whether the peer's end is awaited after every last answer: a layer beneath has an end of its own to say.
    always_lingers = False

    log: Log  # type: ignore[assignment]
    # Whose connection the server counts it as.
    client: str | bytes

    # Slots, because a dict of so many names would be as big as the rest of an idle connection.
    __slots__ = (
        "_asked", "_began", "_content_from", "_empty_lines", "_expected", "_inflow", "_judged", "_must_linger",
        "_named", "_on_close", "_owed", "_persistent", "_reader", "_received", "_said_keep_alive", "_status", "_until",
        "_window_from", "ac_in_buffer_size", "addr", "asked_at", "client", "log", "peer", "requests", "service",
        "sessions", "since", "state", "terminator",
    )  # fmt: skip

    def __init__(
        self,
        sock: Any,
        addr: Any,
        sessions: Any,
        log: Log,
        service: Service,
        map: dict[int, Any] | None = None,
        on_close: Any = None,
    ) -> None:
        WatchedChat.__init__(self, service.timers, map)
        self.addr = addr
        self.peer: str = addr[0] if isinstance(addr, tuple) else ""
        self.sessions = sessions
        self.log = log
        self.service = service
        self.ac_in_buffer_size = service.limits.piece
        self.state = READ_HEADER
        self.since = service.timers.now
        self.requests = 0  # how many were answered or are being answered
        self.asked_at = 0.0  # when the first byte of the present request, or of the last, came
        self._named = 0, ""  # which of the requests has a name in the logs, and what it is
        self._on_close = on_close
        self._began = service.timers.now  # when the state was entered, its head's first byte came, or its window began
        self._window_from: int | None = None  # how many bytes had gone when the window began
        self._until = 0.0  # when lingering ends at the latest
        # What is being read:
        self._received = 0  # bytes of the present head or content
        self._empty_lines = 0  # before the present request-line (RFC 9112 §2.2)
        self._judged = 0  # how much of the unfinished head was looked at
        self._expected: Head | None = None  # the head whose content is being read
        self._reader: Reader | None = None  # what reads it, and keeps its files until the answer is sent
        self._inflow: Inflow | None = None  # that reader, where a thread reads the content while it comes
        # What is being answered:
        self._said_keep_alive = False
        self._persistent = False  # whether to read on after this answer
        self._must_linger = False  # whether input may be unread after this answer
        self._asked: Head | str | None = None  # the head, or what stands in the place of its first line
        self._status = 0  # of the answer to it, once there is one; then it is logged
        self._owed: int | None = None  # how much content the producer still owes
        self._content_from = 0  # what ac_bytes_sent is when the head is sent, and the content begins
        self.set_terminator(HEAD_END)
        self.set_socket(sock)
        self.connected = True

    @property
    def asked(self) -> Head | str | None:
        """What is being read or answered: a head, what stands where one should be, or None where nothing is."""
        return self._asked or self._expected

    # ---- events

    def wake(self) -> None:
        # Only where we waited for the producer: it must not buy time for a client that takes, or sends, nothing.
        if self._ac_stalled and not self.owes_content:
            self._began = self.timers.now
        super().wake()

    @announced
    def readable(self) -> bool:
        """Whether to wait for data.  While content has nothing yet, a piece is read ahead: to see who leaves."""
        return not self._ac_eof and (not self._ac_paused or (self._ac_stalled and not self._ac_in_data))

    def _acts_later(self) -> bool:
        return self.state is HANDLE or (self.state is READ_HEADER and self._ac_paused)

    def handle_eof(self) -> None:
        if self._inflow is not None and self._expected is not None:
            # Who reads what has not come whole is told; what is being answered may be answered all the same.
            self._expected = None
            self._inflow.close()
        if self.state is SEND_RESPONSE and self._ac_stalled and self._owed is None:
            # Content without a known length may have nothing for ever, and nobody would find out.
            self.cut()
        else:
            super().handle_eof()

    def ac_terminator_awaited(self) -> None:
        if self.incoming and self.state is READ_HEADER:
            self._judge_unfinished()

    def collect_incoming_data(self, data: bytes) -> None:
        if self.state is READ_HEADER:
            if not self._received:
                self._began = self.timers.now
        elif self._passed_on(data):
            return
        incoming = self.incoming
        incoming.append(data)
        self._received += len(data)
        if len(incoming) > _MOST_PIECES:
            incoming.append(self.take_collected())

    def _passed_on(self, data: bytes) -> bool:
        """Whether content goes to who reads it as it comes, or nobody wants it any more."""
        if self.state is LINGER:
            self._began = self.timers.now
        elif self._inflow is not None:
            self._received += len(data)
            self._inflow.feed(data)
            if self._inflow.full:
                self.pause_input()
        elif self._reader is not None and self.state is READ_BODY:
            self._received += len(data)
            self.read_form(partial(self._reader.feed, data))
        else:
            return False
        return True

    def found_terminator(self) -> None:
        incoming = self.incoming
        data = incoming.pop() if len(incoming) == 1 else self.take_collected()
        if self.state is READ_HEADER:
            self.found_head(data)
        elif self._inflow is not None:
            self.content_ended(self._inflow)
        elif self.state is READ_BODY and self._expected is not None:
            self.found_body(Request(self._expected, data, self.peer))

    def take_collected(self) -> bytes:
        """What was collected since the last terminator."""
        data = b"".join(self.incoming)
        self.incoming.clear()
        return data

    def set_state(self, new: State) -> None:
        """Go to another state; its patience begins now."""
        self.state = new
        self._began = self.timers.now
        self._window_from = None
        self._received = 0

    # ---- READ_HEADER

    def found_head(self, head: bytes) -> None:
        """A head is complete: act on it, or have it judged when its round comes; until then nothing is taken."""
        if not head and self._empty_lines == 0:
            # Two empty lines are a terminator too.
            self._empty_lines = 2
            return
        self.asked_at = self._began
        known = self.service.parser.known(head)
        if known is not None:
            self.found_good(known)
        else:
            # Until the end of this turn, which is nothing to tell anybody of.
            self._ac_paused = True
            self.service.rounds.judge(self, head)

    def judge_head(self, head: bytes) -> None:
        """The head's turn has come, unless the connection has gone meanwhile; then what came behind it is taken."""
        if self.state is not READ_HEADER:
            return
        self._ac_paused = False
        verdict = self.service.parser.parse(head, self._empty_lines)
        if isinstance(verdict, Refusal):
            self._empty_lines = self._judged = 0
            self._refuse_unless_wanted(verdict, head)
        else:
            self.found_good(verdict)
        if self.state is not HANDLE:
            self.take_input()
            self.watch()

    def found_good(self, head: Head) -> None:
        """A head is good: have its content read, or the request answered."""
        self._empty_lines = self._judged = 0
        if head.content_length:
            self.ask_first(head, partial(self.expect_body, head))
        else:
            self.handle_request(Request(head, b"", self.peer))

    def _refuse_unless_wanted(self, refusal: Refusal, head: bytes) -> None:
        """Refuse a head.  Content that is too long elsewhere may be welcome where it goes."""
        longer = self.service.parser.parse_longer(head) if refusal.status == 413 else None
        if longer is None:
            self.refuse(refusal, head)
        else:
            expect = partial(self.expect_body, longer)
            self.ask_first(longer, lambda wanted: expect(wanted) if wanted else self.refuse(refusal, head))

    def _judge_unfinished(self) -> None:
        """Refuse a head that can no longer become good, without waiting for its end.

        Only whole lines are judged, so there is something to judge only where a line or a limit was passed.
        """
        limits = self.service.limits
        held = self.ac_in_buffer
        before, self._judged = self._judged, self._received
        passed = before <= limits.request_line < self._received or before <= limits.head < self._received
        # A TLS hello, which has no lines, shows in two bytes, and before them may be two empty lines.
        if before > 5 and not passed and b"\n" not in held and b"\n" not in self.incoming[-1]:
            return
        head = self.take_collected()
        refusal = self.service.parser.judge_early(head + held, self._empty_lines)
        if refusal is not None:
            self.refuse(refusal, head)
        else:
            self.incoming.append(head)

    # ---- READ_BODY

    def ask_first(self, head: Head, then: Callable[[Wanted], object]) -> None:
        """Ask the site about content that is still to come, and go on with what it says, when it knows."""
        try:
            wanted = self.ask_before(head)
        except Later as raised:
            self.pause_input()
            self.service.beside(raised.with_traceback(None).work, partial(self.found_out, head, then))
        else:
            then(wanted)

    def found_out(self, head: Head, then: Callable[[Wanted], object], error: BaseException | None) -> None:
        """Ask again; where the site's work has failed, say so.  The client may have gone meanwhile."""
        try:
            if self.state is not READ_HEADER:
                return
            if error is not None:
                self.respond_early(head, error)
            else:
                self.ask_first(head, then)
            if self.state is READ_BODY and not (self._inflow and self._inflow.full):
                self.resume_input()
            self.watch()
        except Exception:
            self.handle_error()

    def ask_before(self, head: Head) -> Wanted:
        """What the site's `check(request)` says of content that is still to come.

        It is what reads a form as it comes, the error that need not wait for it (RFC 9110 §10.1.1), or None: it is
        content as any other.  Raises Later where the site has to find that out.
        """
        check = getattr(self.service.site, "check", None)
        if check is None:
            return None
        most = self.service.limits.body
        try:
            body = check(self.early_request(head))
        except Later:
            raise
        except Exception as error:
            # Short content is read and dropped, and the connection goes on.
            return error if head.expects_continue or head.content_length > most else None
        try:
            return body and body.reader(head, most)  # type: ignore[no-any-return]
        except Exception as error:
            return error

    def early_request(self, head: Head) -> Request:
        """A request whose content is still to come."""
        return Request(head, b"", self.peer)

    def expect_body(self, head: Head, wanted: Wanted) -> None:
        """Read content of the announced length; what is not wanted gets its refusal instead."""
        if isinstance(wanted, Exception):
            self.respond_early(head, wanted)
            return
        self._reader = wanted
        self._expected = head
        self.set_state(READ_BODY)
        self.set_terminator(head.content_length)
        # Who answers a GET mostly does not read: its content is dropped whole, and the connection stays in step.
        streams = head.method not in ("GET", "HEAD") and len(self.service.streaming) < self.service.streams
        if streams and isinstance(wanted, WholeReader):
            self.stream_content(head, wanted)
        elif head.expects_continue:
            # Also where the content has come along: what is answered must not depend on where the bytes were cut.
            self.push(CONTINUE)

    def stream_content(self, head: Head, wanted: WholeReader) -> None:
        """Ask the site now; a thread of its will read the content while it comes.

        Who waits for a 100 gets it when the content is first read, and until then nothing is received.
        """
        call = partial(self.service.call, self.content_wanted)
        self._reader = self._inflow = inflow = wanted.streamed(call, awaited=head.expects_continue)
        self.service.streaming.add(self)
        request = self.early_request(head)
        request.has_form(*inflow.begin())
        self.requests += 1
        self.ask_site(request)

    def content_wanted(self) -> None:
        """The thread has taken all that was received, and waits for more."""
        if self._inflow is None or self._expected is None:
            return
        try:
            self._inflow.go_on()
            if self.state is READ_BODY and self._expected.expects_continue and not self._received:
                self.push(CONTINUE)
            self._began, self._window_from = self.timers.now, None
            self.resume_input()
            self.watch()
        except Exception:
            self.handle_error()

    def content_ended(self, inflow: Inflow) -> None:
        """All content is here, of which a thread has read a part already."""
        self._expected = None
        self.service.streaming.discard(self)
        inflow.finish()
        self.pause_input()
        if self.state is READ_BODY:
            self.set_state(HANDLE)

    @property
    def owes_content(self) -> bool:
        """Whether content that a thread reads is still to come, and it is the client's turn."""
        return self._inflow is not None and self._expected is not None and not self._ac_paused

    def found_body(self, request: Request) -> None:
        """All content is here."""
        reader = self._reader
        if reader is None or self.read_form(lambda: request.has_form(*reader.finish())):
            self._expected = None
            self.handle_request(request)

    def read_form(self, step: Callable[[], object]) -> bool:
        """Have the reader take a step; if it cannot, that is answered now, whatever is still to come."""
        assert self._expected is not None
        try:
            step()
        except Exception as error:
            self.respond_early(self._expected, error)
            return False
        return True

    def respond_early(self, head: Head, error: BaseException) -> None:
        """Answer before the content is here.  Nobody can tell whether it still comes, so what comes has no frame."""
        self._must_linger = True
        self._expected = None
        self.requests += 1
        page = self.error_page(head, error) if isinstance(error, HTTPError) else self.failed(head, error)
        self.respond(head, page)

    def close_reader(self) -> None:
        """Give back what the form takes that was read here."""
        assert self._reader is not None
        self._reader.close()
        self._reader = self._inflow = self._expected = None
        self.service.streaming.discard(self)

    # ---- HANDLE

    def handle_request(self, request: Request) -> None:
        """Have the site answer when the request's round comes; until then nothing is taken."""
        self.set_state(HANDLE)
        self.requests += 1
        self._asked = request.head
        # Until the end of this turn, which is nothing to tell anybody of.
        self._ac_paused = True
        self.service.rounds.ask(self, request)

    def answer_request(self, request: Request) -> None:
        """The request's turn has come, unless the client has gone meanwhile.  Raises Later, as `answer` does."""
        if self.state is HANDLE:
            self._ac_paused = False
            self.respond(request.head, self.answer(request))

    def ask_site(self, request: Request) -> bool:
        """Answer now, or when the work is done that the site waits for; whether it was now."""
        try:
            response = self.answer(request)
        except Later as later:
            self.put_off(request, later)
            return False
        self.respond(request.head, response)
        return True

    def put_off(self, request: Request, later: Later) -> None:
        """Have the work done that the site waits for, or say that there is too much of it."""
        # With its traceback it would keep itself alive, and the request with it.
        later = later.with_traceback(None)
        if self._inflow is None or self._inflow.full:
            self.hold_input()
        self._asked = request.head
        # Until it is asked again everything may change.
        request.round = 0
        then = partial(self.work_done, request)
        if not isinstance(later, Promised):
            self.service.beside(later.work, then)
            return
        request.waited_for = later
        later.begin(self.service.call, then)
        if isinstance(later, Blocking):
            self._into_pool(request, later)
            return
        try:
            later.work(later)
        except Exception as error:
            self.service.call(later.done, error)

    def _into_pool(self, request: Request, later: Blocking) -> None:
        try:
            self.service.pool(partial(self.work_on, later), None)
        except Full:
            self._drop_answer(request)
            busy = HTTPError(503, "Too many requests wait already.", [("Retry-After", "1")])
            self.respond(request.head, self.error_page(request.head, busy))

    def work_on(self, later: Blocking) -> None:
        """In a thread: do the work, unless the client has gone while it waited for its turn."""
        error = None
        try:
            if self.state in _ASKED:
                later.work(later)
        except BaseException as raised:
            error = raised
        later.end(error)

    def work_done(self, request: Request, error: BaseException | None) -> None:
        """Ask the site again; where its work has failed, say so.  The client may have gone meanwhile."""
        try:
            if self.state not in _ASKED:
                self._drop_answer(request)
                return
            if error is not None:
                self.respond(request.head, self.failed(request.head, error))
            elif self.ask_site(request):
                self._drop_answer(request)
            self.watch()
        except Exception:
            self.handle_error()

    def _drop_answer(self, request: Request) -> None:
        """Close the answer that work has come to, if nobody has taken it: what makes its content must not go on."""
        later, request.waited_for = request.waited_for, None
        answer = later and later.take()
        if isinstance(answer, Response):
            self._close_body(answer)

    def answer(self, request: Request) -> Response:
        """The site's response, or the error page for what it raised.  Raises Later."""
        try:
            try:
                response = self.service.ask(request)
                return response if response.__class__ is Response else as_response(response, self.service.site)
            except HTTPError as error:
                return self.error_page(request.head, error)
        except Later:
            raise
        except Exception:
            return self.failed(request.head)

    def error_page(self, head: Head, error: HTTPError) -> Response:
        """The page for what a site raised on purpose."""
        headers = replaced(error.headers, self.service.headers)
        accept = _accept(head)
        return error_response(error.status, error.detail, accept=accept, headers=headers, fields=error.fields)

    def failed(self, head: Head, error: BaseException | None = None) -> Response:
        """The page for what a site raised by mistake; the traceback, of `error` or what is handled, goes to the log.

        Of a template's mistake the place says more: it takes one line.
        """
        error = error or sys.exception()
        name = self.request_id(head)
        if told := template_fault(error):
            logger.error("answering %s failed (request %s): %s", head.request_line, name, told)
            logger.debug("the same with its traceback", exc_info=error)
        else:
            logger.error("answering %s failed (request %s)", head.request_line, name, exc_info=error)
        return error_response(500, accept=_accept(head), headers=self.service.headers)

    # ---- SEND_RESPONSE

    def respond(self, head: Head, response: Response) -> None:
        """Send a response to a parsed request; one that cannot be sent as it says becomes a 500."""
        if self.state is CLOSED:
            # Whoever has answered has closed the server.
            self._close_body(response)
            return
        bodiless = head.method == "HEAD" or response.status in WITHOUT_CONTENT
        try:
            fields = response.fields if bodiless else response.checked_fields()
        except Exception:
            failed = self.failed(head)
            self._close_body(response)
            response, fields, bodiless = failed, failed.fields, head.method == "HEAD"
        if self._expected is not None:
            # Nobody can tell whether the rest will be read.
            self._must_linger = True
        self._persistent = self._persists(head, response)
        self._asked, self._status = head, response.status
        self.send_response(response, fields, bodiless)

    def _persists(self, head: Head, response: Response) -> bool:
        """Whether the connection goes on after this answer (RFC 9112 §9.3)."""
        service = self.service
        wanted = self._said_keep_alive if head.persistent is None else head.persistent
        if wanted and not (
            self._must_linger
            or response.length is None
            or self.requests >= service.most_requests
            or service.draining
        ):
            self._said_keep_alive = True
            return True
        if wanted or head.version != "1.0" or head.content_length:
            # Something may still come: the next request, what was sent ahead of an end, a line end after content.
            self._must_linger = True
        self._said_keep_alive = False
        return False

    def send_response(self, response: Response, fields: bytes, bodiless: bool) -> None:
        """Put head and content into the queue, and have them sent."""
        self.set_state(SEND_RESPONSE)
        service = self.service
        head = service.opening(response.status, self._persistent) + fields
        self._content_from = self.ac_bytes_sent + len(head)
        if self._ac_fifo:
            # A 100 still waits for room.
            self._content_from += sum(len(item) for item in self._ac_fifo if item)
        body = response.body
        if bodiless:
            self._close_body(response)
            self.ac_enqueue(head)
        elif isinstance(body, bytes) and len(body) <= _JOINED:
            self.ac_enqueue(head + body)
        else:
            self.ac_enqueue(head)
            self._owed = None if isinstance(body, bytes) else response.length
            self.ac_enqueue(body)
        service.rounds.send(self)

    def send_answer(self) -> None:
        """Send what can be sent at once; while the rest is under way, nothing is read."""
        if self._ac_in_data and self._persistent and self._ac_in_data.find(HEAD_END, self._ac_in_at) >= 0:
            # The next request is here already: its answer goes into the same packet.
            self.service.rounds.gather(self)
        self.initiate_send()
        if self.state is SEND_RESPONSE and self._expected is None:
            self.pause_input()

    def gather_packets(self, on: bool) -> None:
        """Have the kernel wait with packets that are not full; or have it send what it has."""
        if _CORK is not None:
            # At a unix socket there are no packets, and of who has gone there is nothing to be had.
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, _CORK, on)

    def _close_body(self, response: Response) -> None:
        try:
            close_producer(response.body)
        except Exception:
            logger.exception("closing %r failed", response.body)

    def ac_refill(self, producer: Any) -> bytes | None:
        """Ask the content's producer for more.

        Raises ValueError when it gives more or less than was announced, and RuntimeError where its file fails.
        """
        try:
            data = super().ac_refill(producer)
        except Broken:
            raise
        except OSError as why:
            # Its errno may be that of a lost connection: taken for the end of this one, half would look whole.
            raise RuntimeError(f"{producer!r} failed") from why
        if data is None and not self.owes_content:
            # All before it has gone, and it is the producer who keeps the client waiting, not the client us.
            self._began = self.timers.now
        elif data is not None and self._owed is not None:
            self._owed -= len(data)
            if self._owed < 0 or (not data and self._owed):
                raise ValueError(f"{producer!r} gives another length than was announced")
        return data

    def output_sent(self) -> None:
        """The answer is with the kernel, whole: read on, linger, or close."""
        if self.state is not SEND_RESPONSE:
            return
        if self._status:
            self._log_answer()
        if self._reader is not None:
            self.close_reader()
        if self._persistent:
            self.set_state(READ_HEADER)
            if self.terminator is not HEAD_END:
                self.set_terminator(HEAD_END)
            if self._ac_paused:
                self.resume_input()
            elif self._ac_in_data:
                self.take_input()
        elif self._must_linger or self.always_lingers or self.ac_in_buffer:
            self.linger()
        else:
            self.close()

    def _log_answer(self) -> None:
        asked, status = self._asked, self._status
        self._asked, self._status = None, 0
        size = self.ac_bytes_sent - self._content_from
        if size < 0:
            # Not even the head has gone.
            size = 0
        if asked.__class__ is Head:
            self.log.answered(asked, self.peer, status, size, self)
        elif isinstance(asked, str):
            self.log.refused(asked, self.peer, status, size, self)

    def request_id(self, asked: Head | str) -> str:
        """What the present request is called in the logs, made when it is first asked for; `asked` is its head or its
        request-line.
        """
        if self._named[0] != self.requests:
            self._named = self.requests, self.service.ids.name(asked, self.peer)
        return self._named[1]

    def refuse(self, refusal: Refusal, head: bytes) -> None:
        """Answer bytes that are no request with their refusal; then linger and close, for what follows has no frame."""
        if self.state is READ_HEADER:
            self.asked_at = self._began
        evidence = self.service.parser.evidence(head, refusal)
        told = salvage(evidence)
        response = error_response(
            refusal.status,
            refusal.reason,
            accept=told.accept,
            headers=self.service.headers,
            refusal=refusal,
            guilty=excerpt(evidence, refusal),
        )
        self._asked, self._status = told.request_line, refusal.status
        self._persistent = self._said_keep_alive = False
        self._must_linger = True
        if self._inflow is None:
            self.requests += 1
        self._expected = None
        if self._reader is not None:
            self.close_reader()
        self.send_response(response, response.fields, told.method == "HEAD")

    def must_speak_tls(self) -> None:
        """The peer speaks plainly where TLS is spoken: whatever it asks is refused, and it is told why."""
        self.service = copy.copy(self.service)
        told = "This looks like plain HTTP; the port speaks TLS: the address begins with https://."
        self.service.parser = RefusingParser(self.service.parser.limits, told, "RFC 9110 §4.2.2")

    def turn_away(self) -> None:
        """Answer 503 to whatever may be asked here, and linger."""
        self._must_linger = True
        busy = self.service.busy
        self.send_response(busy, busy.fields, False)

    # ---- LINGER

    def linger(self) -> None:
        """Say that nothing more comes, and read on for a while: closing now could take the answer from the client."""
        self.set_state(LINGER)
        self._until = self.timers.now + self.service.limits.linger_time
        self.set_terminator(None)
        self.ac_in_buffer = b""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as why:
            self.not_shut(why)
            return
        if self._ac_paused:
            self.resume_input()
        self.watch()

    def not_shut(self, why: OSError) -> None:
        """There is no connection any more whose end could be said: the peer has broken it off."""
        self.close()

    # ---- time

    def patience(self) -> float:
        state = self.state
        if state is READ_HEADER:
            if self._ac_paused:
                # It is we who have to find out something.
                return math.inf
            return self._began + (self.service.limits.header_time if self._received else self.service.idle_time)
        limits = self.service.limits
        if state is SEND_RESPONSE:
            if not self._ac_stalled:
                return self._began + limits.stall_time
            # While a producer has nothing yet, it is not the client who keeps us waiting, but for its content.
            return min(self.ask_at, self._began + limits.body_time) if self.owes_content else self.ask_at
        if state is READ_BODY:
            # Paused, it is the application that does not read.
            return math.inf if self._ac_paused else self._began + limits.body_time
        if state is LINGER:
            return min(self._began + limits.linger_pause, self._until)
        return math.inf

    def _keeps_going(self) -> bool:
        """Whether the peer has sent or taken enough in the window that ends now; begins the next."""
        limits, seconds = self.service.limits, self.timers.now - self._began
        if self.state is READ_BODY:
            before, now, rate = self._window_from or 0, self._received, limits.body_rate
        else:
            # How much the kernel held at first is known from now on.  Who sends content meanwhile keeps going, too.
            now, rate = self.bytes_gone() + self._received, limits.body_rate if self._ac_stalled else limits.stall_rate
            before = now - math.ceil(rate * seconds) if self._window_from is None else self._window_from
        self._began, self._window_from = self.timers.now, now
        return now - before >= rate * seconds

    def timed_out(self) -> None:
        if self.state is SEND_RESPONSE and self._ac_stalled and self.ask_at <= self.timers.now:
            self.wake()
        elif self.state not in (READ_BODY, SEND_RESPONSE) or not self._keeps_going():
            self.give_up()

    def give_up(self) -> None:
        """Patience has ended, and nothing speaks for the peer."""
        if self.state is SEND_RESPONSE:
            self.cut()
        elif self.state is READ_BODY or (self.state is READ_HEADER and self._received):
            # What has come of the content is of no more use.
            collected = self.take_collected()
            head = collected if self.state is READ_HEADER else b""
            what = "The head" if self.state is READ_HEADER else "The content"
            refusal = Refusal(408, f"{what} of the request came too slowly.", "RFC 9110 §15.5.9", len(head), 0)
            self.refuse(refusal, head if self._expected is None else _beginning(self._expected))
        else:
            self.close()

    # ---- the end

    def finish(self) -> None:
        """The server stops: an idle connection closes now, another after the answer it waits for."""
        if self.idle:
            self.close()
        elif self.state is SEND_RESPONSE:
            if self._persistent:
                # It was told otherwise, so its next request may be under way.
                self._persistent = False
                self._must_linger = True
            self._finish_content()

    @property
    def idle(self) -> bool:
        """Whether nothing has come of a next request."""
        return self.state is READ_HEADER and not self._received

    def make_way(self) -> None:
        """Another server goes on: what has no end by itself ends; a kept connection may send a last request, until it
        is to `take_leave`.
        """
        if self.state is SEND_RESPONSE:
            self._finish_content()

    def take_leave(self, since: float) -> None:
        """A connection closes that is idle since then, of a server that has waited for a last request: one that has
        come by now is answered, and one that is under way meets an end, not a reset.
        """
        if self.idle and self._began <= since:
            asyncore.read(self)
            if self.idle:
                self.linger()

    def _finish_content(self) -> None:
        for producer in list(self._ac_fifo):
            try:
                finish_producer(producer)
            except Exception:
                logger.exception("finishing %r failed", producer)

    def handle_error(self) -> None:
        """Something raised while an event was handled: log it, and cut the connection."""
        who, why = self.peer or "a unix socket", sys.exc_info()[1]
        if isinstance(why, Broken):
            logger.warning("connection from %s cut: %s", who, why.strerror)
        else:
            logger.exception("connection from %s failed in state %s", who, self.state.value)
        self.cut()

    def cut(self) -> None:
        """Close with a reset, so that the client can tell that what it got is not all."""
        if self.state is not CLOSED:
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            except OSError:
                pass
            self.close()

    def close(self) -> None:
        if self.state is CLOSED:
            return
        if self._status:
            self._log_answer()
        self.set_state(CLOSED)
        self.incoming.clear()
        if self._reader is not None:
            self.close_reader()
        try:
            WatchedChat.close(self)
        finally:
            if self._on_close is not None:
                self._on_close(self)


def _beginning(head: Head) -> bytes:
    """What an error page says of a head, and needs of it, as bytes."""
    return f"{head.request_line}\r\nAccept: {head.headers.get('accept')}\r\n".encode("latin-1")


def _accept(head: Head) -> str:
    """What a client would be told in; who does not mind, and has sent JSON, gets JSON."""
    accept = head.headers.get("accept")
    sends_json = parse_media_type(head.headers.get("content-type"))[0] == JSON
    return JSON if sends_json and best(accept, (JSON, *KINDS)) == JSON else accept
