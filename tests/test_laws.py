"""httpd.trace.laws: each law catches what breaks it, and faults planted in copies of the channel are caught."""

from __future__ import annotations

from typing import Any

import pytest

from httpd import Request, Response, text
from httpd.server.handler import http_request_handler
from httpd.trace.events import (
    Closed,
    Collected,
    Event,
    Pushed,
    Received,
    Refilled,
    Returned,
    Scanned,
    Sent,
    StateChanged,
    TerminatorFound,
    TerminatorSet,
    Truncated,
)
from httpd.trace.laws import Broken, check, check_cut, check_replay
from httpd.trace.replay import Played, cut, one_by_one

from .conversations import conversation, ended
from .exchange import get, post

WIRE = post(b"hello") + get("/a")


def site(request: Request) -> Response:
    return text(request.body.decode() + request.path)


def numbered(*whats: Any) -> list[Event]:
    return [Event(n, float(n), n, what) for n, what in enumerate(whats)]


END = TerminatorSet("bytes", "\r\n")
CLOSED = StateChanged("read header", "closed", "")


@pytest.mark.parametrize(
    ("law", "whats"),
    [
        pytest.param(1, [Received(1, 2, "ab", 9)], id="a gap in what came"),
        pytest.param(1, [Received(0, 3, "ab", 9)], id="a length that is not the data's"),
        pytest.param(1, [Received(0, 4, "abcd", 9), Collected(1, 3, None)], id="a byte lost"),
        pytest.param(1, [Received(0, 2, "ab", 9), Collected(0, 2, None), Collected(1, 1, None)], id="a byte twice"),
        pytest.param(1, [Received(0, 2, "ab", 9), Collected(0, 3, None)], id="a byte that never came"),
        pytest.param(1, [CLOSED, Closed("peer", 1, 0, 1)], id="a sum that is wrong"),
        pytest.param(1, [Received(0, 2, "ab", 9), CLOSED, Closed("peer", 2, 0, 1)], id="bytes that are nowhere"),
        pytest.param(1, [Received(0, 3, "abc", 2)], id="more than was asked for"),
        pytest.param(2, [END, Scanned(0, 2, "partial", None, 2)], id="all of the terminator held back"),
        pytest.param(2, [END, Received(0, 2, "ab", 9), Scanned(0, 2, "partial", None, 1)], id="the wrong bytes held"),
        pytest.param(2, [END, Received(0, 3, "\r\nx", 9), Collected(0, 1, None), TerminatorFound(1, 2)], id="not it"),
        pytest.param(2, [END, Received(0, 4, "a\r\nb", 9), Scanned(0, 4, "absent", None, 0)], id="overlooked"),
        pytest.param(2, [END, Received(0, 5, "a\r\n\r\n", 9), Scanned(0, 5, "found", 3, 0)], id="not the first"),
        pytest.param(2, [END, Received(0, 2, "ab", 9), Scanned(0, 2, "found", 0, 0)], id="found where it is not"),
        pytest.param(2, [END, Received(0, 2, "a\r", 9), Scanned(0, 2, "absent", None, 0)], id="nothing held back"),
        pytest.param(
            2,
            [TerminatorSet("bytes", "aab"), Received(0, 3, "xaa", 9), Scanned(0, 3, "partial", None, 1)],
            id="too little held back",
        ),
        pytest.param(
            3,
            [TerminatorSet("length", 3), Received(0, 2, "ab", 9), Collected(0, 2, 1), TerminatorFound(2, 0)],
            id="found too early",
        ),
        pytest.param(
            3, [TerminatorSet("length", 3), Received(0, 2, "ab", 9), Collected(0, 2, 2)], id="counted wrongly"
        ),
        pytest.param(4, [Refilled("p#1", "some", 1, 1, "a")], id="a gap in what was given"),
        pytest.param(4, [Refilled("p#1", "some", 0, 2, "ab"), Sent(1, 1, 1)], id="a gap in what was sent"),
        pytest.param(4, [Refilled("p#1", "some", 0, 2, "ab"), Sent(0, 1, 2)], id="more taken than offered"),
        pytest.param(4, [Refilled("p#1", "some", 0, 2, "ab"), Sent(0, 3, 2)], id="more offered than was given"),
        pytest.param(
            4,
            [Pushed("f#1", 1, 9), Refilled("f#1", "some", 0, 2, "ab"), Sent(0, 10, 2)],
            id="more offered than a file has",
        ),
        pytest.param(4, [Sent(0, 2, 2)], id="sent, and never given"),
        pytest.param(4, [CLOSED, Closed("peer", 0, 5, 0)], id="sent, and never said"),
        pytest.param(5, [StateChanged("read header", "read header", "")], id="no such change"),
        pytest.param(5, [StateChanged("nowhere", "closed", "")], id="no such state"),
        pytest.param(5, [StateChanged("handle", "send response", "")], id="not in that state"),
        pytest.param(5, [Closed("peer", 0, 0, 0)], id="closed in another state"),
        pytest.param(5, [CLOSED, Closed("peer", 0, 0, 0), CLOSED], id="something after the end"),
    ],
)
def test_each_law_catches_what_breaks_it(law: int, whats: list[Any]) -> None:
    broken = check(numbered(*whats))
    assert {one.law for one in broken} >= {law}
    assert f"law {law}, event {broken[0].n}: " in str(broken[0])


