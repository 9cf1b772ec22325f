"""The same Flask application under waitress, gunicorn (gthread) and here.

    python -m tests.benchmark.wsgi

One page of a table, on kept connections; every server is one process with its usual threads and an access log.  They
take turns within each round; what is compared is the ratio within a round, and waitress is the measure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from .measure import Run, run
from .peers import PEERS, Place, Running, free_port, python_with_peers, started
from .workloads import Workload, needed

__all__ = ["main"]

_OURS, _MEASURE = "Flask on httpd", "Flask on waitress"
NAMES = _OURS, _MEASURE, "Flask on gunicorn"
CLIENTS = (1, 8, 64)
# The least that our requests a second are to be of waitress's.
GOAL = 1.0


def _workload(clients: int) -> Workload:
    def command(running: Running, seconds: float) -> list[str]:
        return [needed("wrk"), "-t1", f"-c{clients}", f"-d{round(seconds)}s", f"{running.url}/page"]

    return Workload(f"page, {clients}", f"{clients} at once", command, GOAL, "page")


def _one(name: str, python: str, clients: int, number: int, seconds: float) -> Run:
    with tempfile.TemporaryDirectory(prefix="httpd-wsgi-") as folder:
        scratch = Path(folder, "scratch")
        scratch.mkdir()
        with started(PEERS[name], Place(Path(folder), free_port(), scratch, python)) as running:
            # gunicorn listens before it has anybody who answers; and the first answers are everybody's slowest.
            for _ in range(20):
                urlopen(f"{running.url}/page", timeout=60).close()
            return run(running, _workload(clients), number, seconds)


def _ratio(runs: list[Run], others: list[Run]) -> float:
    return median(one.rate / other.rate for one, other in zip(runs, others, strict=True))


def main() -> None:
    """Measure, print a table, and end with 1 where waitress is faster."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.wsgi", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    python, good = python_with_peers(None, [PEERS[name] for name in NAMES]), True
    print("| clients | server | requests/s | µs of processor each | requests/s, of waitress's |\n" + "| --- " * 5 + "|")
    for clients in CLIENTS:
        runs: defaultdict[str, list[Run]] = defaultdict(list)
        for number in range(options.rounds):
            for name in NAMES:
                runs[name].append(_one(name, python, clients, number, options.seconds))
        for name, mine in runs.items():
            assert name != _OURS or not any(each.bad for each in mine), "answers that were none"
            rate, cpu = median(each.rate for each in mine), median(each.cpu for each in mine)
            ratio = _ratio(mine, runs[_MEASURE])
            print(f"| {clients} | {name} | {rate:,.0f} | {cpu:,.0f} | {ratio:.2f} |", flush=True)
        good = good and _ratio(runs[_OURS], runs[_MEASURE]) >= GOAL
    sys.exit(not good)


if __name__ == "__main__":
    main()
