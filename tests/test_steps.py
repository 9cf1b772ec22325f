"""The server grown in six steps: each runs, what is said to break it does, and the next one mends it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .tools import TOP

STEPS = sorted((TOP / "examples" / "steps").glob("[0-9]_*.py"))
BREAK = TOP / "examples" / "steps" / "break.py"


def load() -> ModuleType:
    """break.py as a module: its name is a word of the language."""
    spec = importlib.util.spec_from_file_location("breaking", BREAK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


breaking = load()


def test_there_are_six_and_each_fits_on_a_page() -> None:
    assert [path.name[0] for path in STEPS] == ["1", "2", "3", "4", "5", "6"]
    assert [path.name for path in STEPS if len(path.read_text(encoding="utf-8").splitlines()) > 60] == []


def test_the_last_one_has_five_lines_of_code() -> None:
    _, _, code = STEPS[-1].read_text(encoding="utf-8").rpartition('"""')
    assert len(code.split("\n")) - code.split("\n").count("") == 5


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_each_says_how_it_runs_and_what_breaks_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert f"\npython examples/steps/{path.name} [FOLDER [PORT]]\n" in text
    assert f"\nSee it: python examples/steps/break.py {path.name[0]}\n" in text


@pytest.mark.programs
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_each_serves_a_file(step: int) -> None:
    with breaking.running(step) as server, server.connect() as client:
        client.sendall(breaking.GET_TIDE)
        head, _, content = breaking.read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\r\nContent-Type: text/plain" in head
    assert content == breaking.PAGE


@pytest.mark.programs
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_none_serves_what_is_outside_its_folder(step: int) -> None:
    with breaking.running(step) as server, server.connect() as client:
        client.sendall(b"GET /../../../etc/passwd HTTP/1.0\r\n\r\n")
        assert re.match(rb"HTTP/1\.0 40[04] ", breaking.read_all(client))


@pytest.mark.programs
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_what_is_said_to_break_a_step_breaks_it(number: int) -> None:
    assert breaking.attempt(number, number)


@pytest.mark.programs
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_the_next_one_mends_it(number: int) -> None:
    assert not breaking.attempt(number, number + 1)


@pytest.mark.programs
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_nothing_of_it_breaks_the_last(number: int) -> None:
    assert not breaking.attempt(number, 6)


def test_the_readme_names_what_is_there() -> None:
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Learn with it\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    assert section
    assert len(section[1].strip().splitlines()) <= 15
    named = re.findall(r"^    (?:python|httpd show) (\S+)", section[1], re.MULTILINE)
    assert len(named) == 4
    assert all((TOP / path).exists() for path in named)
    lines = len(STEPS[0].read_text(encoding="utf-8").splitlines())
    assert f"a server in {lines} lines" in section[1]


@pytest.mark.programs
def test_the_command_shows_both() -> None:
    ran = subprocess.run([sys.executable, BREAK, "1"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "1. A request in two pieces, cut within its target."
    assert re.match(r"  1_one_recv\.py +BREAKS ", lines[1])
    assert re.match(r"  2_blank_line\.py +holds ", lines[2])


@pytest.mark.programs
@pytest.mark.parametrize("wanted", [[], ["0"], ["7"], ["one"], ["1", "2"]])
def test_it_says_what_it_takes(wanted: list[str]) -> None:
    ran = subprocess.run([sys.executable, BREAK, *wanted], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr == "say which step to break: python examples/steps/break.py 1 (to 6)\n"
