"""The golden traces: the code still does the same, and every law holds for them at every cut."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.protocol.head import parse_head
from httpd.server.service import Site
from httpd.trace.about import METHODS
from httpd.trace.events import NAMES
from httpd.trace.ndjson import read_trace
from httpd.trace.recorder import Recorder
from httpd.trace.replay import inbound, one_by_one, replay
from httpd.trace.steps import traced

from .conversations import hold
from .golden import CONVERSATIONS, TRACES, golden_site, recorded, written

every_trace = pytest.mark.parametrize("name", CONVERSATIONS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return golden_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A handler that raises is one of the conversations."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@every_trace
def test_the_channel_does_what_it_did(name: str, site: Site) -> None:
    now, then = recorded(name, site), read_trace(TRACES / f"{name}.ndjson")
    # The limits' defaults may change, and nothing else with them.
    assert now.head._replace(limits={}) == then.head._replace(limits={})
    events, golden = (written(trace).splitlines()[1:] for trace in (now, then))
    assert events == golden, "python -m tests.golden writes it anew; look at what git diff says then"


@every_trace
def test_every_law_holds_at_every_cut(name: str, site: Site) -> None:
    trace = read_trace(TRACES / f"{name}.ndjson")
    data = inbound(trace.events)
    many = None if len(data) < 400 else [one_by_one(data), *([data[:at], data[at:]] for at in range(1, len(data), 97))]
    assert hold(trace, site, many) == []


@pytest.mark.slow
def test_every_law_holds_at_every_cut_of_long_content(site: Site) -> None:
    assert hold(read_trace(TRACES / "linger.ndjson"), site) == []


@every_trace
def test_what_was_answered_is_answered_again(name: str) -> None:
    trace = read_trace(TRACES / f"{name}.ndjson")
    assert replay(trace)[1] == []


@every_trace
def test_each_event_names_the_method_that_recorded_it(name: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Any, str]] = []

    class Watched(Recorder):
        def _note(self, kind: Any, *what: Any) -> None:
            steps.append((kind(*what), step_under_way()))
            super()._note(kind, *what)

    monkeypatch.setattr("httpd.trace.replay.Recorder", Watched)
    recorded(name, site)
    assert steps
    # What the player has begun is not the channel's doing.
    wrong = [(what, step) for what, step in steps if step and step not in named(what)]
    assert wrong == []


def step_under_way() -> str:
    """The traced step that the caller's caller came from; none where a recording begins."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        code = frame.f_code
        if code.co_filename == traced.__code__.co_filename and code.co_name not in ("_tell", "_told", "_enter"):
            return code.co_name
        frame = frame.f_back
    return ""


def named(what: Any) -> tuple[str, ...]:
    """The methods that the page names for an event, as static/console/source.js finds them."""
    words = (getattr(what, name, None) for name in ("what", "op", "why"))
    first = next((word for word in words if word is not None), None) or getattr(what, "producer", "").partition("#")[0]
    methods = METHODS.get(f"{NAMES[type(what)]} {first}") or METHODS[NAMES[type(what)]]
    if methods is parse_head:
        # Its verdict is recorded where something is made of it.
        return "expect_body", "handle_request"
    return methods if isinstance(methods, tuple) else (methods,)


def test_no_trace_is_left_over() -> None:
    assert {path.stem for path in Path(TRACES).glob("*.ndjson")} == set(CONVERSATIONS)
