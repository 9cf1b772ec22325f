"""The packages that only a part of the server takes: what is said of them is what can be installed."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib

from httpd.compress import _PACKAGES
from httpd.packages import needs

from .test_architecture import modules
from .tools import TOP

_EXTRAS = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
# Those that a user may want; the others are for who works on the project.
_OFFERED = _EXTRAS.keys() - {"test", "benchmark", "fuzz", "mutation"}
OFFERED = {re.split("[<>=]", need)[0] for name in _OFFERED for need in _EXTRAS[name]}


def test_the_sentence() -> None:
    assert needs("--auth", "bcrypt") == "--auth needs the package bcrypt: pip install bcrypt"
    assert needs("It", "psycopg[pool]") == "It needs the package psycopg: pip install 'psycopg[pool]'"


def test_what_is_said_to_be_missing_is_what_the_extras_bring() -> None:
    named = {
        node.args[1].value
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needs"
        if isinstance(node.args[1], ast.Constant)
    }
    assert named | {*_PACKAGES.values()} == OFFERED


def test_what_the_readme_has_installed_is_there() -> None:
    """Packages of the extras, or this checkout with one of them: the project itself is on no index."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    spoken = re.findall(r"`pip install ([^`]+)`", readme)
    spoken += re.findall(r"^    pip install (.+?)(?: &&.*)?$", readme, re.MULTILINE)
    words = {word for line in spoken for word in shlex.split(line)} - {"-e", "."}
    checkouts = {word for word in words if word.startswith(".[")}
    assert words - checkouts <= OFFERED
    assert {extra for word in checkouts for extra in word[2:-1].split(",")} <= _EXTRAS.keys()
    assert len(spoken) > 8