def test_a_trace_that_was_cut_short_is_judged_up_to_there() -> None:
    events = numbered(END, Truncated(3), Received(9, 1, "a", 1))
    assert check(events) == []


def test_an_event_that_is_missing_is_missed() -> None:
    events = numbered(END, END, Received(9, 1, "a", 1))
    [broken] = check([*events[:1], *events[2:]])
    assert broken == Broken(1, 2, "event 1 is missing, and nothing says that it was dropped")


def test_an_answer_that_differs_is_told_by_its_byte() -> None:
    [broken] = check_cut([], [], b"abc", b"abd")
    assert broken == Broken(6, 0, "the answers differ from byte 2 on")
    assert check_cut([], [], b"abc", b"ab")[0].text.endswith("byte 2 on")


def test_a_replay_that_differs_is_told_by_its_event() -> None:
    one, other = numbered(END, Returned("a", 1.0)), numbered(END, Returned("a", 2.0))
    assert check_replay(one, other) == []
    [broken] = check_replay(one, numbered(END, Returned("b", 1.0)))
    assert broken == Broken(7, 1, "app:returned: handler is 'a' here, and there 'b'")
    [broken] = check_replay(one, numbered(END, END))
    assert broken.text == "app:returned here, and there chat:terminator_set"
    for pair in ((one, one[:1]), (one[:1], one)):
        [broken] = check_replay(*pair)
        assert broken == Broken(7, 1, "app:returned comes in only one of the two")


# ---- faults, planted


class LosesWhatIsHeldBack(http_request_handler):
    """Forgets the bytes that may begin the terminator when the next piece comes."""

    def recv(self, buffer_size: int) -> bytes:
        self.ac_in_buffer = b""
        return super().recv(buffer_size)


class FindsItOneOff(http_request_handler):
    """Where the terminator lies over the border of two pieces, it is found one byte too late."""

    held = 0

    def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
        found, held = super().ac_scan(data, start, terminator)
        if 0 <= found < self.held:
            found += 1
        self.held = held
        return found, held


class CountsContentTwice(http_request_handler):
    """Takes each byte of content off the count twice."""

    def collect_incoming_data(self, data: bytes) -> None:
        if isinstance(self.terminator, int):
            self.terminator = max(1, self.terminator - 2 * len(data))
        super().collect_incoming_data(data)


class GivesContentTwice(http_request_handler):
    """Collects each piece of content twice."""

    def collect_incoming_data(self, data: bytes) -> None:
        super().collect_incoming_data(data)
        if isinstance(self.terminator, int):
            self.incoming.append(data)


class SendsTwice(http_request_handler):
    """Counts what was sent twice."""

    def output_sent(self) -> None:
        self.ac_bytes_sent += 1
        super().output_sent()


def played(pieces: list[bytes], handler_class: type[http_request_handler]) -> Played:
    return conversation(ended(*pieces), site, handler_class=handler_class)


@pytest.mark.parametrize(
    ("handler_class", "laws"),
    [
        (http_request_handler, set()),
        (LosesWhatIsHeldBack, {1, 6}),
        (FindsItOneOff, {2, 6}),
        (CountsContentTwice, {3, 6}),
        (GivesContentTwice, {6}),
        (SendsTwice, {4}),
    ],
)
def test_planted_faults_are_caught(handler_class: type[http_request_handler], laws: set[int]) -> None:
    whole = played([WIRE], handler_class)
    cuttings = [one_by_one(WIRE), *(cut(WIRE, [at]) for at in range(1, len(WIRE)))]
    broken = set()
    for pieces in cuttings:
        other = played(pieces, handler_class)
        found = check(other.events) + check_cut(whole.events, other.events, whole.output, other.output)
        broken |= {one.law for one in found}
    assert broken >= laws
    assert laws or not broken
