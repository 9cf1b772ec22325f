"""`httpd forms`: what came in by the site's forms, read, exported, deleted; and what was sent on of it.

It works beside a server that runs, on the same database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from ..command_parser import CommandParser
from ..config.option import Wrong
from ..config.settings import Settings
from ..config.sources import read_sources
from ..inbox import deliveries, moments, showing, submissions
from ..inbox.keeping import remove_files
from ..inbox.opening import open_inbox
from ..inbox.records import Record, records
from ..inbox.submissions import Wanted
from ..net import report
from ..store.database import Database
from ..store.errors import Unavailable
from .export import export

__all__ = ["main"]

# How many are listed where nobody says how many.
_LISTED = 50
# How many are deleted in one transaction: the server writes, too.
_DELETED = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 done, 1 it could not be done, 2 wrong options, 130 interrupted."""
    options = _parser().parse_args(argv)
    # What the database reports beside what it raises would be said twice.
    report.configure("critical")
    try:
        with contextlib.closing(_opened(options)) as database:
            options.action(database, options)
            sys.stdout.flush()
        return 0
    except Wrong as wrong:
        return _complain(str(wrong), wrong.status)
    except (Unavailable, OSError) as why:
        if isinstance(why, BrokenPipeError):
            # Whoever read it has had enough.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return _complain(_of_system(why), 1)
    except KeyboardInterrupt:
        return 130


def _complain(sentence: str, status: int) -> int:
    print("httpd forms:", sentence, file=sys.stderr)
    return status


def _of_system(why: Exception) -> str:
    if not isinstance(why, OSError):
        return str(why)
    return f"{why.filename}: {why.strerror}" if why.filename else str(why.strerror or why)


def _opened(options: argparse.Namespace) -> Database:
    """The inbox that the server has, if it is told so in the same way.  Raises Wrong."""
    try:
        return open_inbox(options.inbox or _settings().inbox, create=False)
    except ValueError as why:
        raise Wrong(f"{why}; name the server's inbox with --inbox") from None


def _settings() -> Settings:
    """What the server is told by all but its own command line.  Raises Wrong for what cannot be understood."""
    sources = read_sources([], os.environ)
    for wrong in sources.wrong:
        # What only does nothing beside other options, or against them, may be right beside those that are not here.
        if wrong.status == 2:
            raise wrong
    return sources.settings


# ---- what is written


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="httpd forms", description="Read what came in by the site's forms.")
    # Before or after the action; a default in both would hide what was said before it.
    for_all = CommandParser(add_help=False)
    said = f"the server's inbox (default: {Settings.inbox.default}, or {Settings.inbox.variable})"
    for_all.add_argument("--inbox", metavar="URL", default=argparse.SUPPRESS, help=said)
    parser.add_argument("--inbox", metavar="URL", default="", help=said)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=CommandParser)

    def action(name: str, run: Callable[[Database, argparse.Namespace], None], told: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=told, description=told, parents=[for_all])
        made.set_defaults(action=run)
        return made

    listing = action("list", _list, "the newest submissions, a line each; * is unread")
    _add_wanted(listing)
    listing.add_argument("--limit", type=_count, default=_LISTED, metavar="N", help=f"how many (default: {_LISTED})")
    show = action("show", _show, "one submission, all of it")
    show.add_argument("id", metavar="ID")
    show.add_argument("--files", metavar="DIR", help="save its files in a folder, under names of ours")
    exports = action("export", _export, "submissions as a table or as JSON lines, the oldest first")
    _add_wanted(exports)
    exports.add_argument("--format", choices=["csv", "jsonl"], help="default: as --output is called, or csv")
    exports.add_argument("--output", metavar="FILE", help="where to (default: standard output)")
    mark = action("mark", _mark, "mark submissions as read")
    mark.add_argument("ids", nargs="+", metavar="ID")
    mark.add_argument("--unread", action="store_true", help="as unread instead")
    delete = action("delete", _delete, "delete submissions, with their files and what is still to be sent on of them")
    delete.add_argument("ids", nargs="*", metavar="ID")
    delete.add_argument("--older-than", type=_age, metavar="AGE", help="all that are older, such as 90d")
    delete.add_argument("--form", default="", metavar="PATH", help="only those of this form")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    sent = action("deliveries", _deliveries, "what is still to be sent on, and what could not be")
    sent.add_argument("--all", action="store_true", help="and what has arrived")
    retry = action("retry", _retry, "send on at once what could not be, or is to be tried again later")
    retry.add_argument("ids", nargs="*", metavar="ID", help="submissions or deliveries (default: what was given up)")
    return parser


def _add_wanted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", default="", metavar="PATH", help="only those of this form, such as /contact")
    parser.add_argument("--since", metavar="TIME", help="from then on: 2026-01-31, 2026-01-31T18:00 or an age: 7d")
    parser.add_argument("--until", metavar="TIME", help="until then; a date counts with all of its day")
    parser.add_argument("--unread", action="store_true", help="only those that nobody has read")
    parser.add_argument("--text", default="", metavar="WORDS", help="only those that say so")


