"""How much more two workers do than one, with wrk on the same machine; what of the processors each had is told.

    python -m tests.benchmark.workers
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from ..live import LiveServer
from ..tools import needs

_TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """One run of wrk: requests a second, and processors (seconds a second) of the server and of wrk."""

    rate: float
    server: float
    load: float


def measure(workers: int, seconds: int) -> Run:
    """Have wrk ask a server with so many workers for a file of 1 KB on 32 kept connections."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_bytes(b"x" * 1024)
        with LiveServer(folder, "--workers", str(workers), "--access-log", "off") as server:
            pids = [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
            before, load = sum(map(_spent, pids)), _spent_by_children()
            command = [needs("wrk"), "-t1", "-c32", f"-d{seconds}", server.url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rate = re.search(r"Requests/sec: *([0-9.]+)", said)
            assert rate, said
            used = (sum(map(_spent, pids)) - before) / seconds
            return Run(float(rate[1]), used, (_spent_by_children() - load) / seconds)


def _spent(pid: int) -> float:
    """The processor time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _spent_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    runs: dict[int, list[Run]] = {1: [], 2: []}
    for _ in range(options.rounds):
        for workers, those in runs.items():
            those.append(measure(workers, options.seconds))
    for workers, those in runs.items():
        rate, server, load = (median(values) for values in zip(*those, strict=True))
        print(f"{workers} workers: {rate:7.0f} requests/s; the server had {server:.2f} processors, wrk {load:.2f}")
    pairs = [two.rate / one.rate for one, two in zip(runs[1], runs[2], strict=True)]
    print(f"two workers to one, in the same round: {median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})")
    each = [median(run.rate / run.server for run in runs[workers]) for workers in (1, 2)]
    print(f"requests for a second of a processor: {each[0]:.0f} with one worker, {each[1]:.0f} with two")
    return 0


if __name__ == "__main__":
    sys.exit(main())
