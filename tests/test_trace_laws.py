"""The laws of the trace, held to whatever the server is ever sent: the table of refusals, and what is taken."""

from __future__ import annotations

import pytest

from httpd import Limits
from httpd.trace.events import Closed, Refused, Responded, TimedOut

from .conversations import conversation, ended, head, hold, received
from .refusals import LIMITS, REFUSED, TAKEN, TOO_SLOW, Case, Fault, Taken, TooSlow
from .scripted import cut_at
from .test_multipart import FILLED, file, form, site, up
from .test_refusals import Site

every_fault = pytest.mark.parametrize(("fault", "case"), REFUSED, ids=[case.name for _, case in REFUSED])
every_taken = pytest.mark.parametrize("row", [row for rows in TAKEN.values() for row in rows], ids=lambda row: row.name)


@every_fault
def test_a_refusal_obeys_every_law_at_every_cut(fault: Fault, case: Case) -> None:
    played = conversation(ended(case.data), Site(), head(LIMITS))
    [refused] = [event.what for event in played.events if type(event.what) is Refused]
    assert (refused.status, refused.reason, refused.rule) == (fault.status, fault.reason, fault.rule)
    assert case.data[refused.start : refused.start + refused.length] == case.guilty
    assert hold(played.trace, Site()) == []


@every_taken
def test_what_is_taken_obeys_every_law_at_every_cut(row: Taken) -> None:
    played = conversation(ended(row.data), Site(), head(LIMITS))
    statuses = [event.what.status for event in played.events if type(event.what) is Responded]
    assert statuses == [status for status, _ in row.answers]
    cuttings = None if len(row.data) < 400 else [[row.data[:100], row.data[100:]]]
    assert hold(played.trace, Site(), cuttings) == []


@pytest.mark.slow
def test_what_is_long_obeys_every_law_at_every_cut() -> None:
    [row] = [row for rows in TAKEN.values() for row in rows if len(row.data) >= 400]
    assert hold(conversation(ended(row.data), Site(), head(LIMITS)).trace, Site()) == []


@pytest.mark.parametrize("row", TOO_SLOW, ids=lambda row: row.name)
def test_what_comes_too_slowly_obeys_every_law_at_every_cut(row: TooSlow) -> None:
    # Patience ends with the silence, and again with the lingering.
    ends = [TimedOut("", 0.0)] * 2
    played = conversation([*(received(row.data) if row.data else ()), *ends], Site(), head(LIMITS))
    assert tuple(event.what.status for event in played.events if type(event.what) is Responded) == row.statuses
    assert [event.what.by for event in played.events if type(event.what) is Closed] == ["timeout"]
    assert hold(played.trace, Site()) == []


UPLOADS = {
    "a form": (FILLED, 200),
    "a form that is broken at its end": (FILLED[:-6], 400),
    "a form that is broken early": (b"--XyZ\r\nnonsense\r\n".ljust(80_000, b"-"), 400),
    "more than is usual": (form(file("f", "x", b"1" * 3_000)), 200),
    "more than the route takes": (b" " * 1_000_001, 413),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_an_upload_obeys_every_law(name: str) -> None:
    content, status = UPLOADS[name]
    wire = up(content)[:90_000]
    pieces = [wire[at : at + 16_384] for at in range(0, len(wire), 16_384)]
    played = conversation(ended(*pieces), site(), head(Limits()._replace(body=2_000)))
    answers = [event.what.status for event in played.events if isinstance(event.what, Responded)]
    assert answers == [status]
    elsewhere = cut_at(wire, range(100, len(wire), 7_000))
    assert hold(played.trace, site(), [elsewhere]) == []
    assert hold(played.trace, None, [elsewhere]) == []
