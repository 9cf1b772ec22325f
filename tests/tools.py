"""What a test needs from outside, and what is to happen where it is missing.

On a reader's machine a test whose tool is missing is skipped, with the reason.  In CI (the environment says `CI`)
`.ci/run` has installed everything, so there a missing tool is a failure.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["TOP", "in_ci", "missing", "needs", "needs_module", "open_descriptors", "python_path"]

TOP = Path(__file__).resolve().parent.parent

# Where Debian keeps programs that are not on every user's PATH.
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def python_path() -> str:
    """PYTHONPATH for a program that a test starts: the checkout, and where this process finds its packages."""
    return os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")]))


def open_descriptors() -> int:
    """How many descriptors this process has open, once what others have left to the garbage collection is closed."""
    # What is closed in one collection may leave something to the next.
    for _ in range(10):
        if not gc.collect():
            break
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
