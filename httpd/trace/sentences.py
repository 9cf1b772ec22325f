"""One plain sentence for each event, as one would tell it to somebody who looks on.

A sentence holds what came from the network; whoever shows it makes it harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..protocol.errors import reason_phrase
from ..site.error_pages import visible
from .events import (
    Accepted,
    Blocked,
    BodyExpected,
    Closed,
    CloseWhenDone,
    Collected,
    Discarded,
    Eof,
    Failed,
    FieldLine,
    Interest,
    Noted,
    Polled,
    Postponed,
    Pushed,
    Raised,
    Received,
    Refilled,
    Refused,
    RequestLine,
    Responded,
    Returned,
    Routed,
    Scanned,
    Sent,
    StateChanged,
    TerminatorFound,
    TerminatorSet,
    TimedOut,
    Told,
    Truncated,
)

__all__ = ["counted", "sentence"]


def sentence(what: Any) -> str:
    """What an event's record says."""
    return _TELLERS[type(what)](what)


def counted(number: int, thing: str = "byte") -> str:
    """A number of things, as "1 byte" and "16,384 bytes"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


# ---- the socket's side


def _accepted(what: Accepted) -> str:
    who = f"A client at {what.peer}" if what.peer else "A client"
    return f"{who} has connected; its socket is descriptor {what.fd}."


def _received(what: Received) -> str:
    if what.asked and what.length >= what.asked:
        return f"recv gave {counted(what.length)}, all that it was asked for: more may wait."
    return f"recv gave {what.length:,} of at most {counted(what.asked)}."


def _blocked(what: Blocked) -> str:
    if what.op == "recv":
        return "There is nothing to receive now; the loop will say when there is."
    return "The kernel takes no more: what is left waits until the client has read some."


def _eof(what: Eof) -> str:
    return f"The client has finished sending, after {counted(what.start)}; it may still be reading."


def _timed_out(what: TimedOut) -> str:
    return f"Patience has ended in the state “{what.phase}”, {what.after_ms / 1000:,.3g} s after the last byte."


def _failed(what: Failed) -> str:
    if what.op == "poll":
        return "The connection was lost while nobody read or wrote."
    if what.op == "step":
        return f"A step of the server's own failed: {what.error}; the connection is cut."
    return f"The connection broke in {what.op}: {what.error}."


_ORDERS = {
    "finish": "The server is stopping: this connection may finish what it is answering.",
    "close": "The server closes this connection.",
    "cut": "The server cuts this connection, with a reset.",
    "must_speak_tls": "Here TLS is spoken, and the peer does not: whatever it asks is refused.",
    "turn_away": "There are too many connections: this one gets a 503.",
    "wake": "A producer that had nothing has something now, and is asked again.",
    "work_done": "The work that the site waited for is done.",
    "content_wanted": "Who works for the site has read all content that has come, and waits for more.",
}


def _told(what: Told) -> str:
    return _ORDERS[what.what]


def _sent(what: Sent) -> str:
    if what.length == what.offered:
        return f"The kernel took all of the {counted(what.length)} offered."
    # All of a file that is left counts as offered, and its last piece may have to wait (see net.lending).
    return f"Of the {counted(what.offered)} offered {what.length:,} are with the kernel now; the rest is offered again."


def _interest(what: Interest) -> str:
    if what.read and what.write:
        return "The loop is to tell of input and of room to send."
    if what.write:
        return "The loop is to tell of room to send; input is not read meanwhile."
    return "The loop is to tell of input." if what.read else "The loop is to tell of nothing but the end."


_ENDERS = {"server": "the server", "peer": "the client", "timeout": "the client's silence", "error": "an error"}


def _closed(what: Closed) -> str:
    unread = f", {what.unread:,} of them unread" if what.unread else ""
    came, went = counted(what.bytes_in), counted(what.bytes_out)
    return f"The connection is over, ended by {_ENDERS[what.by]}: {came} came{unread}, {went} went."


# ---- terminators and producers


def _terminator_set(what: TerminatorSet) -> str:
    if what.kind == "bytes":
        return f"What is read next ends with {visible(str(what.value))}."
    if what.kind == "length":
        return f"What is read next is {counted(int(what.value or 0))} long."
    return "Nothing ends what is read next: it is taken as it comes."


def _scanned(what: Scanned) -> str:
    if what.result == "found" and what.at is not None:
        return f"Of {counted(what.length)} searched, the terminator begins at byte {what.at:,}."
    if what.held:
        many = "the last one" if what.held == 1 else f"the last {what.held}"
        return f"No terminator in {counted(what.length)}, but {many} may begin it: held back until more comes."
    return f"No terminator in {counted(what.length)}, nor the beginning of one at their end."


def _collected(what: Collected) -> str:
    if what.remaining is None:
        return f"Collected {counted(what.length)}, a part of the message."
    if what.remaining:
        return f"Collected {counted(what.length)}; {what.remaining:,} more to come."
    return f"Collected {counted(what.length)}: that is all that was announced."


def _terminator_found(what: TerminatorFound) -> str:
    if what.length:
        return f"The terminator, {counted(what.length)}: what stands before it is whole."
    return "The announced length is reached: what was collected is whole."


def _pushed(what: Pushed) -> str:
    size = "of unknown size" if what.size is None else f"of {counted(what.size)}"
    behind = f", behind {counted(what.depth - 1, 'other')}" if what.depth > 1 else ""
    return f"{what.producer}, {size}, joins the queue{behind}."


def _refilled(what: Refilled) -> str:
    if what.outcome == "stalled":
        return f"{what.producer} has nothing yet; it is asked again when it says so."
    if not what.length:
        return f"{what.producer} has nothing left."
    left = ", its last" if what.outcome == "exhausted" else ""
    return f"{what.producer} gave {counted(what.length)}{left}."


def _close_when_done(what: CloseWhenDone) -> str:
    return f"The connection will close when what is queued has gone: {counted(what.depth, 'item')}."


def _discarded(what: Discarded) -> str:
    return f"Threw away {counted(what.length)}: {what.why}."


# ---- messages


def _state_changed(what: StateChanged) -> str:
    return f"From “{what.old}” to “{what.new}”: {what.why}."


def _request_line(what: RequestLine) -> str:
    return f"The request-line: {what.method} of {what.target}, in {what.version}."


def _field_line(what: FieldLine) -> str:
    return f"A field line: {what.name} is “{what.value}”."


def _body_expected(what: BodyExpected) -> str:
    return f"Content of {counted(what.length)} is announced ({what.rule})."


def _refused(what: Refused) -> str:
    return f"Refused with {what.status}: {what.reason.rstrip('.')} ({what.rule}); {_span(what.start, what.length)}."


def _span(start: int, length: int) -> str:
    if not length:
        return f"something is missing at byte {start:,}"
    return f"byte {start:,}" if length == 1 else f"bytes {start:,} to {start + length - 1:,}"


_CONTENTS = {"bytes": "", "file": " from a file", "template": " from a template", "stream": " made as they are sent"}


def _responded(what: Responded) -> str:
    answer = f"{what.status} {reason_phrase(what.status)}"
    lines = counted(len(what.fields), "field line")
    if what.body == "none":
        return f"The answer is {answer}, with {lines} and no content."
    size = "content up to the connection's end" if what.size is None else f"{counted(what.size)} of content"
    return f"The answer is {answer}, with {lines} and {size}{_CONTENTS[what.body]}."


# ---- the site


def _called(handler: str) -> str:
    """A handler as people call it: without the function in which it was defined."""
    return handler.rpartition("<locals>.")[2]


def _routed(what: Routed) -> str:
    asked = f"{what.method} {what.path}"
    if not what.handler:
        return f"Nobody answers {asked}: {counted(len(what.tried), 'route')} did not fit."
    if not what.tried:
        return f"{_called(what.handler)} answers {asked}."
    missed = len(what.tried) - 1
    after = f", after {counted(missed, 'other')} did not fit" if missed else ""
    return f"{_called(what.handler)} answers {asked}: the route {what.tried[-1].pattern} fits{after}."


def _returned(what: Returned) -> str:
    return f"{_called(what.handler)} returned its answer after {what.ms:,.3g} ms."


def _postponed(what: Postponed) -> str:
    work = "work that would hold up the loop: it is done beside it, and then it is asked again"
    return f"{_called(what.handler)} needs {work}."


def _raised(what: Raised) -> str:
    return f"The site raised {what.error}: the client gets {what.status}."


# ---- the loop, and the recording


def _polled(what: Polled) -> str:
    ready = f"{what.readable:,} to read, {what.writable:,} to write"
    return (
        f"A turn of the loop: it waited {what.waited_ms:,.3g} ms; ready: {ready}; {counted(what.timers, 'timer')} set."
    )


def _noted(what: Noted) -> str:
    return what.text


def _truncated(what: Truncated) -> str:
    return f"Here the recording's bound was reached: {counted(what.dropped, 'event')} left out."


_TELLERS: dict[type[Any], Callable[[Any], str]] = {
    Accepted: _accepted,
    Received: _received,
    Blocked: _blocked,
    Eof: _eof,
    TimedOut: _timed_out,
    Failed: _failed,
    Told: _told,
    Sent: _sent,
    Interest: _interest,
    Closed: _closed,
    TerminatorSet: _terminator_set,
    Scanned: _scanned,
    Collected: _collected,
    TerminatorFound: _terminator_found,
    Pushed: _pushed,
    Refilled: _refilled,
    CloseWhenDone: _close_when_done,
    Discarded: _discarded,
    StateChanged: _state_changed,
    RequestLine: _request_line,
    FieldLine: _field_line,
    BodyExpected: _body_expected,
    Refused: _refused,
    Responded: _responded,
    Routed: _routed,
    Returned: _returned,
    Postponed: _postponed,
    Raised: _raised,
    Polled: _polled,
    Noted: _noted,
    Truncated: _truncated,
}
