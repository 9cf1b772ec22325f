"""The first minutes of somebody who has Python and pip and nothing else; `-s` prints how long they are.

What runs here has a PATH and an empty home and no other word of this machine.  `HTTPD_PORT` alone is added, for the
port that the README names may be taken.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .shipping import build, empty_venv, run
from .test_readme import serve_command, tour_command
from .tools import TOP, missing, needs

pytestmark = pytest.mark.slow

_SYSTEM = Path("/usr/bin/python3")


@pytest.fixture(params=["the system's", "the one on the PATH"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH on which `python3` is that Python, with pip; a Linux system's own is often closed to pip's installs."""
    python = str(_SYSTEM) if request.param == "the system's" else sys.executable
    probe = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    if not Path(python).exists() or subprocess.run([python, "-c", probe], capture_output=True).returncode:
        missing(f"{python}, 3.11 or newer and with pip,")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(python)
    return f"{tmp_path / 'bin'}:/usr/bin:/bin"


def test_the_first_command_of_the_readme_serves_from_a_fresh_clone(path: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(needs("git"), "clone", "-q", TOP, clone, cwd=tmp_path)
    with _served(["bash", "-c", serve_command()], clone, PATH=path, HOME=_home(tmp_path)) as url:
        _fetch_both(url)
    shown = run("git", "status", "--short", cwd=clone)
    assert shown == "", "it leaves what git would take"


def test_the_tour_of_the_readme_comes_from_a_fresh_clone(path: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(needs("git"), "clone", "-q", TOP, clone, cwd=tmp_path)
    command = f"{tour_command()} --port 0 --console 0"
    with _served(["bash", "-c", command], clone, PATH=path, HOME=_home(tmp_path)) as url:
        for page in ("", "pictures"):
            with urllib.request.urlopen(url + page, timeout=10) as answer:
                assert "Watch this request" in answer.read().decode()


def test_the_wheel_alone_serves_from_an_empty_venv(tmp_path: Path) -> None:
    shutil.copytree(TOP / "examples" / "site", tmp_path / "site")
    (tmp_path / "out").mkdir()
    wheel = build(TOP, tmp_path / "out", "wheel")
    python = empty_venv(sys.executable, tmp_path / "venv")
    command = f"{python} -m pip install -q {wheel} && {python.with_name('httpd')} site"
    with _served(["bash", "-c", command], tmp_path, PATH="/usr/bin:/bin", HOME=_home(tmp_path)) as url:
        _fetch_both(url)


def _home(folder: Path) -> str:
    (folder / "home").mkdir()
    return str(folder / "home")


def _fetch_both(url: str) -> None:
    for path, text in (("", "<h1"), ("log/", "lamp trimmed")):
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            assert text in answer.read().decode()


@contextmanager
def _served(command: list[str], cwd: Path, **env: str) -> Iterator[str]:
    """The address that the command prints in the end; after the block it is interrupted, as at a terminal."""
    began = time.monotonic()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    env = {**env, "HTTPD_PORT": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=cwd, env=env, start_new_session=True, **streams) as process:
        try:
            yield _address(process)
            print(f"\n{time.monotonic() - began:.1f} s from the command to both pages: {' '.join(command[2:])}")
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=30)
    assert process.returncode == 0


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return found[0]
    raise AssertionError("it names no address:\n" + "".join(said))
