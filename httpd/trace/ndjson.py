"""A trace as lines of JSON: one for its head, one for each event.  The same lines serve a file and a live feed.

A file may come from a stranger, so nothing in it is trusted: its size, its lines and their number are bounded, and
every field is checked against the record that it is to become.  `schema` says the same as a JSON Schema, for others.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable, Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, BinaryIO, Literal, Union, get_args, get_origin, get_type_hints

from .events import FORMAT, INPUTS, KINDS, NAMES, VERSION, Event, Scanned, TerminatorSet, Trace, TraceHead

__all__ = ["NotATrace", "event_line", "event_lines", "head_line", "read_line", "read_opened", "read_trace", "schema"]

# What a file may measure: as much as a long connection of a busy server, and little enough to hold.
MOST_BYTES = 256 << 20
MOST_EVENTS = 1_000_000
# A line holds one piece that was received, each byte of it at most six characters.
MOST_LINE = 16 << 20
# Beyond it other readers of JSON begin to round.
_GREATEST = 1 << 53

# A JSON number may stand where a float is asked for.
_JSON_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_WORDS = {int: "a number", float: "a number", str: "a string", bool: "true or false", type(None): "null"}


class NotATrace(ValueError):
    """These lines are no trace; the text says which line, and why."""


# ---- writing


def head_line(head: TraceHead) -> str:
    """The first line of a trace, with its line end."""
    return _dumps({"format": FORMAT, "version": VERSION, **head._asdict()}) + "\n"


def event_line(event: Event) -> str:
    """An event's line, with its line end.  It is pure ASCII."""
    return _writers[type(event.what)](*event)


def event_lines(events: Iterable[Event]) -> str:
    """The lines of some events.  There are many of them, so no call of ours comes between."""
    writers = _writers
    return "".join([writers[type(event[3])](*event) for event in events])


_Writer = Callable[[int, float, int, Any], str]


class _Writers(dict[type[Any], _Writer]):
    """A writer for each kind of event, made when the first one is written."""

    def __missing__(self, kind: type[Any]) -> _Writer:
        made = self[kind] = _writer(kind)
        return made


_writers = _Writers()


def _writer(kind: type[Any]) -> _Writer:
    """A function for the lines of one kind of event: its fields are known, so it is one f-string.

    It is made as `namedtuple` makes its own: several times as fast as a loop over the fields, where every event counts.
    """
    values = [(name, _written(hint, f"what[{at}]")) for at, (name, hint) in enumerate(_hints(kind).items())]
    data = ",".join(f'"{name}":{{{value}}}' for name, value in values)
    line = f'{{{{"n":{{n}},"t":{{t:.3f}},"tick":{{tick}},"name":"{NAMES[kind]}","data":{{{{{data}}}}}}}}}\\n'
    names = {"quoted": encode_basestring_ascii, "as_json": _json}
    made: _Writer = eval(f"lambda n, t, tick, what: f'''{line}'''", names)
    return made


def _written(hint: Any, value: str) -> str:
    """The expression that gives a value of this type as JSON."""
    if hint in (int, float):
        return value
    if hint == int | None:
        return f"'null' if {value} is None else {value}"
    if hint is str or get_origin(hint) is Literal:
        return f"quoted({value})"
    return f"as_json({value})"


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _json(value: Any) -> str:
    """A value as JSON; a record in a tuple is an object."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return _json_of_tuple(value)
    # Most routes have no parameters.
    return "{}" if value == {} else _dumps(value)


@lru_cache(256)
def _json_of_tuple(value: tuple[Any, ...]) -> str:
    # Field lines and routes are much the same from answer to answer.
    return _dumps([one._asdict() if hasattr(one, "_asdict") else one for one in value])


# ---- reading


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """The trace in a file.  Raises OSError, or NotATrace with a sentence that names the line."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise NotATrace(f"it is larger than {MOST_BYTES >> 20} MiB")
        return read_opened(file)


def read_opened(file: BinaryIO) -> Trace:
    """The trace in an open file, whose size the caller has bounded.  Raises as `read_trace` does."""
    lines = iter(lambda: file.readline(MOST_LINE + 1), b"")
    head = _head(_parsed(next(lines, b""), 1))
    events: list[Event] = []
    for number, line in enumerate(lines, 2):
        if len(events) >= MOST_EVENTS:
            raise NotATrace(f"it has more than {MOST_EVENTS:,} events")
        event = read_line(line, number)
        if events and (event.n <= events[-1].n or event.t < events[-1].t):
            raise NotATrace(f"line {number}: event {event.n} does not come after event {events[-1].n}")
        events.append(event)
    return Trace(head, events)


def read_line(line: bytes, number: int = 1) -> Event:
    """One event.  Raises NotATrace; `number` is the line's in its file."""
    value = _parsed(line, number)
    where = f"line {number}"
    kind = KINDS.get(_field(value, "name", str, where))
    if kind is None:
        raise NotATrace(f"{where}: version {VERSION} has no event {str(value['name'])[:60]!r}")
    n, t, tick = (_field(value, name, hint, where) for name, hint in (("n", int), ("t", float), ("tick", int)))
    where = f"{where}: {value['name']}"
    what = _record(kind, _field(value, "data", dict, where), where)
    if kind in _AGREES and not _AGREES[kind](what):
        raise NotATrace(f"{where}: its parts contradict each other")
    return Event(n, t, tick, what)


