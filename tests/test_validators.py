"""Dates, entity-tags and the conditions that hang on them."""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.message import Headers
from httpd.protocol.validators import evaluate, http_date, parse_http_date, strong_etag

# The example of RFC 9110 §5.6.7.
NOVEMBER = 784_111_777

ETAG = '"abc"'
BEFORE, AT, AFTER = (http_date(NOVEMBER + seconds) for seconds in (-1, 0, 1))


# ---- dates


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_a_date_in_three_forms(text: str) -> None:
    assert parse_http_date(text) == NOVEMBER


def test_a_date_is_written_in_one_form() -> None:
    assert http_date(NOVEMBER) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(NOVEMBER + 0.999) == http_date(NOVEMBER)
    assert http_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e18, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-1e18, "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_a_time_beyond_all_dates_is_the_nearest_date(seconds: float, text: str) -> None:
    assert http_date(seconds) == text


@given(st.integers(0, 4_102_444_800))
def test_dates_agree_with_the_standard_library(seconds: int) -> None:
    assert http_date(seconds) == formatdate(seconds, usegmt=True)
    assert parse_http_date(http_date(seconds)) == seconds
    assert parsedate_to_datetime(http_date(seconds)).timestamp() == seconds


@pytest.mark.parametrize(
    ("text", "year"),
    [("Thursday, 01-Jan-70 00:00:00 GMT", 1970), ("Friday, 01-Jan-69 00:00:00 GMT", 2069)],
)
def test_a_year_of_two_digits(text: str, year: int) -> None:
    seconds = parse_http_date(text)
    assert seconds is not None
    assert f" {year} " in http_date(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Jan 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_http_date(text) is None


def test_a_leap_second_is_a_second() -> None:
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT")


# ---- entity-tags


def test_an_etag_tells_time_size_and_encoding_apart() -> None:
    tags = {strong_etag(255, 16), strong_etag(256, 16), strong_etag(255, 17), strong_etag(255, 16, "gz")}
    assert len(tags) == 4
    assert strong_etag(255, 16) == '"ff-10"'
    assert strong_etag(255, 16, "gz") == '"ff-10-gz"'


# ---- conditions


@pytest.mark.parametrize(
    ("fields", "get", "put"),
    [
        ({}, 0, 0),
        # ---- If-Match: strong
        ({"If-Match": '"abc"'}, 0, 0),
        ({"If-Match": '"x", "abc"'}, 0, 0),
        ({"If-Match": "*"}, 0, 0),
        ({"If-Match": '"x"'}, 412, 412),
        ({"If-Match": 'W/"abc"'}, 412, 412),
        ({"If-Match": "abc"}, 412, 412),
        ({"If-Match": ""}, 412, 412),
        # ---- If-Unmodified-Since, where there is no If-Match
        ({"If-Unmodified-Since": BEFORE}, 412, 412),
        ({"If-Unmodified-Since": AT}, 0, 0),
        ({"If-Unmodified-Since": AFTER}, 0, 0),
        ({"If-Unmodified-Since": "no date"}, 0, 0),
        ({"If-Match": '"abc"', "If-Unmodified-Since": BEFORE}, 0, 0),
        # ---- If-None-Match: weak
        ({"If-None-Match": '"abc"'}, 304, 412),
        ({"If-None-Match": 'W/"abc"'}, 304, 412),
        ({"If-None-Match": '"x","y" , W/"abc"'}, 304, 412),
        ({"If-None-Match": "*"}, 304, 412),
        ({"If-None-Match": '"x"'}, 0, 0),
        ({"If-None-Match": '"a,bc"'}, 0, 0),
        ({"If-None-Match": "abc"}, 0, 0),
        # ---- If-Modified-Since, where there is no If-None-Match, and for GET and HEAD alone
        ({"If-Modified-Since": BEFORE}, 0, 0),
        ({"If-Modified-Since": AT}, 304, 0),
        ({"If-Modified-Since": AFTER}, 304, 0),
        ({"If-Modified-Since": "no date"}, 0, 0),
        ({"If-None-Match": '"x"', "If-Modified-Since": AT}, 0, 0),
        # ---- both kinds, in their order
        ({"If-Match": '"x"', "If-None-Match": '"abc"'}, 412, 412),
        ({"If-Match": '"abc"', "If-None-Match": '"abc"'}, 304, 412),
        ({"If-Unmodified-Since": AT, "If-Modified-Since": AT}, 304, 0),
    ],
)
def test_conditions(fields: dict[str, str], get: int, put: int) -> None:
    headers = Headers(fields.items())
    assert evaluate("GET", headers, ETAG, NOVEMBER + 0.9) == get
    assert evaluate("HEAD", headers, ETAG, NOVEMBER + 0.9) == get
    assert evaluate("PUT", headers, ETAG, NOVEMBER + 0.9) == put


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-Match": '"abc"'}, 412),
        ({"If-Match": "*"}, 0),
        ({"If-None-Match": '"abc"'}, 0),
        ({"If-None-Match": "*"}, 304),
        ({"If-Unmodified-Since": BEFORE}, 0),
        ({"If-Modified-Since": AFTER}, 0),
    ],
)
def test_conditions_on_what_has_no_validator(fields: dict[str, str], status: int) -> None:
    assert evaluate("GET", Headers(fields.items()), "", None) == status


def test_a_weak_tag_of_ours_never_matches_strongly() -> None:
    assert evaluate("GET", Headers([("If-Match", 'W/"a"')]), 'W/"a"', None) == 412
    assert evaluate("GET", Headers([("If-None-Match", '"a"')]), 'W/"a"', None) == 304
