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
    State.SEND_RESPONSE: ("none", "The answer is on its way; but for content, nothing is read meanwhile."),
    State.LINGER: ("none", "All is sent; what still comes is thrown away, so that the client gets the answer."),
    State.CLOSED: ("none", "The connection is over."),
}
"""What ends the input that a state waits for, and what the state is."""

METHODS: dict[str, Any] = {
    "channel:accepted": "__init__",
    "channel:received": "recv",
    "channel:blocked recv": "_not_received",
    "channel:blocked send": "_not_sent",
    "channel:eof": "handle_eof",
    "channel:timed_out": "give_up",
    "channel:error recv": "_not_received",
    "channel:error send": "_not_sent",
    "channel:error shutdown": "not_shut",
    "channel:error poll": "handle_close",
    "channel:error step": "handle_error",
    "channel:told finish": "finish",
    "channel:told close": "close",
    "channel:told cut": "cut",
    "channel:told turn_away": "turn_away",
    "channel:told must_speak_tls": "must_speak_tls",
    "channel:told wake": "wake",
    "channel:told work_done": ("work_done", "found_out"),
    "channel:told content_wanted": "content_wanted",
    "channel:sent": ("ac_send", "ac_send_pieces", "ac_send_file"),
    "channel:interest": ("interest_changed", "hold_input", "__init__"),
    "channel:closed": "close",
    "chat:terminator_set": "set_terminator",
    "chat:scanned": "ac_scan",
    "chat:collected": "collect_incoming_data",
    "chat:terminator_found": "found_terminator",
    "chat:pushed": "ac_enqueue",
    "chat:pushed bytes": ("push", "ac_enqueue"),
    "chat:refilled": ("ac_refill", "ac_send_file"),
    # Bytes are their own producer, and give all when they are pushed.
    "chat:refilled bytes": ("push", "ac_enqueue"),
    "chat:close_when_done": "close_when_done",
    "chat:discarded": "linger",
    "chat:discarded nothing more is read": "collect_incoming_data",
    "http:state_changed": "set_state",
    "http:request_line": parse_head,
    "http:field_line": parse_head,
    "http:body_expected": "expect_body",
    "http:refused": "refuse",
    "http:responded": "send_response",
    "app:routed": "answer",
    "app:returned": "answer",
    "app:postponed": "answer",
    "app:raised": ("error_page", "failed"),
    "loop:polled": asyncore.poll,
}
"""The method that an event records, or those of which it is one.

By the event's name and, where that does not tell, by what it says first: its `op`, `what` or `why`, or its producer's
kind.
"""

_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


@cache
def about() -> dict[str, Any]:
    """The states, the handler's table, and each method with its source, as JSON takes them."""
    return {
        "states": [
            {"name": state.value, "terminator": STATES[state][0], "sentence": STATES[state][1]} for state in State
        ],
        "table": {state.value: [after.value for after in State if after in TABLE[state]] for state in State},
        "methods": {
            event: [*map(_source, methods if isinstance(methods, tuple) else (methods,))]
            for event, methods in METHODS.items()
        },
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
