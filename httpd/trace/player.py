"""A recorded connection as a page: one file with all that it needs, which opens from the disk and asks the network
for nothing.

The page's script is `static/console/`, whose modules import each other by name; here they are made one script, each a
function that gives what its module exports.  What stands in the trace came from strangers: it is JSON in a block that
no browser runs, and the page's policy lets it run nothing but that one script.
"""

from __future__ import annotations

import json
import os
import re

from ..resources import folder
from ..site.policy import hash_source
from ..site.templates import bundled
from .about import about
from .events import Refused, RequestLine, Responded, Trace
from .laws import check
from .ndjson import event_line, head_line
from .sentences import sentence

__all__ = ["export", "in_one", "player_json", "title_of"]

_FIRST = "wire.js"
_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)


def player_json(trace: Trace) -> str:
    """All that the player shows, as JSON: head, events, a sentence for each, the broken laws, and the channel itself.

    It is pure ASCII and holds no `<`, so it can stand in a script element.
    """
    parts = {
        "head": head_line(trace.head),
        "events": "[" + ",".join(map(event_line, trace.events)) + "]",
        "sentences": json.dumps([sentence(event.what) for event in trace.events]),
        "broken": json.dumps([one._asdict() for one in check(trace.events)]),
        "about": json.dumps(about()),
    }
    text = ",".join(f'"{name}":{value}' for name, value in parts.items())
    return "{" + text.replace("<", "\\u003c") + "}"


def title_of(trace: Trace) -> str:
    """What a trace is called: by its title, or by its first request and what came of it; always text for UTF-8."""
    asked = next((event.what for event in trace.events if type(event.what) is RequestLine), None)
    answer = next((event.what for event in trace.events if type(event.what) in (Responded, Refused)), None)
    said = f"{asked.method} {asked.target}" if asked else f"Connection {trace.head.connection}"
    title = trace.head.title or (f"{said} → {answer.status}" if answer else said)
    return title.encode("utf-8", "replace").decode()


def export(trace: Trace) -> str:
    """The page, as text to be written in UTF-8."""
    place = os.path.join(folder("static"), "console")
    script, style = in_one(place, _FIRST), _read(place, "player.css")
    return bundled().render(
        "console/player.html",
        title=title_of(trace),
        script=script,
        style=style,
        script_hash=hash_source(script),
        style_hash=hash_source(style),
        data=player_json(trace),
    )


def in_one(place: str, first: str) -> str:
    """A module and all that it imports, from one folder, as one script.

    A module imports by name, `import { a, b } from "./c.js"`, and exports where it declares; ValueError for others.
    Two that import each other could not be so put together, and are refused likewise.
    """
    done: dict[str, str] = {}
    text = _gather(place, first, done)
    return "".join(done.values()) + text


def _gather(place: str, name: str, done: dict[str, str], within: tuple[str, ...] = ()) -> str:
    """A module's text without its imports, which are done before it, each once."""
    if name in within:
        raise ValueError(f"{name} imports itself, by way of {within[-1]}")
    text = _read(place, name)
    for _, other in _IMPORT.findall(text):
        if other not in done:
            inner = _gather(place, other, done, (*within, name))
            exported = ", ".join(_EXPORT.findall(_read(place, other)))
            done[other] = f"const {_variable(other)} = (() => {{\n{inner}return {{ {exported} }};\n}})();\n"
    text = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};\n", text)
    text = _EXPORT.sub(lambda found: found[0].removeprefix("export "), text)
    if re.search(r"^(?:import|export)\b", text, re.MULTILINE) or "</script" in text:
        raise ValueError(f"{name} imports or exports in a way that is not known here")
    return text


def _variable(name: str) -> str:
    return "module_" + name.removesuffix(".js").replace("-", "_")


def _read(place: str, name: str) -> str:
    with open(os.path.join(place, name), encoding="utf-8") as file:
        return file.read()
