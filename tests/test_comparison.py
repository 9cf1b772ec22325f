"""The comparison tells right from wrong: this server is right in every row, others are where they are known to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .comparison import INSTALLED, SERVERS, Verdicts, judge, table, title
from .static_rows import ROWS
from .tools import TOP, needs

pytestmark = pytest.mark.programs

# The table that the README shows.
_SHOWN = re.compile(r"<!-- compared -->.*?\n\n(\|.*?)\n<!-- /compared -->", re.DOTALL)


def wrong(verdicts: Verdicts, group: str) -> list[str]:
    return [row.name for row, faults in verdicts.items() if faults and row.group == group]


def test_this_server_has_no_fault(tmp_path: Path) -> None:
    verdicts = judge(SERVERS["httpd"], tmp_path)
    assert {str(row): faults for row, faults in verdicts.items() if faults} == {}
    assert table({"httpd": verdicts}).splitlines()[-1] == f"| all: {len(ROWS)} | {len(ROWS)} |"


def test_one_that_knows_no_ranges_is_seen(tmp_path: Path) -> None:
    verdicts = judge(SERVERS["http.server"], tmp_path)
    assert {"from one byte to another", "several", "nothing of it is there"} <= set(wrong(verdicts, "range"))
    assert {"a dot-file", "a link out of the folder"} <= set(wrong(verdicts, "secret"))
    assert {"text, with its type", "a style"}.isdisjoint(wrong(verdicts, "file"))


@pytest.mark.tools
@pytest.mark.parametrize("name", ["nginx", "lighttpd"])
def test_what_is_right_elsewhere_is_seen(tmp_path: Path, name: str) -> None:
    """A row that asked for our own ways would fail with those who have done it for twenty years."""
    needs(name)
    verdicts = judge(SERVERS[name], tmp_path)
    assert len(wrong(verdicts, "range")) <= 4
    assert wrong(verdicts, "If-Range") == []
    assert len(wrong(verdicts, "condition")) <= 2


@pytest.mark.tools
@pytest.mark.parametrize("name", SERVERS)
def test_the_readme_shows_what_is_so(tmp_path: Path, name: str) -> None:
    """Its column is what the very version that it names gives here; another version may give other answers."""
    if name in INSTALLED:
        needs(name)
    found = _SHOWN.search((TOP / "README.md").read_text(encoding="utf-8"))
    assert found
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    if title(name) not in shown[0]:
        pytest.skip(f"the README is about another version than {title(name)}")
    place = shown[0].index(title(name))
    given = table({name: judge(SERVERS[name], tmp_path)}).splitlines()
    assert [f"| {row[0]} | {row[place]} |" for row in shown] == given
