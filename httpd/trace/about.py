"""What one wants to know of the channel beside a recording of it: its states, and the methods that its events are."""

from __future__ import annotations

import inspect
import os
import textwrap
from functools import cache
from typing import Any

from ..net import asyncore
from ..protocol.head import parse_head
from ..server.handler import TABLE, State, http_request_handler

__all__ = ["METHODS", "STATES", "about"]

STATES = {
    State.READ_HEADER: ("an empty line", "Reading a head: a request-line and field lines, up to an empty line."),
    State.READ_BODY: ("a length", "Reading content, as long as the head has announced."),
    State.HANDLE: ("none", "The request is whole; the site is asked for its answer."),
    State.SEND_RESPONSE: ("none", "The answer is on its way; nothing is read meanwhile."),
    State.LINGER: ("none", "All is sent; what still comes is thrown away, so that the client gets the answer."),
    State.CLOSED: ("none", "The connection is over."),
}
"""What ends the input that a state waits for, and what the state is."""

METHODS = {
    "channel:accepted": "__init__",
    "channel:received": "recv",
    "channel:blocked recv": "_not_received",
    "channel:blocked send": "_not_sent",
    "channel:eof": "handle_eof",
    "channel:timed_out": "give_up",
    "channel:error": "handle_error",
    "channel:told finish": "finish",
    "channel:told close": "close",
    "channel:told cut": "cut",
    "channel:told turn_away": "turn_away",
    "channel:told must_speak_tls": "must_speak_tls",
    "channel:told wake": "wake",
    "channel:told work_done": "work_done",
    "channel:sent": "ac_send",
    "channel:interest": "interest_changed",
    "channel:closed": "close",
    "chat:terminator_set": "set_terminator",
    "chat:scanned": "ac_scan",
    "chat:collected": "collect_incoming_data",
    "chat:terminator_found": "found_terminator",
    "chat:pushed": "push_with_producer",
    "chat:refilled": "ac_refill",
    "chat:close_when_done": "close_when_done",
    "chat:discarded": "linger",
    "http:state_changed": "set_state",
    "http:request_line": parse_head,
    "http:field_line": parse_head,
    "http:body_expected": "expect_body",
    "http:refused": "refuse",
    "http:responded": "send_response",
    "app:routed": "answer",
    "app:returned": "answer",
    "app:postponed": "answer",
    "app:raised": "failed",
    "loop:polled": asyncore.poll,
}
"""The method that an event records, by the event's name, or by its name and which of several it was."""

_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


@cache
def about() -> dict[str, Any]:
    """The states, the handler's table, and each method with its source, as JSON takes them."""
    return {
        "states": [
            {"name": state.value, "terminator": STATES[state][0], "sentence": STATES[state][1]} for state in State
        ],
        "table": {state.value: [after.value for after in State if after in TABLE[state]] for state in State},
        "methods": {event: _source(method) for event, method in METHODS.items()},
    }


def _source(method: Any) -> dict[str, Any]:
    """Where a method stands, and its lines; none where the installation came without them."""
    if isinstance(method, str):
        method = getattr(http_request_handler, method)
    try:
        lines, first = inspect.getsourcelines(method)
    except OSError:
        lines, first = [], 0
    path = os.path.relpath(os.path.realpath(method.__code__.co_filename), _TOP).replace(os.sep, "/")
    return {"name": method.__qualname__, "file": path, "line": first, "source": textwrap.dedent("".join(lines))}
