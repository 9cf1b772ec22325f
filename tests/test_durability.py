"""A few rounds of tests/durability.py: servers are killed, and nothing acknowledged is lost."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from .durability import kill_and_count
from .live import LiveServer
from .postgres import PostgreSQL
from .test_store_faults import store
from .tools import needs

ROUNDS = 8


@pytest.mark.slow
@pytest.mark.tools
def test_a_server_on_sqlite_is_killed_again_and_again(tmp_path: Path) -> None:
    figures = kill_and_count(f"sqlite:{tmp_path}/inbox.db", ROUNDS, patient=False)
    assert figures.good, f"{figures} {figures.lost} {figures.doubled} {figures.wrong}"


@pytest.mark.slow
@pytest.mark.tools
def test_servers_on_postgresql_and_postgresql_are_killed_again_and_again() -> None:
    with PostgreSQL(durable=True) as server, server.database() as url:
        figures = kill_and_count(url, ROUNDS, postgres=server, patient=False)
    assert figures.good, f"{figures} {figures.lost} {figures.doubled} {figures.wrong}"


@pytest.mark.tools
def test_the_disk_has_it_before_the_client_is_told(tmp_path: Path) -> None:
    """Killing a server loses nothing that the kernel has; a power cut does, unless it was synced."""
    calls = tmp_path / "calls"
    strace = [needs("strace"), "-D", "-f", "-s", "20", "-o", str(calls), "-e", "trace=fsync,fdatasync,recvfrom,sendto"]
    options = "--app", "tests.store_app:site", "--access-log", "off"
    env = {"TEST_STORE": f"sqlite:{tmp_path}/kept.db"}
    with LiveServer(None, *options, command=[*strace, sys.executable, "-m", "httpd"], env=env) as server:
        for token in "abc":
            assert store(server.port, token).body == "kept"
    synced = r"f(?:data)?sync(?:\(\d+\)| resumed>\)) += 0"
    seen = re.findall(rf'"(POST|HTTP/1.0 200)|({synced})', calls.read_text())
    steps = [said or "synced" for said, _ in seen]
    for _ in range(3):
        told = steps.index("HTTP/1.0 200")
        assert "synced" in steps[steps.index("POST") : told], steps
        steps = steps[told + 1 :]
