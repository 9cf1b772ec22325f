"""One run of a workload against a peer: requests a second, and the server's own processor time for a request."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from .peers import Running
from .workloads import Workload

_CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_TICK = os.sysconf("SC_CLK_TCK")

_REQUESTS = re.compile(r"(\d+) requests in|Complete requests:\s+(\d+)")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)|Requests per second:\s+([\d.]+)")
# wrk counts answers other than 2xx and 3xx, ab other than 2xx; wrk's read errors are connections that a server closed.
_BAD = re.compile(r"(?:Non-2xx or 3xx responses|Non-2xx responses|Failed requests):\s+(\d+)|(?:connect|timeout) (\d+)")


@dataclass(frozen=True)
class Run:
    """What one run gave.  `cpu` is in microseconds a request; `bad` counts answers that were none."""

    peer: str
    workload: str
    round: int
    requests: int
    rate: float
    cpu: float
    bad: int

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def machine() -> str:
    """What it is measured on."""
    told = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if _CONGESTION.exists():
        # With BBR a server that is slow in sending leaves its packets to timers, which are nobody's processor time.
        told += f", TCP congestion control {_CONGESTION.read_text().strip()}"
    return told


def processor_time(running: Running) -> float:
    """Seconds of processor, user and system, that the peer's processes have used so far."""
    ticks = 0
    for pid in running.pids():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def resident(running: Running) -> int:
    """Bytes of the peer's processes in memory."""
    status = (Path(f"/proc/{pid}/status").read_text() for pid in running.pids())
    return 1024 * sum(int(found[1]) for text in status if (found := re.search(r"VmRSS:\s+(\d+)", text)))


def run(running: Running, workload: Workload, number: int, seconds: float) -> Run:
    """Ask the peer for that long, and count."""
    command = workload.command(running, seconds)
    before = processor_time(running)
    answer = subprocess.run(command, capture_output=True, text=True, preexec_fn=_other_cores, check=False)
    used = processor_time(running) - before
    done = int(_sum(_REQUESTS, answer.stdout))
    if not done:
        raise RuntimeError(f"{running.peer.name}, {workload.name}:\n{answer.stdout}{answer.stderr}")
    rate, bad = _sum(_RATE, answer.stdout), int(_sum(_BAD, answer.stdout))
    return Run(running.peer.name, workload.name, number, done, rate, 1e6 * used / done, bad)


def _sum(pattern: re.Pattern[str], output: str) -> float:
    """The sum of all numbers that the pattern finds."""
    return sum(float(number) for found in pattern.findall(output) for number in found if number)


def _other_cores() -> None:
    """The first core is the servers'."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {min(cores)} or cores)
