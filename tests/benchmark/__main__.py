"""`python -m tests.benchmark`: start the servers, let them take turns, print what each cost."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from .footprint import FOOTPRINT
from .measure import Run, machine, run
from .peers import PEERS, REFERENCES, Peer, Place, Running, free_port, python_with_peers, started, under_other_pythons
from .report import table
from .workloads import WORKLOADS, Workload, lay_out


def main() -> None:
    options = _options()
    peers = [*(PEERS[name] for name in options.peers), *under_other_pythons(options.pythons)]
    place = Place(options.folder / "www", 0, options.folder, python_with_peers(options.venv, peers))
    runs: list[Run] = []
    footprint: dict[str, dict[str, str]] = {}
    told = _introduction(peers, place.python)
    print(*told, sep="\n  ")
    try:
        lay_out(place.folder)
        speed = [WORKLOADS[name] for name in options.workloads if name in WORKLOADS]
        if speed:
            runs = _speed(peers, place, speed, options.rounds, options.seconds)
        for name in options.workloads:
            if name in FOOTPRINT:
                files = [peer for peer in peers if peer.kind == "files"]
                footprint[name] = _footprint(name, files, place, options.quick)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
        if options.json:
            figures = {"runs": [one.as_dict() for one in runs], "footprint": footprint}
            options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        if options.html:
            # Its templates need a package.
            from .page import write_page

            write_page(options.html, told, runs, footprint)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    every = [*WORKLOADS, *FOOTPRINT]
    parser.add_argument("--peers", type=_list_of(PEERS), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--workloads", type=_list_of(every), default=every, help=", ".join(every))
    parser.add_argument("--rounds", type=int, help="5 unless told")
    parser.add_argument("--seconds", type=float, help="of each run; 3 unless told")
    parser.add_argument("--quick", action="store_true", help="1 round of 1 second")
    parser.add_argument("--pythons", type=lambda text: text.split(","), default=[], help="also on these, such as 3.13")
    parser.add_argument("--json", type=Path, help="also write every run there")
    parser.add_argument("--html", type=Path, help="also write a page with tables and plots there")
    parser.add_argument("--venv", type=Path, help="a venv with the Python peers, and what this server needs")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.folder = Path(tempfile.mkdtemp(prefix="httpd-benchmark-"))
    return options


def _list_of(known: object) -> object:
    """A parser for names with commas between."""

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:  # type: ignore[operator]
                raise argparse.ArgumentTypeError(f"no {name!r} among {', '.join(known)}")  # type: ignore[call-overload]
        return chosen

    return names


def _introduction(peers: list[Peer], python: str) -> list[str]:
    return [machine(), *(f"{peer.name}: {peer.version(python)}" for peer in peers)]


def _speed(peers: list[Peer], place: Place, workloads: list[Workload], rounds: int, seconds: float) -> list[Run]:
    """All servers of a kind stay up; each workload goes round them, beginning with another one each time."""
    runs: list[Run] = []
    for kind, reference in REFERENCES.items():
        asked = [workload for workload in workloads if workload.kind == kind]
        with ExitStack() as stack:
            servers = [
                stack.enter_context(started(one, _at(place, one))) for one in peers if asked and one.kind == kind
            ]
            for workload in asked if servers else ():
                mine = _rounds(servers, workload, rounds, seconds)
                print(table(workload, mine, reference), flush=True)
                runs += mine
    return runs


def _rounds(servers: list[Running], workload: Workload, rounds: int, seconds: float) -> list[Run]:
    servers = [server for server in servers if _can(server, workload)]
    runs = []
    for number in range(rounds if servers else 0):
        first = number % len(servers)
        runs += [run(server, workload, number, seconds) for server in servers[first:] + servers[:first]]
    order = [server.peer.name for server in servers]
    return sorted(runs, key=lambda one: (order.index(one.peer), one.round))


def _can(server: Running, workload: Workload) -> bool:
    """Whether the server does it at all, which warms it up; http.server, say, keeps no connection."""
    try:
        run(server, workload, -1, 1)
    except RuntimeError as why:
        print(f"\nleft out: {why}")
        return False
    return True


def _at(place: Place, peer: Peer) -> Place:
    return replace(place, port=free_port(), scratch=place.scratch / peer.name.replace(" ", "-"))


def _footprint(name: str, peers: list[Peer], place: Place, quick: bool) -> dict[str, str]:
    measured = FOOTPRINT[name]
    print(f"\n{(measured.__doc__ or name).splitlines()[0]}")
    rows = {}
    for label, figure in measured(peers, place, quick):
        print(f"  {label:12} {figure}", flush=True)
        rows[label] = figure
    return rows


if __name__ == "__main__":
    main()
