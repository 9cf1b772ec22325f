"""The lab: its cuts arrive as they were asked for, and what comes of them is the same."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Router, StaticFiles, text
from httpd.protocol.errors import HTTPError, Refusal
from httpd.protocol.head import HeadLimits, parse_head
from httpd.trace import lab as labs
from httpd.trace import probe as probes
from httpd.trace.lab import read_experiment
from httpd.trace.presets import PRESETS, Case

from .refusals import FAULTS
from .test_console import Watched, watched

GET = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"


def make(console: Watched, **asked: Any) -> dict[str, Any]:
    """Make an experiment; what came of it."""
    status, _, body = console.ask("/api/lab", json.dumps(asked).encode(), X_Console_Token=console.token)
    assert status == 202, body
    run = json.loads(body)["run"]
    while not (result := console.json(f"/api/lab/{run}"))["done"]:
        pass
    return result  # type: ignore[no-any-return]


def experiment(console: Watched, number: int = 0, **asked: Any) -> tuple[dict[str, Any], list[Any]]:
    """The same, and the events of its connection of that number."""
    result = make(console, **asked)
    body = console.ask(f"/api/trace/{result['connections'][number]}")[2]
    return result, [json.loads(line) for line in body.splitlines()[1:]]


def lengths(side: dict[str, Any]) -> list[int]:
    return [length for _, length in side["pieces"]]


# ---- over real sockets


def test_the_pieces_arrive_as_they_were_cut() -> None:
    with watched() as console:
        result = make(console, bytes=GET, cuts=[3, 17, 18])
        whole, cut = result["sides"]
        assert lengths(whole) == [len(GET)]
        assert lengths(cut) == [3, 14, 1, len(GET) - 18]
        assert result["equal"] is True
        assert result["squares"] == [True]
        assert result["verdict"]["status"] == 200
        assert cut["answer_length"] == whole["answer_length"] > 100


def test_it_connects_to_its_own_server_whatever_is_asked() -> None:
    with watched() as console, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        elsewhere = {"host": "127.0.0.1", "port": port, "door": ["127.0.0.1", port], "url": f"http://127.0.0.1:{port}/"}
        absolute = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        assert make(console, bytes=absolute, cuts=[3], **elsewhere)["verdict"]["status"] == 200
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_each_byte_arrives_by_itself() -> None:
    with watched() as console:
        result = make(console, bytes=GET, mode="one-byte")
        assert lengths(result["sides"][1]) == [1] * len(GET)
        assert result["equal"] is True


def test_chance_cuts_alike_from_one_seed() -> None:
    with watched() as console:
        first, again, other = (make(console, bytes=GET, mode="random", seed=seed) for seed in (7, 7, 8))
        assert lengths(first["sides"][1]) == lengths(again["sides"][1]) != lengths(other["sides"][1])
        assert len(lengths(first["sides"][1])) > 1


def test_every_cut_makes_no_difference_and_fills_no_list() -> None:
    with watched() as console:
        result = make(console, bytes=GET, mode="every-cut")
        assert result["squares"] == [True] * (len(GET) - 1)
        assert result["equal"] is True
        assert len(result["connections"]) == 2
        known = {one["connection"] for one in console.json("/api/connections")}
        assert known >= set(result["connections"])
        assert len(known) < 10


def test_two_requests_and_content_arrive_as_they_were_cut() -> None:
    two = GET + "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    with watched() as console:
        result = make(console, bytes=two, cuts=[len(GET) - 1, len(two) - 2])
        assert lengths(result["sides"][1]) == [len(GET) - 1, len(two) - len(GET) - 1, 2]
        assert result["equal"] is True
        names = [event["name"] for event in result["sides"][1]["events"]]
        assert names.count("http:responded") == 2


def test_a_site_that_answers_otherwise_each_time_is_found_out() -> None:
    count = iter(range(1000))
    site = Router()
    site.get("/a")(lambda request: text(f"number {next(count)}"))
    with watched(site=site) as console:
        result = make(console, bytes=GET, cuts=[5])
        assert result["equal"] is False
        assert result["squares"] == [False]
        assert "law 6" in result["broken"][0]
        every = make(console, bytes=GET, mode="every-cut")
        assert set(every["squares"]) == {False}


def test_the_verdict_names_the_very_bytes_and_the_rule() -> None:
    with watched() as console:
        result = make(console, bytes="GET / HTTP/1.1\r\nHost: a\r\nname : b\r\n\r\n", cuts=[10])
        verdict = result["verdict"]
        assert (verdict["status"], verdict["rule"]) == (400, "RFC 9112 §5.1")
        assert (verdict["start"], verdict["length"]) == (29, 1)


def test_half_a_request_gets_no_answer() -> None:
    with watched() as console:
        verdict = make(console, bytes="GET / HTTP/1.1\r\n", cuts=[3])["verdict"]
        assert verdict["status"] is None
        assert "No answer" in verdict["reason"]


def test_a_slow_reader_takes_its_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 60_000)
    with watched(site=StaticFiles(tmp_path)) as console:
        result, events = experiment(console, -1, bytes=GET, cuts=[5], slow={"read": 4_096, "pause_ms": 2})
        assert result["equal"] is True
        assert result["sides"][0]["answer_length"] > 60_000
        # More than the kernel holds for it: the server has to wait.
        sent = [event for event in events if event["name"] == "channel:sent"]
        assert len({event["tick"] for event in sent}) > 4
        assert any(event["data"]["length"] < event["data"]["offered"] for event in sent)


def test_a_client_that_hangs_up_leaves_its_request() -> None:
    with watched() as console:
        result = make(console, bytes=GET, cuts=[3], ends="leaves", after=10)
        assert lengths(result["sides"][1]) == [3, 7]
        assert result["verdict"]["status"] is None
        after = make(console, bytes=GET, ends="leaves", after=1_000)
        assert after["verdict"]["status"] == 200


def test_a_server_of_another_address_has_a_port_for_the_lab(tmp_path: Path) -> None:
    with watched(bind="127.0.0.2", unix=str(tmp_path / "sock")) as console:
        assert make(console, bytes=GET, cuts=[5])["equal"] is True


def test_one_experiment_at_a_time() -> None:
    # More than the kernel holds: an answer that the server is rid of ends the reader's pauses.
    with watched(site=lambda request: text("x" * 20_000_000)) as console:
        slow = {"bytes": GET, "slow": {"read": 1, "pause_ms": 20}}
        data, token = json.dumps(slow).encode(), console.token
        first = console.ask("/api/lab", data, X_Console_Token=token)
        assert first[0] == 202
        assert console.ask("/api/lab", data, X_Console_Token=token)[0] == 409


def test_the_last_experiments_are_remembered() -> None:
    with watched() as console:
        for _ in range(labs.MOST_KEPT + 1):
            make(console, bytes=GET)
        assert console.ask("/api/lab/1")[0] == 404
        assert console.ask("/api/lab/2")[0] == 200


def names(events: list[Any]) -> list[str]:
    return [event["name"] for event in events]


def test_a_client_says_that_nothing_more_comes_or_stays() -> None:
    """Half a request: one client ends its side, and is left; of the other nobody knows, and its time runs out."""
    half = GET[:20]
    with watched(limits=Limits(header_time=0.3, linger_time=0.3, linger_pause=0.1)) as console:
        result, events = experiment(console, -1, bytes=half, cuts=[5], ends="half-close")
        assert result["verdict"]["status"] is None
        assert "channel:eof" in names(events)
        assert "channel:timed_out" not in names(events)
        result, events = experiment(console, -1, bytes=half, cuts=[5], ends="stays")
        assert (result["verdict"]["status"], result["verdict"]["rule"]) == (408, "RFC 9110 §15.5.9")
        assert names(events).index("channel:timed_out") < names(events).index("http:refused")
        assert result["equal"] is True


def test_a_kept_connection_that_stays_is_idle_and_then_over() -> None:
    with watched(limits=Limits(idle_time=0.3)) as console:
        result, events = experiment(console, -1, bytes=GET, cuts=[5], ends="stays")
        assert (result["verdict"]["status"], result["equal"]) == (200, True)
        assert [event["data"]["phase"] for event in events if event["name"] == "channel:timed_out"] == ["read header"]


@pytest.mark.parametrize(
    ("rule", "case"),
    [pytest.param(group.rule, case, id=case.name.replace(" ", "-")) for group in PRESETS for case in group.cases],
)
def test_a_preset_gets_what_it_promises(presets: Watched, rule: str, case: Case) -> None:
    result = make(presets, bytes=case.text, cuts=[1, 20])
    verdict = result["verdict"]
    assert result["equal"] is True
    assert (verdict["status"], verdict["rule"]) == (case.status or 200, rule)


def gist(status: int, rule: str, reason: str) -> tuple[int, str, str]:
    """A refusal without the numbers and the methods that its sentence has from the request or the limits."""
    return status, rule, re.sub(r"\d+(\.\d+)?|\b(POST|PUT|PATCH)\b", "…", reason)


def refusal_of(case: Case) -> Refusal:
    """What the parser says of a preset's head, under the limits that a server has."""
    data = case.text.encode("latin-1")
    limits = Limits()
    end = data.index(b"\r\n\r\n", len(data) - len(data.lstrip(b"\r\n")))
    refusal = parse_head(data[:end], HeadLimits(limits.request_line, limits.head, limits.fields, limits.body))
    assert isinstance(refusal, Refusal)
    return refusal


