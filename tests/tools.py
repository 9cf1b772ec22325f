"""What a test needs from outside, and what is to happen where it is missing.

On a reader's machine a test whose tool is missing is skipped, with the reason.  In CI (the environment says `CI`)
`.ci/run` has installed everything, so there a missing tool is a failure.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["TOP", "in_ci", "interpreters", "missing", "needs", "needs_module", "open_descriptors", "python_path"]

TOP = Path(__file__).resolve().parent.parent

# Where Debian keeps programs that are not on every user's PATH.
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def python_path() -> str:
    """PYTHONPATH for a program that a test starts: the checkout, and where this process finds its packages."""
    return os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")]))


def open_descriptors() -> int:
    """How many descriptors this process has open, once what others have left to the garbage collection is closed."""
    gc.collect()
    return len(os.listdir("/dev/fd"))


def in_ci() -> bool:
    """Whether this run is one that must not skip."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def missing(what: str) -> NoReturn:
    """End the test: skipped here, failed in CI."""
    if in_ci():
        pytest.fail(f"{what} is missing, and in CI nothing may be", pytrace=False)
    pytest.skip(f"{what} is missing")


def needs(program: str) -> str:
    """The path of a program.  The test ends here where there is none."""
    path = shutil.which(program) or shutil.which(program, path=os.pathsep.join(_SYSTEM_FOLDERS))
    return path or missing(program)


def needs_module(name: str) -> None:
    """End the test where a Python package is not installed."""
    if importlib.util.find_spec(name) is None:
        missing(f"the Python package {name}")


def interpreters(*versions: str) -> dict[str, str]:
    """The Pythons that are installed and really run, by release: `{"3.12.1": "/usr/bin/python3.12"}`.

    A version as `3.12` may be there in several releases, and the releases of one version differ.  A name on the PATH
    is no proof: version managers put shims there for what they do not have.
    """
    found: dict[str, str] = {}
    for version in versions:
        for candidate in _candidates(version):
            release, path = _started(candidate)
            if release.startswith(f"{version}."):
                found.setdefault(release, path)
    return found


def _started(candidate: str) -> tuple[str, str]:
    """The release and the path that the executable itself reports; empty where it does not start."""
    report = "import platform, sys; print(platform.python_version(), sys.executable)"
    try:
        answer = subprocess.run([candidate, "-c", report], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", ""
    release, _, path = answer.stdout.strip().partition(" ")
    return release, path


def _candidates(version: str) -> Iterator[str]:
    """Where such an interpreter may be."""
    if path := shutil.which(f"python{version}"):
        yield path
    for managed in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"), reverse=True):
        yield str(managed)
    for folder in ("/usr/bin", "/usr/local/bin"):
        yield f"{folder}/python{version}"