# Where one field says what another one is.
_AGREES: dict[type[Any], Callable[[Any], bool]] = {
    TerminatorSet: lambda what: type(what.value) is {"bytes": str, "length": int, "none": type(None)}[what.kind],
    Scanned: lambda what: (what.result == "found") is (what.at is not None),
}


def _head(value: dict[str, Any]) -> TraceHead:
    if value.get("format") != FORMAT:
        raise NotATrace(f'line 1: no trace begins like this; it must say "format":"{FORMAT}"')
    if value.get("version") != VERSION:
        raise NotATrace(f"line 1: a trace of version {str(value.get('version'))[:20]}; this reads version {VERSION}")
    return _record(TraceHead, value, "line 1")  # type: ignore[no-any-return]


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    if len(line) > MOST_LINE:
        raise NotATrace(f"line {number}: longer than {MOST_LINE >> 20} MiB")
    try:
        value = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as why:
        raise NotATrace(f"line {number}: not JSON: {str(why)[:100]}") from None
    if not isinstance(value, dict):
        raise NotATrace(f"line {number}: a JSON object is expected")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _record(kind: type[Any], value: dict[str, Any], where: str) -> Any:
    return kind(*(_field(value, name, hint, where) for name, hint in _hints(kind).items()))


def _hints(kind: type[Any]) -> dict[str, Any]:
    """The types of a record's fields."""
    known = _known_hints.get(kind)
    if known is None:
        known = _known_hints[kind] = get_type_hints(kind)
    return known


_known_hints: dict[type[Any], dict[str, Any]] = {}


def _field(value: dict[str, Any], name: str, hint: Any, where: str) -> Any:
    if name not in value:
        raise NotATrace(f"{where}: {name} is missing")
    return _checked(value[name], hint, f"{where}: {name}")


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value as the type says; lists become tuples.  Raises NotATrace."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        # Those here differ in their JSON types, so one of them fits or none.
        hint = next((one for one in args if _fits(value, one)), args[0])
        return _checked(value, hint, where)
    if origin is Literal:
        if value not in args:
            raise NotATrace(f"{where} is none of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        return _checked_tuple(value, args, where)
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            raise NotATrace(f"{where} is not an object")
        return {key: _checked(one, args[1], f"{where}.{key[:40]}") for key, one in value.items()} if args else value
    if hasattr(hint, "_fields"):
        return _record(hint, _checked(value, dict, where), where)
    if not _fits(value, hint):
        raise NotATrace(f"{where} is not {_WORDS[hint]}")
    return value


def _checked_tuple(value: Any, args: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or (args[-1] is not ... and len(value) != len(args)):
        raise NotATrace(f"{where} is not a list" + (f" of {len(args)}" if args[-1] is not ... else ""))
    hints = args if args[-1] is not ... else (args[0],) * len(value)
    return tuple(_checked(one, hint, where) for one, hint in zip(value, hints, strict=True))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a plain type: no boolean for a number, none negative, none beyond what JSON keeps."""
    if hint is int:
        return type(value) is int and 0 <= value <= _GREATEST
    if hint is float:
        return type(value) in (int, float) and 0 <= value <= _GREATEST
    return type(value) is hint


# ---- the schema


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of each line of a trace."""
    events = [_event_schema(name, kind) for name, kind in KINDS.items()]
    head = _object(TraceHead)
    head["properties"] = {"format": {"const": FORMAT}, "version": {"const": VERSION}, **head["properties"]}
    head["required"] = ["format", "version", *head["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a wire trace",
        "description": "The first line is a head, every other one an event.",
        "oneOf": [{**head, "title": "head"}, *events],
    }


def _event_schema(name: str, kind: type[Any]) -> dict[str, Any]:
    return {
        "title": name,
        "description": _description(kind) + (" Input." if kind in INPUTS else ""),
        "type": "object",
        "properties": {
            "n": _schema_of(int),
            "t": _schema_of(float),
            "tick": _schema_of(int),
            "name": {"const": name},
            "data": _object(kind),
        },
        "required": ["n", "t", "tick", "name", "data"],
    }


def _object(kind: type[Any]) -> dict[str, Any]:
    hints = _hints(kind)
    properties = {name: _schema_of(hint) for name, hint in hints.items()}
    return {
        "description": _description(kind), "type": "object", "properties": properties, "required": list(hints),
    }  # fmt: skip


def _description(kind: type[Any]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _schema_of(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of(one) for one in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(args[1])}
    if origin is tuple and args[-1] is ...:
        return {"type": "array", "items": _schema_of(args[0])}
    if origin is tuple:
        parts = [_schema_of(one) for one in args]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "items": False}
    if hasattr(hint, "_fields"):
        return _object(hint)
    return {"type": _JSON_TYPES[hint], **({"minimum": 0} if hint in (int, float) else {})}
