"""The README, held to what is there: its paths, its names, its Python, its two commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from .options import page
from .test_architecture import ROOMS
from .tools import TOP

README = (TOP / "README.md").read_text(encoding="utf-8")

_PATH = re.compile(r"`((?:httpd|static|templates|tests|examples|\.ci)/[^`\s*<>]*)`")
_NAME = re.compile(r"`([A-Za-z_]\w+)`")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^\d+\. .*(?:\n   .*)*", re.MULTILINE)


def _section(title: str) -> str:
    """The text of a section, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def serve_command() -> str:
    """The line that serves the example site from a fresh checkout."""
    return _commands()[0]


def tour_command() -> str:
    """The line that gives a tour from a fresh checkout: the first one of all."""
    found = re.search(r"^    (python3 .*)$", README, re.MULTILINE)
    assert found
    return found[1]


def _commands() -> list[str]:
    return re.findall(r"^    (python3 .*)$", _section("Two commands"), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(_PATH.findall(README))))
def test_every_path_it_names_is_there(path: str) -> None:
    assert (TOP / path).exists()


@pytest.mark.parametrize("step", _STEP.findall(_section("Read it")))
def test_each_step_of_the_way_names_what_is_in_its_file(step: str) -> None:
    """A step names one file first; the names after it are names in that file."""
    path = _PATH.findall(step)[0]
    text = (TOP / path).read_text(encoding="utf-8")
    assert [name for name in _NAME.findall(step) if name not in text] == []


def test_the_map_shows_every_module() -> None:
    """A module that no reader is sent to is either private, or its package's opening, or the map is old."""
    shown = set(_PATH.findall(_section("Read it")))
    modules = {str(path.relative_to(TOP)) for path in (TOP / "httpd").rglob("*.py") if not path.stem.startswith("_")}
    assert modules - shown == set()


def test_the_rooms_are_those_that_are_held() -> None:
    """A row for each room of the house, and in it what the room may import."""
    rows = re.findall(r"^\| `httpd/(\w+)(?:/|\.py)` \| [^|]+ \| ([^|]+) \|$", _section("Read it"), re.MULTILINE)
    told = {room: {*imports.split(", ")} - {"nothing"} for room, imports in rows}
    held = {room: {name or "httpd" for name in names} for room, names in ROOMS.items()}
    assert told == {room: names for room, names in held.items() if room not in ("", "__main__")}


@pytest.mark.programs
@pytest.mark.parametrize("block", _BLOCK.findall(README))
def test_every_piece_of_python_is_an_example_or_runs(block: str) -> None:
    """A block that opens with `# examples/…` is of that file, word for word but for `...`; another runs by itself."""
    first, _, rest = block.partition("\n")
    if first.startswith("# examples/"):
        text = (TOP / first.removeprefix("# ")).read_text(encoding="utf-8")
        assert [piece for piece in re.split(r"^\.\.\.$", rest, flags=re.MULTILINE) if piece.strip() not in text] == []
    else:
        subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=TOP, check=True, timeout=60)


@pytest.mark.parametrize("block", _TOML.findall(README))
def test_every_piece_of_settings_is_an_example_or_can_be_read(block: str) -> None:
    """As a piece of Python."""
    first, _, rest = block.partition("\n")
    if first.startswith("# examples/"):
        text = (TOP / first.removeprefix("# ")).read_text(encoding="utf-8")
        assert [piece for piece in re.split(r"^\.\.\.$", rest, flags=re.MULTILINE) if piece not in text] == []
    else:
        tomllib.loads(block)


def test_the_table_of_options_is_that_of_the_settings() -> None:
    assert f"<!-- options -->\n{page()}\n<!-- /options -->" in README, "python -m tests.options writes it"


@pytest.mark.programs
def test_the_two_lines_stand_in_for_the_lost_modules() -> None:
    (lines,) = (block for block in _BLOCK.findall(README) if "sys.modules" in block)
    assert len(lines.splitlines()) == 2
    use = "import asynchat, asyncore; asyncore.loop(count=1); print(asynchat.async_chat.__module__)"
    ran = subprocess.run([sys.executable, "-c", lines + use], cwd=TOP, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "httpd.net.asynchat\n", ran.stderr


def test_there_are_two_commands_and_each_is_a_line() -> None:
    serve, test = _commands()
    assert serve.endswith("python3 -m httpd examples/site")
    assert "-m pytest" in test
    for command in (serve, test):
        assert "--target .deps " in command, "a managed Python refuses any other install"


def test_the_first_screen_is_one_and_gives_a_tour() -> None:
    assert tour_command() == serve_command().removesuffix("examples/site") + "tour"
    assert len(README.partition("\n## Read it\n")[0].splitlines()) <= 45


def test_an_index_shows_its_opening() -> None:
    """An index has a text of its own, in pyproject.toml; it begins as this one does."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    opening = project["readme"]["text"].strip().partition("\n\n")[0]
    assert README.split("\n\n")[1] == opening


def test_the_test_command_brings_what_it_uses() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {re.split(r"[>=<]", need)[0] for need in project["optional-dependencies"]["test"]}
    assert {"pytest-xdist", "hypothesis", "h11"} <= brought
    assert "'.[test]'" in _commands()[1]


def test_its_code_is_reached_from_the_first_page() -> None:
    """What a reader looks for has its heading."""
    for heading in ("## Use it", "### Moving an asyncore program to a new Python", "## Read it", "## What it refuses"):
        assert f"\n{heading}\n" in README


def test_each_feature_that_it_claims_leads_to_its_tests() -> None:
    """A cell of ours is "no", or leads to the tests of what it says: as many as it says things."""
    found = re.search(r"<!-- features -->\n(.*?)\n<!-- /features -->", README, re.DOTALL)
    assert found
    _, _, *rows = found[1].splitlines()
    for row in rows:
        feature, ours, *others = [cell.strip() for cell in row.strip("|").split("|")]
        for part in ours.split("; "):
            link = re.fullmatch(r"\[[^]]+\]\((tests/test_\w+\.py)\)", part)
            assert link or part in ("no", "yes"), feature
            assert not link or "\ndef test_" in (TOP / link[1]).read_text(encoding="utf-8"), feature
        assert "](" in ours or set(ours.split("; ")) == {"no"}, f"{feature}: nothing shows it"
        assert len(others) == 7
        assert all(others), feature
