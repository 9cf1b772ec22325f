"""The world of a replay: a socket that does what a recorded one did, and a site that answers what was answered."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..protocol.errors import HTTPError, Later, reason_phrase
from ..protocol.files import Files
from ..protocol.forms import Form
from ..protocol.message import WITHOUT_CONTENT, Head, Request, Response, Status, text
from ..server.handler import http_request_handler
from ..site.uploads import WholeReader
from .events import (
    Blocked,
    BodyExpected,
    Collected,
    Eof,
    Event,
    Failed,
    Interest,
    Postponed,
    Pushed,
    Received,
    Refilled,
    Refused,
    RequestLine,
    Responded,
    Routed,
    Sent,
    TerminatorFound,
    Told,
    Trace,
    is_input,
)  # fmt: skip
from .ndjson import MOST_BYTES, NotATrace

__all__ = ["RecordedSite", "ScriptedSocket", "scripted"]

# Stands for what was sent and not recorded.
_FILLER = b"."
# One more() of a file, as the producers have it.
_PIECE = 65_536
# Field lines that the server makes itself.
_SERVERS_OWN = frozenset({"connection", "content-length", "date", "server"})
# Stands for an answer that the connection's end has come before.
_NEVER = Responded(500, (), "none", 0)
# What a socket may be asked, in the order in which it was asked of the recorded one.
_ARRIVES = (Received, Eof)
_OPERATIONS = frozenset({"recv", "send", "shutdown"})


class ScriptedSocket:
    """Gives what the inputs say, in their order; `sent` is what it took.

    Asked for what is not next, it has nothing to give, and takes everything.
    """

    def __init__(self, inputs: Iterable[Any], number: int, addresses: tuple[Any, Any]) -> None:
        self.inputs = deque(inputs)
        self.sent = bytearray()
        self.strays = 0  # how often it was asked for what was not next
        self.shut = self.closed = False
        self._number = number
        self._peer, self._local = addresses
        self._given = b""  # of a piece that was longer than asked for

    # ---- the script

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self._given:
            what = self._next("recv")
            if what is None:
                raise _nothing_now()
            self._given = what.data.encode("latin-1") if isinstance(what, Received) else b""
        piece, self._given = self._given[:size], self._given[size:]
        return piece

    @property
    def has_more(self) -> bool:
        """Whether a piece was given only in part."""
        return bool(self._given)

    def send(self, data: Any, flags: int = 0) -> int:
        data = bytes(data)
        count = self.room(len(data))
        self.sent += data[:count]
        return count

    def room(self, offered: int) -> int:
        """How much of what is offered is taken; raises as a socket does."""
        what = self._next("send")
        return offered if what is None else min(what.length, offered)

    def _next(self, op: str) -> Any:
        """The next input if it is this operation's, else None.  Raises the error that it is."""
        what = self.inputs[0] if self.inputs else None
        if what is None or op_of(what) != op:
            self.strays += what is not None
            return None
        self.inputs.popleft()
        if isinstance(what, Blocked):
            raise _nothing_now()
        if isinstance(what, Failed):
            raise OSError(what.errno, what.error)
        return what

    # ---- the rest of a socket

    def fileno(self) -> int:
        return -1 if self.closed else self._number

    def getpeername(self) -> Any:
        return self._peer

    def getsockname(self) -> Any:
        return self._local

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def getsockopt(self, level: int, name: int, size: int = 0) -> int:
        return 0

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """There is nothing to set."""

    def shutdown(self, how: int) -> None:
        self.shut = True
        if self.inputs and op_of(self.inputs[0]) == "shutdown":
            self._next("shutdown")

    def close(self) -> None:
        self.closed = True


def op_of(what: Any) -> str:
    """Which operation of a socket an input answers: "recv", "send", "shutdown", or "" for none."""
    if isinstance(what, _ARRIVES):
        return "recv"
    if isinstance(what, Sent):
        return "send"
    return what.op if isinstance(what, (Blocked, Failed)) and what.op in _OPERATIONS else ""


def _nothing_now() -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, "nothing now")


def scripted(handler_class: type[http_request_handler], settings: Mapping[str, int]) -> type[http_request_handler]:
    """The handler class on a scripted socket, under the settings of a recording: it offers as much at once, sends files
    by sendfile if they went so, and ends as one over TLS does if it was one.
    """
    sendfile = bool(settings.get("sendfile"))

    class Scripted(handler_class):  # type: ignore[misc,valid-type]
        """Sends files as the kernel would, through a file of its own."""

        ac_out_buffer_size = max(1, settings.get("out_buffer", handler_class.ac_out_buffer_size))
        always_lingers = bool(settings.get("tls"))

        def ac_by_sendfile(self, item: Any) -> bool:
            return sendfile and hasattr(item, "send_to")

        def error_page(self, head: Head, error: HTTPError) -> Response:
            return error.response if isinstance(error, _Answered) else super().error_page(head, error)

        def ac_send_file(self, producer: Any, most: int) -> int:
            try:
                count = self.socket.room(min(producer.remaining, most))
            except OSError as why:
                return self._not_sent(why)  # type: ignore[no-any-return]
            with tempfile.TemporaryFile() as spool:
                taken: int = producer.send_to(spool.fileno(), count)
                self.socket.sent += os.pread(spool.fileno(), taken, 0)
            return taken

    return Scripted


