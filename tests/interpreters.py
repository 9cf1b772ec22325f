"""The other Pythons of this machine, for the tests, the benchmark and CI; it needs nothing but the standard library."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

__all__ = ["interpreters"]


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
