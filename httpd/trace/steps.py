"""traced(handler_class): a handler that records each of its steps and takes it; traced_chat, the same for any channel.

The subclass overrides the channel's named steps, tells a Recorder, and calls `super()`.  The plain class has no flag
and no hook.  A recorder that raises is dropped and logged; the connection goes on without it.  For the steps of every
request that is written out: a call less for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar

from ..net.asynchat import async_chat
from ..net.report import Reporter
from ..protocol.errors import HTTPError, Later, Refusal
from ..protocol.message import Head, Request, Response
from ..server.handler import State, Wanted, http_request_handler
from ..server.service import Service

__all__ = ["Begin", "Handler", "traced", "traced_chat"]

logger = Reporter("httpd.trace")

Handler = http_request_handler
# Makes the recorder of a connection: begin(socket, address, service).
Begin = Callable[[Any, Any, Service], Any]


def traced(handler_class: type[Handler], begin: Begin) -> type[Handler]:
    """The handler class whose connections are recorded, each by the recorder that `begin` makes for it."""
    members = {"__doc__": _Traced.__doc__, "_begin": staticmethod(begin)}
    return type(f"traced_{handler_class.__name__}", (_Traced, handler_class), members)


def traced_chat(channel_class: type[async_chat], begin: Callable[[Any], Any]) -> type[async_chat]:
    """The class of channels, made with a socket and a map, whose terminators and producers are recorded.

    `begin(socket)` makes the recorder.  States, and the end, are the server's handler's own, and not recorded here.
    """
    members = {"__doc__": _TracedChat.__doc__, "_begin": staticmethod(begin)}
    return type(f"traced_{channel_class.__name__}", (_TracedChat, channel_class), members)


class _NoRecorder:
    """Stands for a recorder that was dropped."""

    connection = asked_in = 0

    def __getattr__(self, step: str) -> Callable[..., None]:
        return _nothing


def _nothing(*what: Any) -> None:
    """Records nothing."""


class _TracedSteps(async_chat):
    """Records the steps that every channel has, and takes them."""

    _recorder: Any
    _depth = 0  # how many steps are under way, one within the other

    def _tell(self, step: str, *what: Any) -> None:
        try:
            getattr(self._recorder, step)(self, *what)
        except Exception:
            self._drop_recorder()

    def _drop_recorder(self) -> None:
        self._recorder = _NoRecorder()
        logger.exception("a connection is not recorded any more")

    def _enter(self, step: Callable[..., Any], *what: Any) -> None:
        """Take a step; what is called in it comes from within."""
        self._depth += 1
        try:
            step(*what)
        finally:
            self._depth -= 1

    def _told(self, what: str) -> None:
        """A call has come: from outside, unless a step is under way."""
        if not self._depth:
            self._tell("told", what)

    # ---- in

    def recv(self, buffer_size: int) -> bytes:
        data = super().recv(buffer_size)
        if data:
            try:
                self._recorder.received(self, data, buffer_size)
            except Exception:
                self._drop_recorder()
        return data

    def _not_received(self, why: OSError) -> bytes:
        self._tell("not_received", why)
        return super()._not_received(why)

    def set_terminator(self, term: Any) -> None:
        super().set_terminator(term)
        try:
            self._recorder.terminator_set(self)
        except Exception:
            self._drop_recorder()

    def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
        found, held = super().ac_scan(data, start, terminator)
        try:
            self._recorder.scanned(self, data, start, found, held)
        except Exception:
            self._drop_recorder()
        return found, held

    def collect_incoming_data(self, data: bytes) -> None:
        try:
            self._recorder.collected(self, data)
        except Exception:
            self._drop_recorder()
        super().collect_incoming_data(data)

    def found_terminator(self) -> None:
        try:
            self._recorder.terminator_found(self)
        except Exception:
            self._drop_recorder()
        super().found_terminator()

    # ---- out

    def push(self, data: Any) -> None:
        # Text is refused by whoever pushes it.
        if data and not isinstance(data, str):
            try:
                self._recorder.pushed(self, data if isinstance(data, bytes) else bytes(data))
            except Exception:
                self._drop_recorder()
        super().push(data)

    def ac_enqueue(self, item: Any) -> None:
        try:
            self._recorder.pushed(self, item)
        except Exception:
            self._drop_recorder()
        super().ac_enqueue(item)

    def close_when_done(self) -> None:
        self._tell("closes_when_done")
        super().close_when_done()

    def ac_refill(self, producer: Any) -> bytes | None:
        data = super().ac_refill(producer)
        self._tell("refilled", producer, data)
        return data

    def _not_sent(self, why: OSError) -> int:
        self._tell("not_sent", why)
        return super()._not_sent(why)

    def ac_send(self, data: Any) -> int:
        count = super().ac_send(data)
        try:
            self._recorder.sent(self, len(data), count)
        except Exception:
            self._drop_recorder()
        return count

    def ac_send_pieces(self, pieces: list[Any], more: bool) -> int:
        count = super().ac_send_pieces(pieces, more)
        try:
            self._recorder.sent(self, sum(map(len, pieces)), count)
        except Exception:
            self._drop_recorder()
        return count

    def ac_send_file(self, producer: Any, most: int) -> int:
        self._tell("offers_file", producer, most)
        count = super().ac_send_file(producer, most)
        self._tell("sent_file", producer, count)
        return count


class _TracedChat(_TracedSteps):
    """A channel of any kind."""

    _begin: ClassVar[Callable[[Any], Any]]

    def __init__(self, sock: Any, map: dict[int, Any] | None = None) -> None:
        self._recorder = type(self)._begin(sock)
        super().__init__(sock, map)


class _Traced(_TracedSteps, http_request_handler):
    """A connection of the server."""

    _begin: ClassVar[Begin]

    def __init__(self, sock: Any, addr: Any, sessions: Any, log: Any, service: Service, **more: Any) -> None:
        try:
            self._recorder = type(self)._begin(sock, addr, service)
        except Exception:
            self._drop_recorder()
        super().__init__(sock, addr, sessions, log, service, **more)
        self._tell("interest")

    @property
    def connection(self) -> int:
        """Its number among those that are recorded; 0 where the recorder was dropped."""
        return int(self._recorder.connection)

    @property
    def asked_in(self) -> int:
        """The number of the event that is the newest request-line; 0 before the first."""
        return int(self._recorder.asked_in)

    # ---- what comes from outside

    def handle_read_event(self) -> None:
        self._enter(super().handle_read_event)

    def handle_write_event(self) -> None:
        self._enter(super().handle_write_event)

    def handle_error(self) -> None:
        self._tell("raised_in_step", sys.exc_info()[1])
        self._enter(super().handle_error)

    def handle_close(self) -> None:
        if not self._depth:
            self._tell("lost")
        self._enter(super().handle_close)

    def give_up(self) -> None:
        self._tell("gave_up")
        self._enter(super().give_up)

    def wake(self) -> None:
        self._told("wake")
        self._enter(super().wake)

    def finish(self) -> None:
        self._told("finish")
        self._enter(super().finish)

    def turn_away(self) -> None:
        self._told("turn_away")
        self._enter(super().turn_away)

    def must_speak_tls(self) -> None:
        # What it is told by is beneath HTTP.
        self._tell("told", "must_speak_tls")
        super().must_speak_tls()

    def cut(self) -> None:
        if self.state is not State.CLOSED:
            self._told("cut")
            self._enter(super().cut)

    def close(self) -> None:
        if self.state is State.CLOSED:
            super().close()
            return
        self._told("close")
        unread = len(self.ac_in_buffer)
        try:
            self._enter(super().close)
        finally:
            self._tell("closed", unread)

    def not_shut(self, why: OSError) -> None:
        self._tell("not_shut", why)
        super().not_shut(why)

    # ---- in

    def handle_eof(self) -> None:
        self._tell("eof")
        super().handle_eof()

    def hold_input(self) -> None:
        super().hold_input()
        # When the loop is told depends on what comes, and is no step of the channel's.
        self._tell("interest")

    def interest_changed(self) -> None:
        super().interest_changed()
        self._tell("interest")

    # ---- messages

    def set_state(self, new: State) -> None:
        try:
            self._recorder.state_changed(self, new)
        except Exception:
            self._drop_recorder()
        super().set_state(new)

    def found_head(self, head: bytes) -> None:
        try:
            self._recorder.found_head(self, head)
        except Exception:
            self._drop_recorder()
        super().found_head(head)

    def expect_body(self, head: Head, wanted: Wanted) -> None:
        try:
            self._recorder.parsed(self, head)
        except Exception:
            self._drop_recorder()
        self._tell("body_expected", head)
        super().expect_body(head, wanted)

    def handle_request(self, request: Request) -> None:
        try:
            self._recorder.parsed(self, request.head)
        except Exception:
            self._drop_recorder()
        super().handle_request(request)

    def judge_head(self, head: bytes) -> None:
        self._enter(super().judge_head, head)

    def answer_request(self, request: Request) -> None:
        self._enter(super().answer_request, request)

    def send_answer(self) -> None:
        self._enter(super().send_answer)

    def refuse(self, refusal: Refusal, head: bytes) -> None:
        self._tell("refused", refusal)
        super().refuse(refusal, head)

    def answer(self, request: Request) -> Response:
        try:
            self._recorder.routing(self, request)
        except Exception:
            self._drop_recorder()
        try:
            response = super().answer(request)
        except Later:
            self._tell("postponed")
            raise
        try:
            self._recorder.answered(self)
        except Exception:
            self._drop_recorder()
        return response

    def work_done(self, request: Request, error: BaseException | None) -> None:
        self._told("work_done")
        self._enter(super().work_done, request, error)

    def content_wanted(self) -> None:
        self._told("content_wanted")
        self._enter(super().content_wanted)

    def found_out(self, head: Head, then: Any, error: BaseException | None) -> None:
        self._told("work_done")
        self._enter(super().found_out, head, then, error)

    def error_page(self, head: Head, error: HTTPError) -> Response:
        self._tell("raised", error)
        return super().error_page(head, error)

    def failed(self, head: Head, error: BaseException | None = None) -> Response:
        self._tell("raised", error or sys.exc_info()[1])
        return super().failed(head, error)

    def send_response(self, response: Response, fields: bytes, bodiless: bool) -> None:
        try:
            self._recorder.responded(self, response, fields, bodiless, self._persistent)
        except Exception:
            self._drop_recorder()
        super().send_response(response, fields, bodiless)

    def linger(self) -> None:
        self._tell("lingers")
        super().linger()
