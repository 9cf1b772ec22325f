"""`httpd replay FILE`: a recorded connection played again, as it was or with its bytes cut elsewhere.

Played as it was, it must give the same trace; cut elsewhere, the same messages and the same answers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..command_parser import CommandParser
from ..net import report
from ..server.service import Site
from ..site.static import StaticFiles
from .events import Trace
from .laws import Broken, check
from .ndjson import NotATrace
from .replay import Played, check_cuts, cut, every_cut, inbound, one_by_one, replay
from .sentences import counted
from .show import json_of, read_or_explain, written_for_a_reader
from .terminal import Screen, widths_for

__all__ = ["main"]

# How often the progress bar moves, in seconds.
_MOVES = 0.1
# How many of the cuts that differ are told of one by one.
_MOST_TOLD = 10


class Cut(NamedTuple):
    """A cutting that was tried: its places, and the laws that it breaks."""

    places: list[int]
    broken: list[Broken]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 all is as it was, 1 it is not, 2 nothing could be played."""
    options = _parser().parse_args(argv)
    # What the channel logs of a recorded failure is no news.
    report.configure("critical")
    trace = read_or_explain(options.file, "httpd replay")
    if trace is None:
        return 2
    try:
        site = None if options.dir is None else StaticFiles(options.dir)
        return written_for_a_reader(lambda: _run(trace, site, options))
    except NotATrace as why:
        print(f"httpd replay: {options.file} cannot be played: {why}", file=sys.stderr)
    except OSError as why:
        print(f"httpd replay: cannot serve {options.dir}: {why.strerror or why}", file=sys.stderr)
    return 2


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="httpd replay",
        description="Play a recorded connection again; without more, with the bytes cut as they were.",
    )
    parser.add_argument("file", metavar="FILE", help="a trace, as httpd --trace=FOLDER writes them")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--cut", type=_place, nargs="+", metavar="N", help="cut before these bytes of what was received")
    how.add_argument("--one-byte", action="store_true", help="give each byte by itself")
    how.add_argument("--every-cut", action="store_true", help="cut at one place after the other, at each that there is")
    parser.add_argument(
        "--dir", metavar="DIR", help="let this folder answer; without it, what was answered is answered again"
    )
    parser.add_argument("--json", action="store_true", help="objects, one a line, for a program")
    return parser


def _place(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 1 << 40:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no place to cut: give the number of a byte, from 1 on")


def _run(trace: Trace, site: Site | None, options: argparse.Namespace) -> int:
    data = inbound(trace.events)
    if options.every_cut:
        return _try_every_cut(trace, site, options.json)
    if options.cut or options.one_byte:
        places = list(range(1, len(data))) if options.one_byte else sorted(set(options.cut))
        if places and places[-1] >= len(data):
            print(f"httpd replay: only {counted(len(data))} came; cut before one of them", file=sys.stderr)
            return 2
        pieces = one_by_one(data) if options.one_byte else cut(data, places)
        [(played, broken)] = check_cuts(trace, [pieces], site)
        return _show(played, broken, options.json)
    played, broken = replay(trace, site)
    return _show(played, check(played.events) + broken, options.json)


def _show(played: Played, broken: list[Broken], as_json: bool) -> int:
    if as_json:
        for event in played.events:
            _print(json_of(event))
        _print(_verdict(broken))
        return 1 if broken else 0
    screen = Screen(widths=widths_for(played.events))
    screen.heading("played again")
    for event in played.events:
        screen.event(event)
    screen.laws(broken, len(played.events))
    return 1 if broken else 0


def _verdict(broken: list[Broken]) -> dict[str, Any]:
    return {"broken": [one._asdict() for one in broken]}


def _print(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


# ---- every cut


def _try_every_cut(trace: Trace, site: Site | None, as_json: bool) -> int:
    places = [place for place, _ in every_cut(inbound(trace.events))]
    cuttings = (pieces for _, pieces in every_cut(inbound(trace.events)))
    tried = []
    with _Progress(len(places)) as progress:
        for place, (_, broken) in zip(places, check_cuts(trace, cuttings, site), strict=True):
            tried.append(Cut([place], broken))
            progress.moved()
    if as_json:
        for one in tried:
            _print({"cut": one.places[0], **_verdict(one.broken)})
    else:
        _summary(tried, len(inbound(trace.events)))
    return 1 if any(one.broken for one in tried) else 0


def _summary(tried: Sequence[Cut], length: int) -> None:
    screen = Screen()
    screen.squares([not one.broken for one in tried])
    different = [one for one in tried if one.broken]
    what = f"{counted(length)} cut at each of {counted(len(tried), 'place')}"
    if not different:
        screen.verdict(f"{what}: the same messages, the same answers.", holds=True)
    else:
        screen.verdict(f"{what}: {counted(len(different), 'cut')} made a difference.", holds=False)
    for one in different[:_MOST_TOLD]:
        screen.verdict(f"before byte {one.places[0]}: {one.broken[0]}", holds=False)
    if len(different) > _MOST_TOLD:
        screen.verdict(f"and {counted(len(different) - _MOST_TOLD, 'other')}", holds=False)


class _Progress:
    """A bar on standard error, if that is a terminal, which goes when all is done."""

    def __init__(self, steps: int) -> None:
        self._screen = Screen(sys.stderr)
        self._steps = steps
        self._done = 0
        self._shown_at = 0.0

    def __enter__(self) -> _Progress:
        return self

    def moved(self) -> None:
        """One step more is done."""
        self._done += 1
        now = time.monotonic()
        if self._screen.is_terminal and now - self._shown_at >= _MOVES:
            self._shown_at = now
            self._screen.bar(self._done, self._steps)

    def __exit__(self, *how: object) -> None:
        if self._shown_at:
            self._screen.clear_bar()
