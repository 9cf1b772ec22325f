"""httpd.site.entries: what stands in a folder, and in what order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.forms import parse_query
from httpd.site import entries as module
from httpd.site.entries import Entry, Folder, View, in_order, scan
from httpd.site.root import Root

ENTRIES = st.lists(
    st.builds(
        Entry,
        st.binary(min_size=1, max_size=6),
        st.booleans(),
        st.integers(0, 3),
        st.sampled_from([0.0, 1.5, 2e9]),
    ),
    max_size=60,
)
VIEWS = st.builds(View, st.sampled_from(["name", "size", "date"]), st.booleans(), st.just(""))


def taken(found: object) -> list[Entry]:
    return [entry for entry in found if entry is not None]  # type: ignore[attr-defined]


@given(ENTRIES, VIEWS)
def test_sorting_in_runs_is_sorting(found: list[Entry], view: View) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_RUN", 4)
        patch.setattr(module, "MOST", 1_000)
        mixed = [one for entry in found for one in (None, entry)]
        assert taken(in_order(mixed, view)) == sorted(found, key=view.key, reverse=view.reverse)


@given(ENTRIES, VIEWS)
def test_a_folder_beyond_the_bound_is_sorted_in_parts(found: list[Entry], view: View) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_RUN", 4)
        patch.setattr(module, "MOST", 8)
        parts = [found[at : at + 8] for at in range(0, len(found), 8)]
        expected = [entry for part in parts for entry in sorted(part, key=view.key, reverse=view.reverse)]
        assert taken(in_order(found, view)) == expected


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=5))
def test_numbers_in_names_are_sorted_by_value(numbers: list[int]) -> None:
    found = [Entry(b"a%db" % number, False, 0, 0) for number in numbers]
    assert [entry.raw for entry in taken(in_order(found, View()))] == [b"a%db" % number for number in sorted(numbers)]


def test_zeros_before_a_number_count_for_nothing_but_to_tell_names_apart() -> None:
    names = [b"1", b"01", b"001", b"2", b"10", b"a", b"a0", b"a00", b"a1"]
    found = [Entry(name, False, 0, 0) for name in names]
    assert [entry.raw for entry in taken(in_order(found, View()))] == [
        b"001", b"01", b"1", b"2", b"10", b"a", b"a0", b"a00", b"a1",
    ]  # fmt: skip


def test_accents_and_case_tell_no_names_apart_but_equal_ones() -> None:
    names = ["Zebra", "Ärmel", "arm", "A\u0308rmel", "zebra", "Straße", "strasse 2"]
    found = [Entry(name.encode(), False, 0, 0) for name in names]
    in_line = [entry.name for entry in taken(in_order(found, View()))]
    assert in_line == ["arm", "A\u0308rmel", "Ärmel", "Straße", "strasse 2", "Zebra", "zebra"]
    assert [entry.name for entry in filter(View(wanted="ARMEL").chooser(), found)] == ["Ärmel", "A\u0308rmel"]
    assert [entry.name for entry in filter(View(wanted="ärm").chooser(), found)] == ["Ärmel", "arm", "A\u0308rmel"]


@given(VIEWS, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10))
def test_the_query_of_a_view_asks_for_it(view: View, wanted: str) -> None:
    view = view._replace(wanted=wanted.strip())
    assert View.of(parse_query(view.query)) == view


def test_nobody_waits_for_what_is_left_out(tmp_path: Path) -> None:
    """A folder of hidden names is a step for each of them."""
    for name in (".a", ".b", "back\\slash", "shown"):
        (tmp_path / name).touch()
    found = list(scan(Folder(Root(tmp_path), ()), os.open(tmp_path, os.O_RDONLY)))
    assert [entry.raw for entry in found if entry] == [b"shown"]
    assert len(found) == 4


def test_what_goes_while_it_is_looked_at_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).touch()
    found = scan(Folder(Root(tmp_path), ()), os.open(tmp_path, os.O_RDONLY))
    first = next(found)
    assert first is not None
    for name in "abc":
        (tmp_path / name).unlink()
    assert list(found) == [None, None]
