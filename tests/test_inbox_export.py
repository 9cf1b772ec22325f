"""Submissions as a table and as JSON lines, and what becomes of hostile text in them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.inbox.export import Columns, as_csv, as_json_lines
from httpd.inbox.moments import moment
from httpd.inbox.plain import cell, plain, plain_line
from httpd.inbox.records import Record
from httpd.inbox.submissions import StoredFile, Submission


def submission(*fields: tuple[str, str], files: Sequence[StoredFile] = (), **more: Any) -> Record:
    about = Submission("01", "/contact", 0, "192.0.2.1", "token", list(fields))
    return Record(about._replace(**more), files)


def table(*submissions: Record) -> list[dict[str, str]]:
    written = b"".join(as_csv(Columns(submissions), submissions))
    assert written.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline=""), strict=True))


def test_a_moment_is_utc_with_nothing_left_out() -> None:
    assert moment(1_700_000_000_000_001) == "2023-11-14T22:13:20.000001Z"


def test_a_row_a_submission_and_a_column_a_name() -> None:
    one = submission(("name", "Ada"), ("message", 'two\r\nlines, "quoted"'))
    two = submission(("name", "Bo"), ("city", "Köln"), id="02", seen=True)
    first, second = table(one, two)
    assert first == {
        "id": "01", "form": "/contact", "received": "1970-01-01T00:00:00.000000Z", "address": "192.0.2.1",
        "read": "no", "name": "Ada", "message": 'two\nlines, "quoted"', "city": "",
    }  # fmt: skip
    assert (second["id"], second["read"], second["message"], second["city"]) == ("02", "yes", "", "Köln")


def test_lines_end_as_the_standard_has_it_and_every_cell_is_quoted() -> None:
    lines = list(as_csv(Columns([submission(("a", "1"))]), [submission(("a", "1"))]))
    assert lines[0] == b'\xef\xbb\xbf"id","form","received","address","read","a"\r\n'
    assert lines[1].endswith(b'"no","1"\r\n')


def test_names_that_repeat_have_further_columns() -> None:
    [row] = table(submission(("colour", "red"), ("size", "L"), ("colour", "blue"), ("colour 2", "not it")))
    assert (row["colour"], row["colour 2"], row["colour 3"], row["size"]) == ("red", "not it", "blue", "L")


def test_a_field_with_a_name_of_ours_has_a_column_of_its_own() -> None:
    [row] = table(submission(("id", "forged"), ("read", "yes")))
    assert (row["id"], row["id 2"], row["read"], row["read 2"]) == ("01", "forged", "no", "yes")


def test_files_are_named_with_their_size() -> None:
    files = StoredFile("01", 0, "cv", "me.pdf", "application/pdf", 12), StoredFile("01", 1, "cv", "", "", 0)
    [row] = table(submission(files=files))
    assert (row["cv"], row["cv 2"]) == ("me.pdf (12 bytes)", "unnamed (0 bytes)")


def test_a_name_that_came_later_is_left_out_of_the_table() -> None:
    """Columns are made before: what is stored between the two passes must not shift a cell."""
    columns = Columns([submission(("a", "1"))])
    assert columns.row(submission(("late", "x"), ("a", "2"), ("a", "3")))[5:] == ["2"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", r"\r=1"),
        (" =1", "' =1"),
        ('"=1', "'\"=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("a, =1", "a,' =1"),
        ("a\n=1", "a\n'=1"),
        ("a\t-1", "a\t'-1"),
        ("a|@x", "a|'@x"),
        ("a=b+c-d@e", "a=b+c-d@e"),
        ("\x1b]0;=x\x07", r"\x1b]0;'=x\x07"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, safe: str) -> None:
    assert cell(text) == safe


@given(st.text())
def test_no_cell_begins_a_formula_wherever_it_is_cut(text: str) -> None:
    for part in re.split(r"[,;|\n]", cell(text)):
        assert not part.lstrip(" \"\xa0").startswith(("=", "+", "-", "@", "\t", "\r"))
    row = Columns([submission(("a", text))]).row(submission(("a", text)))
    assert len(row) == 6


def test_json_lines_lose_nothing() -> None:
    odd = [("a", "=1"), ("b", "\x00\x1b[2J\u2028\r\n"), ("a", "zwei\ud800"), ("", "ü")]
    file = StoredFile("01", 0, "cv", "\u202egpj.exe", "text/plain", 3)
    one = submission(*odd, files=(file,), received=1_700_000_000_123_456)
    [line] = as_json_lines([one])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    read = json.loads(line)
    assert [tuple(pair) for pair in read["fields"]] == odd
    assert read["files"] == [{"number": 0, "field": "cv", "name": "\u202egpj.exe", "type": "text/plain", "size": 3}]
    assert (read["received"], read["read"]) == ("2023-11-14T22:13:20.123456Z", False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\U000e0041", r"a\U000e0041"),
        ("\ud800", r"\ud800"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("over\rwritten\x08", r"over\rwritten\x08"),
        ("Ä 漢 👩‍👧", "Ä 漢 👩‍👧"),
    ],
)
def test_a_terminal_obeys_none_of_it(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_line_stays_one() -> None:
    assert plain_line("one\r\ntwo\tthree") == r"one\ntwo\tthree"


@given(st.text(st.characters()))
def test_what_is_shown_can_always_be_encoded_and_holds_no_control(text: str) -> None:
    shown = plain_line(text)
    assert shown.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)
    shown.encode("utf-8")
