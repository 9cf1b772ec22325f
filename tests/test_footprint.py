"""What the server costs besides its requests, within bounds: memory, a kept connection that is idle, its start.

`python -m tests.benchmark --workloads memory,start,idle` measures the same, beside other servers.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from .benchmark.footprint import held
from .benchmark.peers import free_port
from .kernel import needs_proc, resident, until
from .live import LiveServer
from .tools import missing, python_path

pytestmark = pytest.mark.slow

_IDLE = 2_000


@pytest.fixture
def site(tmp_path: Path) -> Path:
    needs_proc()
    (tmp_path / "1k.html").write_text("a" * 1024)
    return tmp_path


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """A limit under which a server that is started now may have all these connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _IDLE + 100:
        missing(f"a limit that leaves a process {_IDLE + 100} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _IDLE + 100), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _ask(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert len(answer.read()) == 1024


def test_after_its_first_answer_it_holds_25_mebibytes_at_the_most(site: Path) -> None:
    with LiveServer(site, "--access-log", "off") as server:
        _ask(server.url + "1k.html")
        assert resident(server.pid) <= 25 << 20


def test_an_idle_connection_costs_4_kibibytes_at_the_most(site: Path, many_descriptors: None) -> None:
    with LiveServer(site, "--access-log", "off") as server:
        _ask(server.url + "1k.html")
        before = resident(server.pid)
        with held(server.port, _IDLE):
            assert resident(server.pid) - before <= _IDLE * 4096


def test_its_start_costs_about_what_that_of_http_server_does(site: Path) -> None:
    """Processor time from exec to the first answer, in turns: what else the machine does is not counted."""
    ours = "-m", "httpd", str(site), "--access-log", "off", "--port"
    theirs = "-m", "http.server", "--bind", "127.0.0.1", "-d", str(site)
    # The first start compiles.
    _cost_of_start(ours)
    ratios = [_cost_of_start(ours) / _cost_of_start(theirs) for _ in range(9)]
    assert median(ratios) < 1.4, ratios


def _cost_of_start(command: tuple[str, ...]) -> float:
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = python_path()
    process = subprocess.Popen([sys.executable, *command, str(port)], env=env, **quiet)
    try:
        assert until(lambda: _answers(port), 30)
    finally:
        process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
    return used.ru_utime + used.ru_stime


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        _ask(f"http://127.0.0.1:{port}/1k.html")
        return True
    return False
