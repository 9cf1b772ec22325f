"""JSON content → a value (RFC 8259), or a reason with its line and column.

Stricter than Python's own reader, where two readers could see two things: NaN and infinity are no JSON, a name stands
once in an object, and text is text.
"""

from __future__ import annotations

import math
from typing import Any

from .errors import HTTPError
from .media_types import parse_media_type

__all__ = ["JSON", "MAX_DEPTH", "parse_json"]

JSON = "application/json"
# How deep arrays and objects may be nested: whoever walks through the value does so by recursion, as a rule. 413.
MAX_DEPTH = 64

_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def parse_json(content_type: str, body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value that JSON content is; `content_type` is the Content-Type field's value, "" where there was none.

    Raises HTTPError: 415 for another type than JSON (`application/json` or `…+json`) or another charset than UTF-8, 413
    for what is nested too deep, 400 for what is no JSON, with line and column as far as there is one place.
    """
    import json

    media_type, parameters = parse_media_type(content_type)
    if media_type != JSON and not media_type.endswith("+json"):
        raise HTTPError(415, f"JSON is sent as {JSON}.", [("Accept", JSON)])
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise HTTPError(415, "JSON is sent in UTF-8 (RFC 8259 §8.1).", [("Accept", JSON)])
    text = _text(body)
    _check_depth(text, max_depth)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float)
    except json.JSONDecodeError as why:
        raise HTTPError(400, f"Not JSON, at line {why.lineno}, column {why.colno}: {why.msg}.") from None
    except ValueError:
        raise HTTPError(400, "A number in the JSON has too many digits.") from None
    if "\\u" in text:
        _check_text(value, json)
    return value


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as why:
        line, column = body.count(b"\n", 0, why.start) + 1, why.start - body.rfind(b"\n", 0, why.start)
        raise HTTPError(400, f"The JSON is not UTF-8, at line {line}, byte {column}.") from None


def _check_depth(text: str, most: int) -> None:
    if text.count("[") + text.count("{") <= most:
        return
    # Without escapes, every other quote ends a string; what is no JSON is found out by the reader, before it matters.
    outside = text.replace(r"\\", "").replace(r"\"", "").split('"')[::2]
    depth = 0
    for letter in "".join(outside):
        depth += _DEPTH.get(letter, 0)
        if depth > most:
            raise HTTPError(413, f"The JSON is nested deeper than {most} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # RFC 8259 §4: of two values, one reader takes the first, another the last.
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise HTTPError(400, f"The name {twice[:60]!r} stands twice in one object of the JSON.")
    return found


def _no_number(word: str) -> Any:
    raise HTTPError(400, f"{word} is no JSON number (RFC 8259 §6).")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise HTTPError(400, f"The number {text[:60]} in the JSON is too large.")
    return value


def _check_text(value: Any, json: Any) -> None:
    """An escape may name half of a character, which can be neither stored nor sent."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise HTTPError(400, "The JSON has half of a surrogate pair in a string (RFC 8259 §8.2).") from None
