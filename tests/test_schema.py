"""The JSON Schema of a trace's lines, as another program's validator reads it."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from httpd.trace.events import KINDS, Event
from httpd.trace.ndjson import event_line, head_line, schema

from .conversations import head
from .golden import TRACES
from .tools import TOP, needs_module

RECORDINGS = sorted([*TRACES.glob("*.ndjson"), *(TOP / "examples" / "lessons").glob("*.ndjson")])


@pytest.fixture(scope="module")
def validators() -> dict[str, Any]:
    """What judges a whole line, as "", and each kind of line by its title."""
    needs_module("jsonschema")
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())
    return {
        "": Draft202012Validator(schema()),
        **{kind["title"]: Draft202012Validator(kind) for kind in schema()["oneOf"]},
    }


def test_each_kind_of_line_has_its_place() -> None:
    assert [line["title"] for line in schema()["oneOf"]] == ["head", *KINDS]
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_line_of_a_recording_is_valid(path: Path, validators: dict[str, Any]) -> None:
    first, *lines = map(json.loads, path.read_text(encoding="ascii").splitlines())
    validators["head"].validate(first)
    for line in lines:
        validators[line["name"]].validate(line)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_event_is_valid_and_of_no_other_kind(name: str, validators: dict[str, Any]) -> None:
    kind = KINDS[name]
    for which in (0, -1):
        what = kind(*(sample(hint, which) for hint in get_type_hints(kind).values()))
        validators[""].validate(json.loads(event_line(Event(0, 1.5, 2, what))))


def sample(hint: Any, which: int) -> Any:
    """A value of a type, the first of those that may be or the last."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return sample(args[which], which)
    if origin is Literal:
        return args[which]
    if origin is tuple:
        return tuple(sample(one, which) for one in args if one is not ...)
    if origin is dict:
        return {"key": sample(args[1], which)}
    if hasattr(hint, "_fields"):
        return hint(*(sample(one, which) for one in get_type_hints(hint).values()))
    return {int: 7, float: 0.5, str: "é\x00", bool: True, type(None): None}[hint]


LINES = {
    "channel:eof": '{"n":0,"t":0,"tick":0,"name":"channel:eof","data":{"start":1}}',
    "channel:blocked": '{"n":0,"t":0,"tick":0,"name":"channel:blocked","data":{"op":"recv"}}',
    "head": head_line(head()),
}


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("channel:eof", '"name":"channel:eof"', '"name":"channel:ate"'),
        ("channel:eof", '"n":0,', ""),
        ("channel:eof", '"n":0', '"n":-1'),
        ("channel:eof", '"n":0', '"n":true'),
        ("channel:eof", '"n":0', '"n":0.5'),
        ("channel:eof", '"t":0', '"t":"0"'),
        ("channel:eof", '{"start":1}', "{}"),
        ("channel:eof", '{"start":1}', '{"start":null}'),
        ("channel:eof", '{"start":1}', '{"start":-1}'),
        ("channel:eof", '{"start":1}', "[]"),
        ("channel:blocked", '"op":"recv"', '"op":"x"'),
        ("head", '"version":1', '"version":2'),
        ("head", '"redacted":["cookie"', '"redacted":[1'),
        ("head", '"limits":{', '"limits":{"x":"y",'),
        ("head", '"headers":[]', '"headers":[["a"]]'),
        ("head", '"headers":[]', '"headers":[["a","b","c"]]'),
    ],
)
def test_what_is_no_such_line_is_not_valid(kind: str, old: str, new: str, validators: dict[str, Any]) -> None:
    line = LINES[kind]
    validators[""].validate(json.loads(line))
    assert old in line
    assert not validators[""].is_valid(json.loads(line.replace(old, new)))
