"""The plan of the house, held by reading its imports: who may know whom, and what stands where.

The table below is the picture; a module that breaks it fails here, with its line.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from .tools import TOP

PACKAGE = TOP / "httpd"
TOP_LEVEL = {"pyproject.toml", "README.md", "httpd", "static", "templates", "tests", "examples"}

# A room → the rooms (or single modules) of the house that it may import besides itself.  "" is the package's own
# level.  A name that ends in a module narrows the permission to that module.
ROOMS: dict[str, set[str]] = {
    "net": set(),
    "protocol": set(),
    "site": {"protocol", "net.producers", "net.report", "resources", "packages"},
    "server": {"net", "protocol", "site", "resources", "nearest"},
    "inbox": {"protocol", "site", "store", "resources", "nearest", "net.producers", "net.report", "net.wake"},
    "trace": {"net", "protocol", "site", "server", "resources", "command_parser"},
    "reload": {"net", "protocol", "site", "server", "resources"},
    "tour": {"protocol", "site", "server", "resources"},
    "store": {"protocol", "net.report", "packages"},
    "passwords": {"protocol", "site"},
    "wsgi": {"protocol", "site", "net.producers", "net.report"},
    "sessions": {"protocol", "site", "store", "net.producers"},
    "seeing": {"net", "protocol", "site", "server", "resources", ""},
    "processes": {"net", "server"},
    "resources": set(),
    "compress": {"site", "packages", "command_parser"},
    "command_parser": {"nearest"},
    "certificates": {"net.report", "packages"},
    "browser": set(),
    "nearest": set(),
    "packages": set(),
    "config": {"site", "server", "nearest"},
    "cli": {
        "net", "protocol", "site", "server", "config", "trace", "reload", "inbox", "wsgi", "passwords", "store",
        "resources", "certificates", "browser", "seeing", "processes", "nearest", "packages", "command_parser",
        "tour", "",
    },
    "__main__": {"cli"},
    "public": {"net", "protocol", "site", "server"},
    "": {"public"},
}  # fmt: skip
CORE = ("net", "protocol", "site", "server")


@dataclass(frozen=True)
class Module:
    """One module: its dotted name below `httpd` ("" for the package itself), its file and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def public(self) -> bool:
        last = self.name.rpartition(".")[2]
        return not last.startswith("_")

    def __str__(self) -> str:
        return str(self.path.relative_to(TOP))


