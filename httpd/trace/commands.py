"""`httpd trace export FILE OUT.html`: a recording as one page; `httpd trace diff A B`: where two recordings part."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..command_parser import CommandParser
from .diff import aligned, compared, first_difference
from .events import Trace
from .show import read_or_explain, written_for_a_reader
from .terminal import Screen

__all__ = ["main"]

# How wide a line may be where nobody says.
_WIDTH = 160


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 done, or no difference; 1 a difference; 2 nothing could be done."""
    options = _parser().parse_args(argv)
    if options.command == "export":
        trace = read_or_explain(options.file, "httpd trace")
        return 2 if trace is None else _export(trace, options.file, options.out)
    one = read_or_explain(options.one, "httpd trace")
    other = one and read_or_explain(options.other, "httpd trace")
    return 2 if one is None or other is None else written_for_a_reader(lambda: _diff(one, other))


def _parser() -> CommandParser:
    parser = CommandParser(prog="httpd trace", description="Work with recordings.")
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="make one page of a recording, with its player; it needs no network")
    export.add_argument("file", metavar="FILE", help="a trace, as httpd --trace=FOLDER writes them")
    export.add_argument("out", metavar="OUT.html", help="the page; - for the standard output")
    diff = commands.add_parser("diff", help="show where two recordings part")
    diff.add_argument("one", metavar="A", help="a trace")
    diff.add_argument("other", metavar="B", help="another, say of the same request cut elsewhere")
    return parser


def _export(trace: Trace, path: str, out: str) -> int:
    # jinja2 is needed for this alone.
    from .player import export

    if not trace.events:
        print("httpd trace: this recording has no events, so there is nothing to play", file=sys.stderr)
        return 2
    page = export(trace).encode()
    if out == "-":
        return written_for_a_reader(lambda: sys.stdout.buffer.write(page) and 0)
    try:
        if os.path.exists(out) and os.path.samefile(path, out):
            print(f"httpd trace: {out} is the recording itself; name another file for the page", file=sys.stderr)
            return 2
        with open(out, "wb") as file:
            file.write(page)
    except OSError as why:
        print(f"httpd trace: cannot write {out}: {why.strerror or why}", file=sys.stderr)
        return 2
    return 0


def _diff(one: Trace, other: Trace) -> int:
    screen = Screen()
    rows = aligned(one, other)
    difference = first_difference(rows)
    if not difference:
        screen.verdict(f"No difference in {len(rows):,} events.", holds=True)
        return 0
    for line in compared(rows, screen.width or _WIDTH):
        screen.write(line)
    screen.verdict(f"They part at {difference.removesuffix('.')}.", holds=False)
    return 1
