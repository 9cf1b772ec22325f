"""Times as people write and read them; here they are microseconds since 1970, UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

__all__ = ["SECONDS", "age", "beginning", "end", "local", "moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGE = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
# How many of them a unit has, by the letter that stands for it.
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(microseconds: int) -> str:
    """A time as RFC 3339 has it, in UTC, nothing left out."""
    when = _EPOCH + timedelta(microseconds=microseconds)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def local(microseconds: int) -> str:
    """A time to the minute, where this machine is."""
    return (_EPOCH + timedelta(microseconds=microseconds)).astimezone().strftime("%Y-%m-%d %H:%M")


def beginning(text: str, now: int) -> int:
    """From when on: a date, a time, or an age, such as 7d.  Raises ValueError with a sentence."""
    found = _AGE.fullmatch(text)
    if found:
        return now - age(text)
    return _read(text, timedelta())


def end(text: str, now: int) -> int:
    """Before when: the same, but a date with all of its day."""
    return _read(text, timedelta(days=1)) if not _AGE.fullmatch(text) else now - age(text)


def age(text: str) -> int:
    """How long, in microseconds: 30s, 10m, 12h, 90d, 4w.  Raises ValueError with a sentence."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not an age, such as 12h, 90d or 4w")
    return int(found[1]) * SECONDS[found[2]] * 1_000_000


def _read(text: str, after_a_date: timedelta) -> int:
    """A date, in this machine's zone, or a time, in the zone that it names or this machine's."""
    try:
        if len(text) == len("2026-01-31"):
            when = datetime.combine(date.fromisoformat(text) + after_a_date, time()).astimezone()
        else:
            when = datetime.fromisoformat(text)
            when = when if when.tzinfo else when.astimezone()
        return (when - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError, OSError):
        told = f"{text!r} is not a time, such as 2026-01-31, 2026-01-31T18:00, 2026-01-31T18:00Z or 7d"
        raise ValueError(told) from None