@cache
def modules() -> dict[str, Module]:
    """Every module of the house by its dotted name; a package goes by the name of its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """(line, module of the house) for each import in it, those inside functions included."""
    is_package = module.path.name == "__init__.py"
    package = [part for part in module.name.split(".") if part]
    if not is_package:
        package = package[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "httpd":
                    yield node.lineno, alias.name.removeprefix("httpd").removeprefix(".")
        elif isinstance(node, ast.ImportFrom):
            base = _imported_from(node, package)
            if base is not None:
                for alias in node.names:
                    inner = ".".join([*base, alias.name])
                    yield node.lineno, inner if inner in modules() else ".".join(base)


def _imported_from(node: ast.ImportFrom, package: list[str]) -> list[str] | None:
    """The module below `httpd` that a `from … import` names, or None where it is not of the house."""
    named = node.module.split(".") if node.module else []
    if node.level:
        return package[: len(package) - (node.level - 1)] + named
    return named[1:] if named[:1] == ["httpd"] else None


def _allowed(importer: Module, imported: str) -> bool:
    room = imported.partition(".")[0]
    if room == importer.room and room in modules() and room:
        return True
    return room in ROOMS[importer.room] or imported in ROOMS[importer.room]


def test_every_room_is_in_the_table() -> None:
    unknown = {str(module) for module in modules().values() if module.room not in ROOMS}
    assert not unknown, "a new room needs its line in ROOMS"


def test_nobody_imports_against_the_picture() -> None:
    wrong = [
        f"{module}:{line} imports httpd.{imported}"
        for module in modules().values()
        for line, imported in imports(module)
        if not _allowed(module, imported)
    ]
    assert not wrong


@pytest.mark.parametrize("room", ["trace", "reload", "inbox", "wsgi", "passwords", "seeing", "tour"])
def test_only_the_command_imports_the_room_of_a_capability(room: str) -> None:
    assert {importer for importer, allowed in ROOMS.items() if room in allowed} == {"cli"}


def test_there_is_no_circle() -> None:
    graph = {name: {to for _, to in imports(module)} - {name} for name, module in modules().items()}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            pytest.fail("a circle: " + " → ".join([*way[way.index(name) :], name]))
        if name not in done:
            for to in sorted(graph.get(name, ())):
                walk(to, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


@pytest.mark.parametrize("room", ["net", "protocol"])
def test_the_lower_rooms_know_nothing_of_the_others(room: str) -> None:
    assert ROOMS[room] == set()


def test_protocol_has_no_socket_no_clock_and_no_disk() -> None:
    """But for the one file that a handler asks for, by a path of its own: `File.save`."""
    wrong = [
        f"{module}:{node.lineno} has {name}"  # type: ignore[attr-defined]
        for module in modules().values()
        if module.room == "protocol"
        for node in ast.walk(module.tree)
        for name in _impure(node)
    ]
    assert [re.sub(r":\d+", "", line) for line in wrong] == ["httpd/protocol/files.py has open"]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import os", ["os"]),
        ("from time import monotonic", ["time.monotonic"]),
        ("import time\ntime.time()", ["time.time"]),
        ("datetime.now(UTC)", ["datetime.now"]),
        ("open('x')", ["open"]),
        ("import time\ntime.gmtime(0)", []),
        ("file.open()\nself.time", []),
    ],
)
def test_a_socket_a_clock_and_a_disk_are_seen(code: str, what: list[str]) -> None:
    assert [name for node in ast.walk(ast.parse(code)) for name in _impure(node)] == what


# What tells the time of day, or opens what a path names.
_CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "sleep"}
_IMPURE = {*(f"time.{name}" for name in _CLOCKS), "datetime.now", "datetime.today", "open", "io.open"}
_OUTSIDE = {"asyncio", "os", "pathlib", "select", "selectors", "socket", "ssl", "tempfile", "threading"}


def _impure(node: ast.AST) -> Iterator[str]:
    """What a node brings in, or calls, that is not of bytes and values alone."""
    yield from (name for name in _outside(node) if name in _OUTSIDE)
    if isinstance(node, ast.ImportFrom) and node.module == "time":
        yield from (f"time.{alias.name}" for alias in node.names if alias.name in _CLOCKS)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in _IMPURE:
        yield ast.unparse(node.func)


def _outside(node: ast.AST) -> list[str]:
    """The top-level names of the modules that an import brings from outside the house."""
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module.split(".")[0]]
    return []


def test_no_pattern_repeats_a_group_possessively() -> None:
    """The first releases of Python 3.11, which Debian 12 has, match too much there: `5,` for `5(?:,5)*+`."""
    possessive = re.compile(r"\)(?:[*+?]|\{[0-9,]+\}+)\+|\(\?>")
    wrong = [
        f"{module}:{node.lineno} {node.value}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and possessive.search(node.value)
    ]
    assert [line for line in wrong if not line.endswith(" !$&'()*+,;=")] == []


@pytest.mark.programs
def test_the_top_level_is_fixed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: the files at hand are not only ours")
    names = {path.split("/")[0] for path in listed.stdout.split("\0") if path}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_every_module_says_what_it_is_and_what_it_offers() -> None:
    silent = [str(module) for module in modules().values() if not ast.get_docstring(module.tree)]
    assert not silent, "without a docstring"
    unlisted = [
        str(module)
        for module in modules().values()
        if module.public and _definitions(module.tree) and not _assigns(module.tree, "__all__")
    ]
    assert not unlisted, "without __all__"


def test_every_public_name_has_a_docstring() -> None:
    said = {
        name.rpartition(".")[2]
        for module in modules().values()
        for name, node in _public(module.tree)
        if _says(node) or ast.unparse(node.body[-1]) == "..."
    }
    silent = [
        f"{module}:{node.lineno} {name}"
        for module in modules().values()
        if module.public
        for name, node in _public(module.tree)
        if not _says(node) and not _speaks_for_itself(node) and not ("." in name and name.rpartition(".")[2] in said)
    ]
    assert not silent, "a method needs none where another class, or a protocol, says what a method of that name is for"


def test_all_names_exist() -> None:
    """Each name in `__all__` is one that the module binds."""
    wrong = []
    for module in modules().values():
        offered = _assigns(module.tree, "__all__")
        if isinstance(offered, (ast.List, ast.Tuple)):
            names = {element.value for element in offered.elts if isinstance(element, ast.Constant)}
            wrong += [f"{module} offers {name}" for name in sorted(names - _bound(module.tree), key=str)]
    assert not wrong


def _definitions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """(name, node) of each public function and class, and of the public methods of those classes."""
    for node in _definitions(tree):
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def _says(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return ast.get_docstring(node) is not None


def _speaks_for_itself(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A property or an overload, a method of a protocol that its class explains, or a body of a line or two."""
    if isinstance(node, ast.ClassDef):
        return False
    return bool(node.decorator_list) or (node.body[-1].end_lineno or 0) - node.body[0].lineno < 3


def _assigns(tree: ast.Module, name: str) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node.value
    return None


def _bound(tree: ast.Module) -> set[str]:
    """Every name that the module binds at its own level."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return bound


def test_sizes_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """No limit, a report: judgement decides.  `pytest -k sizes` shows it."""
    lengths = sorted(
        ((node.end_lineno or 0) - node.lineno + 1, f"{module}:{node.lineno} {node.name}")
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    lines = {str(module): len(module.path.read_text(encoding="utf-8").splitlines()) for module in modules().values()}
    core = sum(lines[str(module)] for module in modules().values() if module.room in CORE)
    with capsys.disabled():
        print(f"\nfunctions: {len(lengths)}, median {median(length for length, _ in lengths):g} lines; longest:")
        print("\n".join(f"  {length:4} {where}" for length, where in lengths[-5:]))
        print(f"the core has {core} lines; modules over 300:")
        print("\n".join(f"  {count:4} {name}" for name, count in lines.items() if count > 300) or "  none")


def _python(code: str) -> str:
    """What a fresh interpreter prints."""
    answer = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.mark.programs
@pytest.mark.parametrize("module", ["httpd", "httpd.cli"])
def test_what_is_slow_to_import_waits_until_it_is_needed(module: str) -> None:
    slow = "jinja2", "multipart", "asyncio", "email", "http.client", "sqlite3", "ssl"
    code = f"import sys, {module}; print(*(name for name in {slow} if name in sys.modules))"
    assert _python(code) == ""


@pytest.mark.programs
def test_binding_an_address_looks_nothing_up() -> None:
    code = """
import socket, sys
def refuse(*args): raise AssertionError(f"a name was looked up: {args}")
socket.getaddrinfo = refuse
for name in ("gethostbyname", "gethostbyaddr", "getfqdn", "gethostname", "getnameinfo"):
    setattr(socket, name, refuse)
from httpd import Router, Server
server = Server(Router(), port=0, access_log="off")
server.start()
print("bound")
"""
    assert _python(code) == "bound"