# ---- the site


class RecordedSite:
    """Answers each request with what was answered when the trace was recorded, in the same order.

    Content that was not kept is made of dots.  Raises NotATrace where a trace says of an answer what cannot be.
    """

    def __init__(self, trace: Trace) -> None:
        answers = list(_answers(trace.events))
        size = sum(answer.size for answer in answers)
        if size > MOST_BYTES:
            raise NotATrace(f"answers of {size:,} bytes are more than can be played again")
        self._answers = deque(answers)

    def __call__(self, request: Request) -> Response:
        if not self._answers:
            return text("The recording has no answer to this.\n", 404)
        if self._answers[0].postponed:
            self._answers[0].postponed -= 1
            raise Later(_no_work)
        return self._answers.popleft().response()

    def check(self, request: Request) -> _RecordedBody | _StreamedBody | None:
        """What became of the content: who read it was content with it, or answered early."""
        if not self._answers:
            return None
        if self._answers[0].found_out:
            self._answers[0].found_out -= 1
            raise Later(_no_work)
        if self._answers[0].refused:
            self._answers.popleft()
            return None
        return _StreamedBody() if self._answers[0].streamed else _RecordedBody(self._answers)

    def reads_on(self, received: int) -> bool:
        """Whether more content than this had been received when the next answer came."""
        return bool(self._answers) and (self._answers[0].whole or received < self._answers[0].read)


def _no_work() -> None:
    """Nothing is to be done again."""


