"""`httpd trace diff`: where two recordings part, with the bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpd import Request, Response, text
from httpd.trace import commands
from httpd.trace.diff import aligned, compared, first_difference
from httpd.trace.events import Trace
from httpd.trace.ndjson import event_line, head_line

from .conversations import conversation, ended
from .exchange import get, post

WIRE = post(b"name=Ada&colour=blue")


def site(request: Request) -> Response:
    return text(request.body)


def trace_of(*pieces: bytes) -> Trace:
    return conversation(ended(*pieces), site).trace


def saved(folder: Path, name: str, trace: Trace) -> str:
    path = folder / name
    path.write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    return str(path)


def test_the_same_conversation_is_the_same_at_another_time() -> None:
    one = trace_of(WIRE)
    other = one._replace(events=[event._replace(t=event.t * 3, tick=event.tick + 9) for event in one.events])
    rows = aligned(one, other)
    assert all(row.same for row in rows)
    assert first_difference(rows) == ""


def test_cut_elsewhere_only_the_reading_differs() -> None:
    rows = aligned(trace_of(WIRE), trace_of(WIRE[:20], WIRE[20:]))
    different = {event.name for row in rows if not row.same for event in (row.one, row.other) if event}
    assert different == {"channel:received", "chat:scanned", "chat:collected"}
    for row in rows:
        assert row.one is None or row.other is None or row.one.name == row.other.name
    assert first_difference(rows).startswith("channel:received, event 3 of the first, 3 of the second: length is ")


def test_the_first_difference_shows_the_bytes() -> None:
    rows = aligned(trace_of(WIRE), trace_of(WIRE.replace(b"blue", b"\x1b[31")))
    told = first_difference(rows)
    assert "“" in told
    assert "colour=blue” and " in told
    assert r"colour=\x1b[31”" in told
    assert f"from byte {WIRE.index(b'blue')} of it on" in told


def test_what_only_one_has_is_told() -> None:
    one = trace_of(get())
    rows = aligned(one, one._replace(events=one.events[:-1]))
    assert first_difference(rows).startswith(f"channel:closed, event {one.events[-1].n}, is only in the first: ")
    rows = aligned(one._replace(events=one.events[:-1]), one)
    assert "is only in the second" in first_difference(rows)


def test_another_kind_of_event_is_told() -> None:
    one = trace_of(get())
    other = one._replace(events=[*one.events[:3], one.events[-1]._replace(n=3), *one.events[4:]])
    assert first_difference(aligned(one, other)).endswith("channel:received in the first, channel:closed in the second")


def test_two_columns_of_a_width() -> None:
    lines = list(compared(aligned(trace_of(WIRE), trace_of(WIRE[:20], WIRE[20:])), 120))
    assert all(len(line) <= 120 for line in lines)
    assert any(line[59:60] == "|" for line in lines)
    assert any(line[59:60] == ">" for line in lines)
    assert lines[0].startswith("  … ")
    assert lines[-1].endswith("the same")


def test_one_below_the_other_where_two_have_no_room() -> None:
    lines = list(compared(aligned(trace_of(WIRE), trace_of(WIRE[:20], WIRE[20:])), 80))
    assert all(len(line) <= 80 for line in lines)
    begins = "".join(line[0] for line in lines)
    assert "<>" in begins
    assert ">>" in begins
    assert lines[0].startswith("  … ")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = saved(tmp_path, "one", trace_of(WIRE))
    other = saved(tmp_path, "other", trace_of(WIRE.replace(b"blue", b"teal")))
    assert commands.main(["diff", one, one]) == 0
    assert capsys.readouterr().out.startswith("No difference in ")
    assert commands.main(["diff", one, other]) == 1
    assert "They part at channel:received" in capsys.readouterr().out
    assert commands.main(["diff", one, str(tmp_path / "gone")]) == 2
    assert commands.main(["diff", str(tmp_path / "gone"), one]) == 2
    assert capsys.readouterr().err.count("cannot read") == 2


def test_long_recordings_are_compared_at_once() -> None:
    data = b"".join(get(f"/n{number}") for number in range(60))
    one, other = (trace_of(*(data[at : at + size] for at in range(0, len(data), size))) for size in (2, 3))
    assert len(one.events) > 2000
    assert not all(row.same for row in aligned(one, other))
