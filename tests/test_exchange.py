"""The judge of every exchange is no rubber stamp: what h11 does not read fails the test that made it."""

from __future__ import annotations

import pytest

from .exchange import GET, RESET, Exchange, get, judge_all


def said(output: bytes, *pieces: bytes | OSError) -> Exchange:
    """An exchange in which this was sent, whatever it was."""
    exchange = Exchange([GET, *pieces])
    exchange.sock.sent[:] = output
    return exchange


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\nA b\r\n\r\n", id="a line without a colon"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", id="a length that is none"),
        pytest.param(b"HTTP/1.0 204 No Content\r\n\r\nmore\r\n\r\n", id="content where there is none"),
    ],
)
def test_what_is_no_answer_is_a_fault(output: bytes) -> None:
    said(output)
    with pytest.raises(AssertionError, match="h11 does not read"):
        judge_all()


_PART = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nab"


def test_an_answer_in_part_is_a_fault_where_the_connection_ended_in_good_order() -> None:
    said(_PART).handler.close()
    with pytest.raises(AssertionError, match="h11 does not read"):
        judge_all()


def test_an_answer_in_part_is_none_while_the_connection_goes_on_or_where_the_client_left() -> None:
    said(_PART)
    said(_PART, RESET)
    judge_all()


def test_the_methods_are_those_that_were_asked() -> None:
    """Content after the head of an answer to HEAD would be taken for the next answer."""
    exchange = Exchange([get(method="HEAD"), GET])
    assert exchange.output.count(b"HTTP/1.0 200") == 2
    judge_all()
