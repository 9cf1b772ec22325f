"""The project as others get it: its files, the archives that are built of them, a venv with no more than the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .tools import TOP, missing, needs, needs_module

__all__ = ["build", "empty_venv", "project_files", "run", "venv_with"]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What the command prints.  The test fails with that where it exits with an error."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    answer = subprocess.run(list(map(str, command)), cwd=cwd, env={**clean, **env}, **both)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


def build(source: Path, into: Path, kind: str, **env: str) -> Path:
    """The one archive of that kind, "sdist" or "wheel", built from `source` with what is installed here."""
    needs_module("build")
    needs_module("hatchling")
    command = (sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source)
    run(*command, cwd=into.parent, PYTHONPATH=os.pathsep.join(sys.path), **env)
    (archive,) = (path for path in into.iterdir() if path.suffix in (".whl", ".gz"))
    return archive


def empty_venv(python: str, folder: Path) -> Path:
    """The Python of a new venv in which nothing is but what the interpreter itself brings."""
    if subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode:
        missing(f"ensurepip of {python} (Debian: python3-venv)")
    run(python, "-m", "venv", folder, cwd=folder.parent)
    return folder / "bin" / "python"


def venv_with(python: str, folder: Path, *what: str | Path) -> Path:
    """The Python of a new venv with `what` and what that asks for, installed by our own pip: none is put there."""
    run(python, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    made = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", made, "install", "-q", *what, cwd=folder)
    return made


def project_files(folder: str = ".") -> set[str]:
    """The files of the checkout below a folder: what git has, or would take."""
    command = [needs("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder]
    listed = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:
        missing("a git checkout to compare with")
    return {path for path in listed.stdout.split("\0") if path and (TOP / path).is_file()}