def _count(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")


def _age(text: str) -> int:
    try:
        return moments.age(text)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None


def _wanted(options: argparse.Namespace) -> Wanted:
    now = _now()
    try:
        return Wanted(
            form=options.form,
            text=options.text,
            seen=False if options.unread else None,
            since=None if options.since is None else moments.beginning(options.since, now),
            until=None if options.until is None else moments.end(options.until, now),
        )
    except ValueError as why:
        raise Wrong(str(why), status=2) from None


def _now() -> int:
    return int(time.time() * 1_000_000)


# ---- reading


def _list(database: Database, options: argparse.Namespace) -> None:
    wanted = _wanted(options)

    def work(transaction: Any) -> tuple[list[submissions.Totals], list[Record]]:
        found = submissions.page(transaction, wanted, limit=options.limit)
        return submissions.totals(transaction, wanted), list(records(transaction, found))

    totals, found = database.read(work)
    for record in found:
        _say(showing.record_line(record, _width()))
    every = sum(form.submissions for form in totals)
    if every > len(found):
        _tell(f"the newest {len(found)} of {every}; --limit {every} lists them all")
    for line in showing.totals_lines(totals):
        _tell(line)
    if not totals:
        _tell("nothing is there")


def _show(database: Database, options: argparse.Namespace) -> None:
    record, sent = database.read(lambda transaction: _whole(transaction, options.id))
    for line in showing.record_lines(record, sent):
        _say(line)
    if options.files is not None:
        for place in _saved(database, record, options.files):
            _tell(f"saved {place}")


def _whole(transaction: Any, identity: str) -> tuple[Record, list[deliveries.Delivery]]:
    found = submissions.find(transaction, identity)
    if found is None:
        raise Wrong(f"there is no submission {identity}; httpd forms list names them")
    return next(records(transaction, [found])), list(deliveries.deliveries(transaction, identity))


def _saved(database: Database, record: Record, folder: str) -> Iterator[str]:
    """Save the files of a submission; where each is now.  Of their own names only a plain suffix is left."""
    os.makedirs(folder, exist_ok=True)
    for file in record.files:
        suffix = os.path.splitext(file.name)[1]
        plain = suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 10 else ""
        place = os.path.join(folder, f"{record.submission.id}-{file.number}{plain.lower()}")
        try:
            database.read(partial(_save, record.submission.id, file.number, place))
        except FileExistsError:
            raise Wrong(f"{place} is there already; name another folder") from None
        yield place


def _save(identity: str, number: int, place: str, transaction: Any) -> None:
    with open(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as out:
        try:
            out.writelines(submissions.pieces(transaction, identity, number))
            out.flush()
        except BaseException:
            # Half a file looks like a whole one.
            os.unlink(place)
            raise


def _export(database: Database, options: argparse.Namespace) -> None:
    kind = options.format or ("jsonl" if (options.output or "").endswith((".jsonl", ".ndjson")) else "csv")
    export(database, _wanted(options), kind, options.output)


# ---- changing


def _mark(database: Database, options: argparse.Namespace) -> None:
    database.read(lambda transaction: [_whole(transaction, identity) for identity in options.ids])
    database.write(lambda transaction: submissions.mark_seen(transaction, options.ids, not options.unread))


def _delete(database: Database, options: argparse.Namespace) -> None:
    if bool(options.ids) == (options.older_than is not None):
        raise Wrong("say what to delete: either ids, or --older-than AGE", status=2)
    if options.ids and options.form:
        raise Wrong("--form goes with --older-than; an id is of one form anyway", status=2)
    ids = database.read(lambda transaction: _named(transaction, options))
    if ids and not options.yes:
        _ask(f"Delete {len(ids)} submission{'s' * (len(ids) != 1)} for good?")
    for start in range(0, len(ids), _DELETED):
        some = ids[start : start + _DELETED]
        database.write(partial(_forget, ids=some))
        # In steps: a server that shares the database waits for no more.
        remove_files(database, some)
    _tell(f"deleted {len(ids)}")


def _named(transaction: Any, options: argparse.Namespace) -> list[str]:
    if options.ids:
        return [_whole(transaction, identity)[0].submission.id for identity in dict.fromkeys(options.ids)]
    wanted = Wanted(form=options.form, until=_now() - options.older_than)
    return [submission.id for submission in submissions.each(transaction, wanted)]


def _forget(transaction: Any, ids: Iterable[str]) -> None:
    deliveries.forget(transaction, ids)
    submissions.delete(transaction, ids)


def _ask(question: str) -> None:
    """Go on only if the answer is yes.  Raises Wrong."""
    if not sys.stdin.isatty():
        raise Wrong("nobody can be asked here; --yes deletes without asking", status=2)
    print(question, "[y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Wrong("nothing was deleted")


def _deliveries(database: Database, options: argparse.Namespace) -> None:
    def work(transaction: Any) -> int:
        count = 0
        for delivery in deliveries.deliveries(transaction, undelivered=not options.all):
            _say(f"{delivery.submission}  {showing.delivery_line(delivery)}")
            count += 1
        return count

    if not database.read(work):
        _tell("nothing was sent on" if options.all else "nothing waits, and nothing was given up")


def _retry(database: Database, options: argparse.Namespace) -> None:
    count = database.write(lambda transaction: deliveries.retry(transaction, options.ids or None, _now()))
    if options.ids and not count:
        raise Wrong("there is nothing to send on of these; httpd forms deliveries lists what there is")
    _tell(f"{count} to be sent on at once, if a server runs")


# ---- the terminal


def _width() -> int | None:
    """How long a line may be; a pipe takes all of it."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None
    except OSError:
        return None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _tell(line: str) -> None:
    """What is beside the point of the output goes elsewhere."""
    print(line, file=sys.stderr)
