"""What tells one state of a resource from another, and the requests that depend on it (RFC 9110 §8.8, §13).

Times are seconds since 1970 in UTC.
"""

from __future__ import annotations

import re
import time

from .grammar import late
from .message import Headers

__all__ = ["evaluate", "http_date", "parse_http_date", "strong_etag"]

# Not time.strftime: these names never depend on a locale.
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# HTTP-date = IMF-fixdate / obs-date ; obs-date = rfc850-date / asctime-date                  (RFC 9110 §5.6.7)
# IMF-fixdate = day-name "," SP 2DIGIT SP month SP 4DIGIT SP time-of-day SP GMT
# rfc850-date = day-name-l "," SP 2DIGIT "-" month "-" 2DIGIT SP time-of-day SP GMT
# asctime-date = day-name SP month SP ( 2DIGIT / ( SP 1DIGIT ) ) SP time-of-day SP 4DIGIT
_month = f"(?P<month>{'|'.join(MONTHS)})"
_time = "(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
_day_name = f"(?:{'|'.join(DAYS)})"
_DATES = (
    late(f"{_day_name}, (?P<day>[0-9]{{2}}) {_month} (?P<year>[0-9]{{4}}) {_time} GMT"),
    late(f"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_month}-(?P<year>[0-9]{{2}}) {_time} GMT"),
    late(f"{_day_name} {_month} (?P<day>[0-9]{{2}}| [0-9]) {_time} (?P<year>[0-9]{{4}})"),
)
# The first second of the year 1 and the last of 9999.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799

# entity-tag = [ weak ] opaque-tag ; weak = %s"W/" ; opaque-tag = DQUOTE *etagc DQUOTE        (RFC 9110 §8.8.3)
_ENTITY_TAG = late(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*+")')

_CONDITIONS = frozenset({"if-match", "if-modified-since", "if-none-match", "if-unmodified-since"})
_SAFE = frozenset({"GET", "HEAD"})


def http_date(seconds: float) -> str:
    """A time as an IMF-fixdate, whole seconds (RFC 9110 §5.6.7).

    Times that no four digits can name, which a file may have, become the first or the last that they can.
    """
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(min(max(seconds // 1, _FIRST), _LAST))
    return f"{DAYS[weekday]}, {day:02} {MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def parse_http_date(text: str) -> int | None:
    """The time that a date in any of the three forms names, or None for what is none (RFC 9110 §5.6.7).

    A year of two digits is one from 1970 to 2069.  The day's name is not checked against the date.
    """
    for form in _DATES:
        parts = form.fullmatch(text)
        if parts:
            return _seconds(parts)
    return None


def _seconds(parts: re.Match[str]) -> int | None:
    # A server that has just started is asked for something else as often as not.
    from datetime import date

    year = int(parts["year"])
    if len(parts["year"]) == 2:
        year += 1900 if year >= 70 else 2000
    try:
        since = date(year, MONTHS.index(parts["month"]) + 1, int(parts["day"])) - date(1970, 1, 1)
    except ValueError:
        return None
    return ((since.days * 24 + int(parts["hour"])) * 60 + int(parts["minute"])) * 60 + int(parts["second"])


def strong_etag(mtime_ns: int, size: int, tag: str = "") -> str:
    """A strong entity-tag from a file's time in nanoseconds and its size in bytes; `tag` tells encodings apart."""
    return f'"{mtime_ns:x}-{size:x}{tag and "-" + tag}"'


def evaluate(method: str, headers: Headers, etag: str, mtime: float | None) -> int:
    """What a request's conditions make of it: 0 go on, 304 or 412 (RFC 9110 §13.2.2).

    `etag` and `mtime` are the present representation's, "" and None where it has none.  What is no date is ignored.
    """
    if headers.lacks(_CONDITIONS):
        return 0
    return _precondition(headers, etag, mtime) or _cache_condition(method, headers, etag, mtime)


def _precondition(headers: Headers, etag: str, mtime: float | None) -> int:
    """If-Match, or else If-Unmodified-Since: 412 where the state is not the one that the client knows."""
    if "if-match" in headers:
        return 0 if _matches(headers["if-match"], etag, weak=False) else 412
    since = parse_http_date(headers.get("if-unmodified-since"))
    return 412 if since is not None and mtime is not None and int(mtime) > since else 0


def _cache_condition(method: str, headers: Headers, etag: str, mtime: float | None) -> int:
    """If-None-Match, or else If-Modified-Since: 304 where the client has the present state."""
    if "if-none-match" in headers:
        if not _matches(headers["if-none-match"], etag, weak=True):
            return 0
        return 304 if method in _SAFE else 412
    since = parse_http_date(headers.get("if-modified-since"))
    return 304 if method in _SAFE and since is not None and mtime is not None and int(mtime) <= since else 0


def _matches(value: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity-tags, or "*", holds ours; strong comparison takes no weak tag (RFC 9110 §8.8.3.2)."""
    if value == "*":
        return True
    ours = _ENTITY_TAG.fullmatch(etag)
    if not ours or (ours[1] and not weak):
        return False
    return any(tag == ours[2] and (weak or not mark) for mark, tag in _ENTITY_TAG.findall(value))