class _Answered(HTTPError):
    """Carries the recorded response to where an error page would be made."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class _StreamedBody:
    """Takes content as it was taken that a thread has read while it came: when it read, the recording tells."""

    def reader(self, head: Head, most_in_memory: int) -> WholeReader:
        return WholeReader("")


class _RecordedBody:
    """Takes content as it was taken: any that was read to its end, else as much as had been read by the answer."""

    def __init__(self, answers: deque[_Answer]) -> None:
        self._answers = answers
        self._answer = answers[0]
        self._left = self._answer.read

    def reader(self, head: Head, most_in_memory: int) -> _RecordedBody:
        if not self._left and not self._answer.whole:
            self.finish()
        return self

    def feed(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left <= 0 and not self._answer.whole:
            self.finish()

    def finish(self) -> tuple[Form, Files]:
        if self._answer.early:
            raise _Answered(self._answers.popleft().response())
        return Form(), Files()

    def close(self) -> None:
        """There are no files."""


class _Given(NamedTuple):
    """What a producer gave: whether it waited for somebody then, and whether it came of being asked for its end."""

    refill: Refilled
    waited: bool
    at_finish: bool


class _Answer:
    """What a trace says of one answer.

    `early` is one that no handler gave; `read` how much of the content had come by then, and `whole` whether that was
    all; `postponed` is how often work had to be done first, `found_out` how often before the content was asked for,
    `refused` whether the handler gave it, `streamed` whether the site was asked before all content was there.
    """

    def __init__(
        self, what: Responded, early: bool, read: int, whole: bool, postponed: int, found_out: int, streamed: bool
    ) -> None:
        self.what = what
        self.early = early
        self.read = read
        self.whole = whole
        self.postponed = postponed
        self.found_out = found_out
        self.streamed = streamed
        self.refused = False
        self.producer = ""
        self.refills: list[_Given] = []

    @property
    def size(self) -> int:
        """How many bytes it takes to give it again."""
        return max(self.what.size or 0, sum(given.refill.length for given in self.refills))

    def response(self) -> Response:
        """The response, as if a site had made it."""
        lines = [(name, value) for name, value in self.what.fields if name.lower() not in _SERVERS_OWN]
        told = {name.lower(): value for name, value in self.what.fields}
        bodiless = self.what.body == "none"
        length = _number(told.get("content-length")) if bodiless else self.what.size
        if bodiless and self.what.status in WITHOUT_CONTENT:
            length = 0
        return Response(b"" if bodiless else self._body(), self._status(), lines, length=length)

    def _status(self) -> int:
        """With the words that an application may have given it: only the status-line has them."""
        code = self.what.status
        sent = "".join(given.refill.data for given in self.refills[:2])
        found = re.search(rf"HTTP/1\.0 {code} ([^\r\n]*)\r\n", sent)
        return Status(code, found[1]) if found and found[1] != reason_phrase(code) else code

    def _body(self) -> Any:
        size = self.what.size
        if self.what.body == "bytes":
            given = b"".join(_filled(given.refill) for given in self.refills)
            content = given.partition(b"\r\n\r\n")[2][: size or 0]
            # A recording that was cut short may end before what it sent last.
            return content.ljust(size or 0, b".")
        mine = [given for given in self.refills if given.refill.producer == self.producer]
        name = self.producer.partition("#")[0]
        if self.what.body == "file" and size is not None:
            return _RecordedFile(name, b"".join(given.refill.data.encode("latin-1") for given in mine), size)
        return _RecordedStream(name, mine)


def _waited_after(events: Iterable[Event]) -> set[int]:
    """The numbers of the refills after which the channel waited to be woken, rather than asked again by itself."""
    waited: set[int] = set()
    stalled, writes = -1, False
    for event in events:
        what = event.what
        if isinstance(what, Interest):
            writes = what.write
        elif isinstance(what, Refilled):
            stalled = event.n if what.outcome == "stalled" else -1
        elif stalled >= 0 and is_input(what):
            if not writes or (isinstance(what, Told) and what.what == "wake"):
                waited.add(stalled)
            stalled = -1
    return waited if stalled < 0 or writes else {*waited, stalled}


def _answers(events: Sequence[Event]) -> Iterable[_Answer]:
    """The answers that a site gave; a refusal's page and a 503 are made by the handler itself."""
    waited = _waited_after(events)
    answer: _Answer | None = None
    by_site = True
    routed, read, whole, postponed, found_out = False, 0, False, 0, 0
    head_waits = streamed = takes_content = finishing = False
    for event in events:
        what = event.what
        if is_input(what):
            finishing = isinstance(what, Told) and what.what == "finish"
        if isinstance(what, (RequestLine, Refused)):
            head_waits = False
        if isinstance(what, Routed):
            routed, streamed = True, streamed or not whole
        elif isinstance(what, BodyExpected):
            read, whole, takes_content = 0, False, True
        elif isinstance(what, TerminatorFound):
            whole, head_waits = True, what.length > 0
        elif isinstance(what, Collected):
            read += what.length
        elif isinstance(what, Postponed):
            postponed += 1
        elif isinstance(what, Told) and what.what == "work_done" and not routed:
            found_out += 1
        elif isinstance(what, Refused) or (isinstance(what, Told) and what.what == "turn_away"):
            by_site = False
        elif isinstance(what, Responded):
            answer = _Answer(what, not routed, read, whole, postponed, found_out, streamed)
            answer.refused = not by_site
            # The site was asked, and had nothing to say.
            if by_site or found_out:
                yield answer
            by_site, routed, streamed, postponed, found_out, takes_content = True, False, False, 0, 0, False
        elif isinstance(what, Pushed) and answer is not None and not what.producer.startswith("bytes#"):
            answer.producer = what.producer
        elif isinstance(what, Refilled) and answer is not None:
            answer.refills.append(_Given(what, event.n in waited, finishing))
    found_out += head_waits
    if postponed or found_out or takes_content:
        yield _Answer(_NEVER, False, read, whole, postponed, found_out, streamed)


def _filled(refill: Refilled) -> bytes:
    """All that a producer gave; what was not kept is made up."""
    return refill.data.encode("latin-1").ljust(refill.length, _FILLER)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 16 else None


class _RecordedStream:
    """Gives what a producer gave, as often as it was asked; after that, nothing more comes."""

    def __init__(self, name: str, given: list[_Given]) -> None:
        self.recorded_as = name
        self._left = deque(given)
        self._waits = True
        self._wake: Callable[[], object] | None = None

    def more(self) -> bytes | None:
        if not self._left:
            self._waits = True
            return None
        refill, self._waits, _ = self._left.popleft()
        return None if refill.outcome == "stalled" else _filled(refill)

    def stalled(self, wake: Callable[[], object]) -> None:
        """Ask to be asked again in the next turn, unless somebody else did so."""
        self._wake = wake
        if not self._waits:
            wake()

    def finish(self) -> None:
        """Come to the end, if that was done when it was asked for."""
        if self._wake is not None and self._left and self._left[0].at_finish:
            self._wake()


class _RecordedFile:
    """Gives what was kept of a file, and dots up to its size."""

    def __init__(self, name: str, kept: bytes, size: int) -> None:
        self.recorded_as = name
        self.remaining = size
        self._kept = kept
        self._at = 0

    def peek(self, most: int) -> bytes:
        return self._kept[self._at : self._at + most].ljust(min(most, self.remaining), _FILLER)

    def more(self) -> bytes:
        data = self.peek(min(_PIECE, self.remaining))
        self._at += len(data)
        self.remaining -= len(data)
        return data

    def send_to(self, out_fd: int, most: int) -> int:
        """Write at most `most` bytes; how many."""
        count = os.write(out_fd, self.peek(min(most, self.remaining)))
        self._at += count
        self.remaining -= count
        return count
