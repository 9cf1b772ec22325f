"""CPython's own tests, with our modules in the place of those they were written for.

The files are taken from the library of an interpreter that ships them: `test_asyncore` and `test_asynchat` from any
Python 3.11 here, and the tests of CPython that have an asyncore server of their own (ftplib, poplib, smtplib, smtpd,
ssl, logging) from each interpreter.  They run on every Python from 3.11 on that is installed, each in its own process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from .tools import TOP, missing

RUNNER = TOP / "tests" / "cpython_runner.py"
VERSIONS = ("3.11", "3.12", "3.13")
WHERE = (
    "import json, os, sys, sysconfig; "
    "print(json.dumps(['%d.%d' % sys.version_info[:2], os.path.join(sysconfig.get_path('stdlib'), 'test')]))"
)
# The other tests of CPython that run a server of ours: the file, and what the names of those tests hold.
NEIGHBOURS = {
    "test_ftplib": "",
    "test_poplib": "",
    "test_smtplib": "",
    "test_smtpd": "",
    "test_ssl": "asyncore",
    "test_logging": "SMTP",
}


def candidates() -> list[str]:
    """Paths that may be interpreters: the running one, those on PATH, and those under pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [sys.executable, *(shutil.which(f"python{version}") or "" for version in VERSIONS)]
    return [path for path in found if path] + [str(path) for path in sorted(pyenv.glob("versions/*/bin/python3"))]


@cache
def interpreters() -> dict[str, list[tuple[str, Path]]]:
    """version -> the interpreters of it that start, each with the folder where its library keeps CPython's tests."""
    known: dict[str, list[tuple[str, Path]]] = {}
    for path in candidates():
        # -I: neither this project nor a virtual environment's packages may stand in the way.
        answer = subprocess.run([path, "-I", "-c", WHERE], capture_output=True, text=True, check=False, timeout=60)
        if answer.returncode == 0:
            version, folder = json.loads(answer.stdout)
            known.setdefault(version, []).append((path, Path(folder)))
    return known


def shipped(version: str, name: str) -> tuple[str, Path]:
    """An interpreter of that version whose library has the test file of that name, and the file."""
    for path, folder in interpreters().get(version, []):
        if (folder / f"{name}.py").is_file():
            return path, folder / f"{name}.py"
    missing(f"a Python {version} whose library ships {name}.py")


def interpreter(version: str) -> str:
    """An interpreter of that version that has CPython's test support."""
    return shipped(version, "support/__init__")[0]


Outcome = dict[str, object]


def outcome(version: str, name: str, pair: str, folder: Path) -> Outcome:
    """Have a Python of that version run the file against the pair, in the folder; see cpython_runner."""
    if name in NEIGHBOURS:
        python, file = shipped(version, name)
    else:
        python, (_, file) = interpreter(version), shipped("3.11", name)
    command = [python, "-W", "ignore", str(RUNNER), pair, str(file), str(TOP), NEIGHBOURS.get(name, "")]
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: Outcome = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str, str], Outcome]]:
    """`outcome`, each once; all versions run a file beside each other, for most of the time these tests wait."""
    interpreters()
    with ThreadPoolExecutor(len(VERSIONS)) as pool:

        @cache
        def begun(version: str, name: str, pair: str) -> Future[Outcome]:
            return pool.submit(outcome, version, name, pair, tmp_path_factory.mktemp(name))

        def ended(version: str, name: str, pair: str) -> Outcome:
            for each in VERSIONS if pair == "ours" else (version,):
                begun(each, name, pair)
            return begun(version, name, pair).result()

        yield ended


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_asyncore", "test_asynchat"])
@pytest.mark.parametrize("version", VERSIONS)
def test_of_the_modules_themselves(version: str, name: str, outcomes: Callable[[str, str, str], Outcome]) -> None:
    found = outcomes(version, name, "ours")
    assert found["failed"] == {}
    assert found == outcomes("3.11", name, "own")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "name"),
    # smtpd left the library together with asyncore.
    [(version, name) for version in VERSIONS for name in NEIGHBOURS if version == "3.11" or name != "test_smtpd"],
)
def test_of_the_clients_that_talk_to_a_server_of_these_modules(
    version: str, name: str, outcomes: Callable[[str, str, str], Outcome]
) -> None:
    found = outcomes(version, name, "ours")
    assert found["passed"]
    if found["failed"]:
        assert found == outcomes(version, name, "own")
