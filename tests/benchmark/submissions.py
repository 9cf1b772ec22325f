"""Form submissions kept durably: this server beside Flask on waitress, which does the same insert, synced as ours.

    python -m tests.benchmark.submissions

One client that waits for each answer, and 64 at once.  The servers take turns within each round; what is compared is
the ratio within a round.  Syncs are counted apart, by strace, in a shorter run, as tracing has its price.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from ..tools import needs
from .measure import Run, run
from .peers import APPS, Peer, Place, Running, free_port, started
from .workloads import Workload

__all__ = ["main"]

_LUA = Path(__file__).with_name("submissions.lua")
CLIENTS = (1, 64)
GOAL = 5.0


def _ours(place: Place) -> list[str]:
    settings = place.scratch / "httpd.toml"
    settings.write_text('[forms."/contact"]\nrate = false\n')
    log = str(place.scratch / "access.log")
    options = ["--config", str(settings), "--inbox", f"sqlite:{place.scratch}/inbox.db", "--access-log", log]
    return [place.python, "-m", "httpd", str(place.folder), "--port", str(place.port), *options]


def _flask(place: Place) -> list[str]:
    log = str(place.scratch / "access.log")
    return [place.python, str(APPS), "flask_form", str(place.scratch), str(place.port), log]


PEERS = Peer("httpd", _ours), Peer("Flask on waitress", _flask, ("flask", "waitress"))


def _workload(clients: int) -> Workload:
    def command(running: Running, seconds: float) -> list[str]:
        return [needs("wrk"), "-t1", f"-c{clients}", f"-d{round(seconds)}s", "-s", str(_LUA), running.url]

    return Workload(f"{clients} clients", f"{clients} clients", command, GOAL)


@contextmanager
def _place(peer: Peer) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="httpd-submissions-") as name:
        folder = Path(name, "site")
        folder.mkdir()
        scratch = Path(name, "scratch")
        scratch.mkdir()
        yield Place(folder, free_port(), scratch)


def _one(peer: Peer, clients: int, number: int, seconds: float) -> Run:
    """One run; every submission that was acknowledged is there."""
    with _place(peer) as place:
        with started(peer, place) as running:
            made = run(running, _workload(clients), number, seconds)
        with closing(sqlite3.connect(place.scratch / "inbox.db")) as database:
            [(there,)] = database.execute("SELECT count(*) FROM submissions")
    assert there >= made.requests - made.bad, f"{peer.name}: {made.requests} acknowledged, {there} there"
    return made


def _syncs(peer: Peer, clients: int, seconds: float) -> float:
    """Syncs a submission, as strace counts them."""
    with _place(peer) as place, started(peer, place) as running:
        pid, out = str(running.process.pid), place.scratch / "syncs"
        command = [needs("strace"), "-f", "-c", "-e", "trace=fsync,fdatasync", "-o", str(out), "-p", pid]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as strace:
            made = run(running, _workload(clients), 0, seconds)
            strace.terminate()
        # Of the time in percent and in seconds, the time a call, the calls, perhaps errors, and the name.
        rows = [line.split() for line in out.read_text().splitlines() if line.endswith("sync")]
    return sum(int(row[3]) for row in rows) / made.requests


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.submissions", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    for clients in CLIENTS:
        runs = {peer.name: [] for peer in PEERS}
        for number in range(options.rounds):
            for peer in PEERS:
                runs[peer.name].append(_one(peer, clients, number, options.seconds))
        print(f"{clients} client{'s' * (clients > 1)}")
        for peer in PEERS:
            mine = runs[peer.name]
            rates = ", ".join(f"{each.rate:,.0f}" for each in mine)
            print(
                f"  {peer.name:20} {median(each.rate for each in mine):8,.0f} submissions/s ({rates}), "
                f"{median(each.cpu for each in mine):6.0f} µs of processor each, "
                f"{_syncs(peer, clients, 2):.3f} syncs each, {sum(each.bad for each in mine)} not taken",
                flush=True,
            )
        ours, theirs = (runs[peer.name] for peer in PEERS)
        ratio = median(one.rate / other.rate for one, other in zip(ours, theirs, strict=True))
        print(f"  ratio {ratio:.1f}" + (f", goal {GOAL:g}" if clients > 1 else ""), flush=True)


if __name__ == "__main__":
    main()
