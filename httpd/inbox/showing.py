"""Submissions and deliveries as lines of text, for a terminal.

All that strangers wrote goes through `plain`: a terminal finds nothing in it to obey.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from ..site.entries import readable_size
from .deliveries import Delivery
from .moments import local, moment
from .plain import plain, plain_line
from .records import Record
from .submissions import Totals

__all__ = ["delivery_line", "fitted", "record_line", "record_lines", "totals_lines"]



def record_line(record: Record, width: int | None = None) -> str:
    """A submission in one line of so many columns (None: as long as it is): its id, a mark if nobody has read it, when,
    where, and how it begins."""
    about = record.submission
    written = [" ".join(value.split()) for _, value in about.fields]
    files = len(record.files)
    said = ([f"[{files} file{'s' * (files > 1)}]"] if files else []) + [value for value in written if value]
    line = f"{about.id} {' ' if about.seen else '*'} {local(about.received)}  {about.form}  {' | '.join(said)}"
    return fitted(plain_line(line), width)


def fitted(line: str, width: int | None) -> str:
    """The line cut to so many columns, with a mark that there was more; the wide letters of East Asia take two."""
    if width is None:
        return line
    columns = most = 0
    for place, letter in enumerate(line, 1):
        columns += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if columns < width:
            most = place
        elif columns > width:
            return f"{line[:most]}…"[:width]
    return line


def record_lines(record: Record, deliveries: Iterable[Delivery] = ()) -> Iterator[str]:
    """All of a submission: what is known of it, each field with what was written, its files, what was sent on."""
    about = record.submission
    yield f"id        {about.id}"
    yield f"form      {plain_line(about.form)}"
    yield f"received  {local(about.received)}  ({moment(about.received)})"
    yield f"address   {plain_line(about.address) or 'unknown'}"
    yield f"read      {'yes' if about.seen else 'no'}"
    for name, value in about.fields:
        yield ""
        yield f"{plain_line(name)}:"
        yield from ("    " + line for line in plain(value).split("\n"))
    for file in record.files:
        yield ""
        yield f"{plain_line(file.field)}: file {file.number}"
        yield f"    {plain_line(file.name) or 'unnamed'}, {plain_line(file.media_type)}, {readable_size(file.size)}"
    sent = [delivery_line(delivery) for delivery in deliveries]
    yield from ["", "sent on:", *("    " + line for line in sent)] if sent else []


def delivery_line(delivery: Delivery) -> str:
    """A delivery in one line."""
    tries = f", {delivery.attempts} attempt{'s' * (delivery.attempts != 1)}" if delivery.attempts else ""
    when = delivery.due if delivery.delivered is None else delivery.delivered
    then = "" if when is None else f" {'at' if delivery.delivered else 'next at'} {local(when)}"
    why = f": {delivery.last_error}" if delivery.last_error else ""
    return plain_line(f"{delivery.id} {delivery.state}{then}{tries}  {delivery.kind} {delivery.place}{why}")


def totals_lines(totals: Iterable[Totals]) -> Iterator[str]:
    """How many there are of each form."""
    for form in totals:
        yield plain_line(f"{form.form}: {form.submissions}, {form.unseen} unread, the last {local(form.last)}")
