"""What other servers make of the rows that this one is held to: `python -m tests.comparison [SERVER …]`.

Each is started as its manual's first page says for a folder with listings, is asked every row of `static_rows`, and
gets a column of the table that is printed; one that is not installed is left out.  `--wrong` prints each wrong answer.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import h11

from .benchmark.peers import PEERS, Peer, Place, free_port, lighttpd, nginx, program, started
from .static_rows import ROWS, Known, Row, ask, check, known, make_site

__all__ = ["INSTALLED", "SERVERS", "judge", "table", "title"]

Verdicts = dict[Row, list[str]]


def _nginx(place: Place) -> list[str]:
    return nginx(place, "autoindex on; gzip_static on; gzip_vary on;")


def _lighttpd(place: Place) -> list[str]:
    kinds = 'include_shell "/usr/share/lighttpd/create-mime.conf.pl"'
    return lighttpd(place, kinds + '\ndir-listing.activate = "enable"')


def _program(name: str, *arguments: str) -> Callable[[Place], list[str]]:
    """The command of a program that takes everything as arguments, in which {folder} and {port} are filled in."""

    def command(place: Place) -> list[str]:
        return [program(name) or name, *(text.format(folder=place.folder, port=place.port) for text in arguments)]

    return command


_CADDY = ("file-server", "--browse", "--root", "{folder}", "--listen", "127.0.0.1:{port}")

SERVERS = {
    peer.name: peer
    for peer in (
        PEERS["httpd"],
        PEERS["http.server"],
        Peer("nginx", _nginx),
        Peer("lighttpd", _lighttpd),
        Peer("caddy", _program("caddy", *_CADDY)),
        Peer("serve", _program("serve", "--listen", "tcp://127.0.0.1:{port}", "{folder}")),
        Peer("busybox", _program("busybox", "httpd", "-f", "-p", "127.0.0.1:{port}", "-h", "{folder}")),
    )
}


# The programs that are not Python's, and the argument to which each answers with its version.
INSTALLED = {"nginx": "-v", "lighttpd": "-v", "caddy": "version", "serve": "--version", "busybox": "--help"}


def title(name: str) -> str:
    """The server's name and version; the name alone where it is this one, or is not installed."""
    if name == "http.server":
        return f"{name} {platform.python_version()}"
    found = program(name)
    if name not in INSTALLED or not found:
        return name
    told = subprocess.run([found, INSTALLED[name]], capture_output=True, text=True, timeout=20)
    version = re.search(r"\d+(?:\.\d+)+", told.stdout + told.stderr)
    return f"{name} {version[0]}" if version else name


def judge(peer: Peer, folder: Path) -> Verdicts:
    """What is wrong with each row's answer; an empty list where it is right."""
    port = free_port()
    with started(peer, Place(make_site(folder), port, folder / "scratch")):
        return {row: _judge(port, row) for row in ROWS}


def _judge(port: int, row: Row) -> list[str]:
    try:
        return check(row, ask(port, row, _known(port, row)))
    except (h11.RemoteProtocolError, OSError, ValueError, AssertionError) as error:
        return [f"{type(error).__name__}: {error}"]


def _known(port: int, row: Row) -> Known:
    return known(port, row.target) if any("{" in line for line in row.fields) else Known()


def table(verdicts: dict[str, Verdicts]) -> str:
    """A table in Markdown: of each group of rows, how many each server gets right."""
    groups = {group: [row for row in ROWS if row.group == group] for group in dict.fromkeys(row.group for row in ROWS)}
    lines = [["rows", *map(title, verdicts)], ["---"] * (1 + len(verdicts))]
    for group, rows in {**groups, "all": ROWS}.items():
        right = [str(sum(not found[row] for row in rows)) for found in verdicts.values()]
        lines.append([f"{group}: {len(rows)}", *right])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m tests.comparison", description=__doc__)
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"of {', '.join(SERVERS)} (default: all)")
    parser.add_argument("--wrong", action="store_true", help="print each wrong answer, too")
    options = parser.parse_args()
    verdicts = {}
    for name in options.servers or SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                verdicts[name] = judge(SERVERS[name], Path(folder))
            except FileNotFoundError:
                print(f"{name} is not installed")
                continue
        for row, faults in verdicts[name].items():
            if faults and options.wrong:
                print(f"{name}: {row}: {'; '.join(faults)}")
    print(table(verdicts))


if __name__ == "__main__":
    main()