def test_there_is_a_preset_for_every_fault_of_the_table() -> None:
    refusals = [refusal_of(case) for group in PRESETS for case in group.cases if case.status]
    shown = {gist(refusal.status, refusal.rule, refusal.reason) for refusal in refusals}
    faults = {gist(fault.status, fault.rule, fault.reason) for group in FAULTS for fault in group.faults}
    # A head of more than the lab sends.
    assert faults - shown == {(431, "RFC 6585 §5", "The head is longer than … bytes.")}
    assert shown <= faults


@pytest.fixture(scope="module")
def presets() -> Any:
    with watched() as console:
        yield console


def test_presets_are_told_as_they_are(presets: Watched) -> None:
    told = presets.json("/api/presets")
    assert [group["rule"] for group in told] == [group.rule for group in PRESETS]
    assert [case["bytes"] for case in told[0]["cases"]] == [case.text for case in PRESETS[0].cases]


# ---- what may be asked


@pytest.mark.parametrize(
    "asked",
    [
        None, [], "x", {}, {"bytes": ""}, {"bytes": 5}, {"bytes": "\u0100"}, {"bytes": "x" * 16_385},
        {"bytes": "x" * 2_049, "mode": "every-cut"}, {"bytes": "x", "mode": "other"}, {"bytes": "x", "mode": []},
        {"bytes": "x", "cuts": 5}, {"bytes": "x", "cuts": [True]}, {"bytes": "x", "cuts": [-1]},
        {"bytes": "x", "seed": "1"},
        {"bytes": "x", "slow": 5}, {"bytes": "x", "slow": {"read": 0, "pause_ms": 5}},
        {"bytes": "x", "slow": {"read": 5}}, {"bytes": "x", "slow": {"read": 5, "pause_ms": 60_000}},
        {"bytes": "x", "ends": "leaves"}, {"bytes": "x", "ends": "leaves", "after": 0},
        {"bytes": "x", "ends": "leaves", "after": "1"}, {"bytes": "x", "ends": "sleeps"}, {"bytes": "x", "ends": []},
    ],
)  # fmt: skip
def test_what_is_no_experiment_is_told(asked: Any) -> None:
    with pytest.raises(HTTPError) as raised:
        read_experiment(asked)
    assert raised.value.status == 400
    assert raised.value.detail


def test_cuts_outside_are_none() -> None:
    assert read_experiment({"bytes": "abc", "cuts": [0, 1, 1, 9]}).cuttings() == [[b"a", b"bc"]]
    assert read_experiment({"bytes": "a", "mode": "every-cut"}).cuttings() == []
    assert read_experiment({"bytes": "a", "mode": "random"}).cuttings() == [[b"a"]]


def test_what_is_not_json_is_told(presets: Watched) -> None:
    assert presets.ask("/api/lab", b"{", X_Console_Token=presets.token)[0] == 400
    assert presets.ask("/api/lab", b"[" * 100_000, X_Console_Token=presets.token)[0] == 400


def test_a_byte_alone_has_no_cut(presets: Watched) -> None:
    result = make(presets, bytes="G", mode="every-cut")
    assert (result["squares"], result["equal"]) == ([], True)
    assert len(result["connections"]) == 1


def test_a_conversation_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE", 0.2)
    with watched() as console:
        result = make(console, bytes=GET, slow={"read": 1, "pause_ms": 1_000})
        assert result["done"] is True
