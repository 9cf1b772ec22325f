"""The benchmark: that it starts on a bare Python, what its figures come to, and a short run of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .benchmark import __main__ as command
from .benchmark import footprint
from .benchmark.measure import Run
from .benchmark.peers import PEERS, Place
from .benchmark.report import rows_of, table, verdict
from .benchmark.workloads import WORKLOADS
from .tools import TOP, needs, python_path


def runs(workload: str, **costs: list[float]) -> list[Run]:
    """A run a round of each server; its requests a second are what its cost leaves of a second."""
    return [
        Run(name.replace("_", " "), workload, number, 1_000, 1e6 / cost, cost, 0)
        for name, rounds in costs.items()
        for number, cost in enumerate(rounds)
    ]


def test_ratios_are_those_of_a_round() -> None:
    [ours, nginx, other] = rows_of(runs("1k", httpd=[20, 60], nginx=[25, 50], waitress=[200, 300]), "nginx")
    assert ours.costs == [0.8, 1.2]
    assert nginx.to_ours == [1.25, 50 / 60]
    assert other.to_ours == [10, 5]
    assert other.cells()[-2:] == ("7.50", "")


@pytest.mark.parametrize(
    ("workload", "reference", "costs", "said"),
    [
        ("1k", "nginx", {"httpd": [20], "nginx": [20]}, "goal: CPU at most 1 × nginx's; it is 1.00: reached"),
        ("browser", "nginx", {"httpd": [25], "nginx": [20]}, "goal: CPU at most 1.2 × nginx's; it is 1.25: missed"),
        (
            "page",
            "Flask on gunicorn",
            {"httpd_page": [20], "Flask_on_gunicorn": [80]},
            "goal: requests/s at least 3 × Flask on gunicorn's; it is 4.00: reached",
        ),
        ("1k", "nginx", {"httpd": [20]}, ""),
        ("1k", "nginx", {"nginx": [20]}, ""),
    ],
)
def test_a_goal_is_reached_or_missed(workload: str, reference: str, costs: dict[str, list[float]], said: str) -> None:
    mine = runs(workload, **costs)
    assert verdict(WORKLOADS[workload], rows_of(mine, reference), reference).strip() == said
    assert table(WORKLOADS[workload], mine, reference).count("\n") == 2 + len(costs) + bool(said)


def test_a_server_that_cannot_do_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(server: Any, workload: Any, number: int, seconds: float) -> Run:
        if server.peer.name == "http.server":
            raise RuntimeError("http.server, pipelined:\nit closed")
        return Run(server.peer.name, "pipelined", number, 1_000, 1_000, 1, 0)

    monkeypatch.setattr(command, "run", run)
    servers: list[Any] = [SimpleNamespace(peer=SimpleNamespace(name=name)) for name in ("nginx", "http.server")]
    made = command._rounds(servers, WORKLOADS["pipelined"], 2, 1)
    assert [(one.peer, one.round) for one in made] == [("nginx", 0), ("nginx", 1)]
    assert capsys.readouterr().out == "\nleft out: http.server, pipelined:\nit closed\n"
    assert command._rounds(servers[1:], WORKLOADS["pipelined"], 2, 1) == []


def test_the_start_is_timed_under_other_pythons_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = replace(PEERS["httpd"], name="httpd on 3.13", python="python3.13")
    seconds = {"httpd": 0.04, other.name: 0.06, "http.server": 0.05}
    monkeypatch.setattr(footprint, "_time_to_answer", lambda peer, place: seconds[peer.name])
    rows = dict(footprint.start([PEERS["httpd"], other], Place(tmp_path, 0, tmp_path), quick=True))
    assert rows == {"httpd": "40 ms, 0.80 of http.server", other.name: "60 ms, 1.20 of http.server"}


@pytest.mark.programs
def test_it_starts_on_a_python_without_any_package() -> None:
    code = f"import sys; sys.path.insert(0, {str(TOP)!r}); sys.argv = ['benchmark', '--help']; import runpy; "
    code += "runpy.run_module('tests.benchmark', run_name='__main__')"
    told = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "--quick" in told.stdout


@pytest.mark.slow
@pytest.mark.tools
def test_a_short_run(tmp_path: Path) -> None:
    needs("wrk")
    needs("nginx")
    results, page = tmp_path / "runs.json", tmp_path / "page.html"
    options = ["--quick", "--workloads", "1k,memory", "--peers", "httpd,nginx", "--json", results, "--html", page]
    told = subprocess.run(
        [sys.executable, "-m", "tests.benchmark", *options],
        cwd=TOP,
        env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(tmp_path), "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    assert "goal: CPU at most 1 × nginx's; it is" in told.stdout
    figures = json.loads(results.read_text())
    assert [(run["peer"], run["bad"], run["requests"] > 100) for run in figures["runs"]] == [
        ("httpd", 0, True),
        ("nginx", 0, True),
    ]
    assert figures["footprint"]["memory"].keys() == {"httpd", "nginx"}
    assert "goal: CPU at most 1" in page.read_text()


@pytest.mark.slow
@pytest.mark.tools
def test_two_workers_are_set_against_one() -> None:
    needs("wrk")
    command = [sys.executable, "-m", "tests.benchmark.workers", "--rounds", "1", "--seconds", "1"]
    told = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    one, two, ratio, _ = told.stdout.splitlines()
    for line, number in ((one, 1), (two, 2)):
        said = re.fullmatch(
            rf"{number} workers: +(\d+) requests/s; the server had (\d\.\d\d) processors, wrk (\d\.\d\d)", line
        )
        assert said, line
        rate, server, wrk = map(float, said.groups())
        assert rate > 0
        # No more than there is; what is told of a second is not exact to the tick.
        assert 0 < server < number + 0.2
        assert 0 < wrk < 1.2
    assert re.fullmatch(r"two workers to one, in the same round: [\d.]+ \([\d.]+ to [\d.]+\)", ratio)


@pytest.mark.slow
def test_each_curve_is_measured_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "tests.benchmark.curves", "--quick", "--html", page]
    told = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr
    measured = re.findall(r"^([a-z ]+): microseconds of processor ", told.stdout, re.MULTILINE)
    assert measured == [
        "a head that is new",
        "a remembered file",
        "a listing",
        "requests on a connection",
        "requests on a traced connection",
        "one busy connection among idle ones",
    ]
    assert page.read_text().count("<svg") == len(measured)
