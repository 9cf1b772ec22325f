"""Ranges: which parts of a representation are asked for."""

from __future__ import annotations

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.ranges import byteranges, content_range, if_range, parse_range, unsatisfied_range
from httpd.protocol.validators import http_date

# The example of RFC 9110 §5.6.7.
NOVEMBER = 784_111_777


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # ---- one range
        ("bytes=0-4", [(0, 5)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=9-9", [(9, 1)]),
        ("bytes=4-", [(4, 6)]),
        ("bytes=4-99", [(4, 6)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=-3", [(7, 3)]),
        ("bytes=-10", [(0, 10)]),
        ("bytes=-99", [(0, 10)]),
        ("Bytes=00-004", [(0, 5)]),
        (f"bytes=4-{'9' * 5000}", [(4, 6)]),
        (f"bytes=-{'9' * 5000}", [(0, 10)]),
        # ---- several
        ("bytes=0-1,4-5", [(0, 2), (4, 2)]),
        ("bytes= 0-1 ,\t4-5 ,, ", [(0, 2), (4, 2)]),
        ("bytes=4-5,0-1", [(4, 2), (0, 2)]),
        ("bytes=0-1,2-3", [(0, 4)]),
        ("bytes=0-5,3-8", [(0, 9)]),
        ("bytes=0-9,3-4", [(0, 10)]),
        ("bytes=3-4,0-9", [(0, 10)]),
        ("bytes=0-1,8-9,4-5,2-3", [(0, 6), (8, 2)]),
        ("bytes=8-9,0-1,4-5,2-3", [(8, 2), (0, 6)]),
        ("bytes=0-1,-2", [(0, 2), (8, 2)]),
        ("bytes=0-1,99-", [(0, 2)]),
        (f"bytes={','.join(['0-1'] * 16)}", [(0, 2)]),
        # ---- nothing of it is there
        ("bytes=10-", []),
        ("bytes=10-11", []),
        ("bytes=99-100,200-", []),
        ("bytes=-0", []),
        (f"bytes={'9' * 5000}-", []),
        ("bytes=5-2", []),
        ("bytes=0-1,5-2", []),
        # ---- ignored
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("bytes=1", None),
        ("bytes=+1-2", None),
        ("bytes=1--2", None),
        ("bytes=0-1;2-3", None),
        ("bytes=0-1,x", None),
        ("bytes =0-1", None),
        ("lines=0-1", None),
        (f"bytes={','.join(['0-1'] * 17)}", None),
        ("bytes=9-9,8-8,6-6,4-4,2-2,0-0", None),
    ],
)
def test_the_parts_that_are_asked_for(value: str, expected: list[tuple[int, int]] | None) -> None:
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("bytes=0-", []), ("bytes=0-0", []), ("bytes=-0", []), ("bytes=-5", None), ("bytes=0-,-5", None)],
)
def test_parts_of_nothing(value: str, expected: list[tuple[int, int]] | None) -> None:
    assert parse_range(value, 0) == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8), st.integers(1, 25))
def test_the_parts_hold_every_byte_that_was_asked_for_once(pairs: list[tuple[int, int]], size: int) -> None:
    pairs = sorted((min(pair), max(pair)) for pair in pairs)
    parts = parse_range("bytes=" + ",".join(f"{first}-{last}" for first, last in pairs), size)
    assert parts is not None
    sent = [position for start, length in parts for position in range(start, start + length)]
    assert len(sent) == len(set(sent))
    assert set(sent) == {position for first, last in pairs for position in range(first, last + 1) if position < size}


@given(st.text("bytes=0123456789-, ", max_size=30), st.integers(0, 20))
def test_any_value_gives_parts_of_what_there_is(value: str, size: int) -> None:
    for start, length in parse_range(value, size) or parse_range("bytes=" + value, size) or []:
        assert 0 <= start < start + length <= size


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ('"abc"', True),
        ('"abd"', False),
        ('W/"abc"', False),
        ("abc", False),
        ("*", False),
        ("", False),
        (http_date(NOVEMBER), True),
        (http_date(NOVEMBER + 1), False),
        (http_date(NOVEMBER - 1), False),
        ("Sunday, 06-Nov-94 08:49:37 GMT", True),
    ],
)
def test_if_range(value: str, holds: bool) -> None:
    assert if_range(value, '"abc"', NOVEMBER + 0.5) is holds


def test_if_range_of_what_has_no_validator() -> None:
    assert not if_range('"abc"', "", None)
    assert not if_range(http_date(NOVEMBER), "", None)
    assert not if_range('W/"abc"', 'W/"abc"', None)


def test_where_a_part_lies() -> None:
    assert content_range((0, 5), 10) == "bytes 0-4/10"
    assert unsatisfied_range(10) == "bytes */10"


def test_several_parts_in_one_content() -> None:
    data = b"0123456789"
    parts = [(0, 2), (7, 3)]
    frames, length = byteranges(parts, len(data), [("Content-Type", "text/plain; charset=utf-8")], "THE-BOUNDARY")
    assert len(frames) == 3
    body = frames[0] + b"01" + frames[1] + b"789" + frames[2]
    assert len(body) == length
    message = message_from_bytes(b"Content-Type: multipart/byteranges; boundary=THE-BOUNDARY\r\n\r\n" + body)
    read = [(part["Content-Range"], part["Content-Type"], part.get_payload()) for part in message.get_payload()]
    assert read == [
        ("bytes 0-1/10", "text/plain; charset=utf-8", "01"),
        ("bytes 7-9/10", "text/plain; charset=utf-8", "789"),
    ]
