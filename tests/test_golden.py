"""The golden traces: the code still does the same, and every law holds for them at every cut."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd.server.service import Site
from httpd.trace.ndjson import read_trace
from httpd.trace.replay import inbound, one_by_one, replay

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


@every_trace
def test_what_was_answered_is_answered_again(name: str) -> None:
    trace = read_trace(TRACES / f"{name}.ndjson")
    assert replay(trace)[1] == []


def test_no_trace_is_left_over() -> None:
    assert {path.stem for path in Path(TRACES).glob("*.ndjson")} == set(CONVERSATIONS)
