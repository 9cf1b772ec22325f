"""What is shipped: the sdist and the wheel, and a wheel that works where no checkout is near."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest

from httpd.tour.stops import STOPS

from .interpreters import interpreters
from .live import LiveServer
from .shipping import build, project_files, run, venv_with
from .tools import TOP, missing, needs, needs_module
from .touring import tour

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(TOP, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(TOP, tmp_path_factory.mktemp("wheel"), "wheel")


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _metadata(wheel: Path) -> Message:
    return message_from_bytes(next(data for name, data in _contents(wheel).items() if name.endswith("/METADATA")))


def test_the_wheel_ships_the_package_its_pages_and_its_licence(wheel: Path) -> None:
    names = set(_contents(wheel))
    assert "httpd/py.typed" in names
    for folder, at in (("httpd", "httpd"), ("static", "httpd/static"), ("templates", "httpd/templates")):
        expected = {at + path.removeprefix(folder) for path in project_files(folder)}
        assert expected <= names
    assert {name.split("/")[0] for name in names} == {"httpd", next(n for n in names if "dist-info" in n).split("/")[0]}
    assert any(name.endswith("dist-info/licenses/httpd/LICENSE") for name in names)


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    contents, metadata = _contents(wheel), _metadata(wheel)
    needed = [line.split(";")[0].strip() for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == ["jinja2>=3.1", "multipart<3,>=2.0.1"]
    assert (metadata["Name"], metadata["Requires-Python"]) == ("asynchat-httpd", ">=3.11")
    import httpd

    assert metadata["Version"] == httpd.__version__
    scripts = next(data for name, data in contents.items() if name.endswith("/entry_points.txt"))
    assert b"httpd = httpd.__main__:main" in scripts


def test_the_sdist_is_the_whole_project_and_nothing_else(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()}
    assert names == project_files() | {"PKG-INFO"}


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_who_builds_it_where_and_when_does_not_show(kind: str, tmp_path: Path) -> None:
    """Two copies of other times and permissions, built in other time zones: the same archive, byte by byte."""
    sums = set()
    for zone, mask, when in (("UTC", 0o022, 1_000_000_000), ("Asia/Kolkata", 0o077, 1_500_000_000)):
        source, out = tmp_path / str(when), tmp_path / f"{when}-out"
        _copy(source, mask, when)
        out.mkdir()
        archive = build(source, out, kind, TZ=zone)
        sums.add((archive.name, sha256(archive.read_bytes()).hexdigest()))
    assert len(sums) == 1


def _copy(into: Path, mask: int, when: int) -> None:
    """The project's files, each from that second, with what the mask takes from their permissions."""
    for name in sorted(project_files()):
        copy = into / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(copy.stat().st_mode & ~mask)
            os.utime(copy, (when, when))


def test_what_an_index_shows_of_it_stands_by_itself(wheel: Path) -> None:
    """It has neither our pictures nor our files, so its page leads to neither."""
    shown = str(_metadata(wheel).get_payload()).strip()
    assert "<img" not in shown
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)]*)\)", shown))
    assert "httpd DIR" in shown


def test_the_changelog_begins_with_this_version() -> None:
    import httpd

    changes = (TOP / "httpd" / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == httpd.__version__
    assert "`httpd/CHANGELOG.md`" in (TOP / "README.md").read_text(encoding="utf-8")


def test_a_wheel_built_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(sdist, tmp_path)
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (tmp_path / "out").mkdir()
    again = build(source, tmp_path / "out", "wheel")
    assert _contents(again) == _contents(wheel)


@pytest.fixture(scope="module", params=["3.11", "3.12", "3.13"])
def venv(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty venv with the wheel and what it asks for, and nothing else."""
    python = next(iter(interpreters(request.param).values()), None) or missing(f"Python {request.param}")
    folder = tmp_path_factory.mktemp("venv")
    venv_with(python, folder, wheel)
    return folder


@pytest.fixture(params=["script", "module"])
def installed(request: pytest.FixtureRequest, venv: Path) -> list[str]:
    """The command of the installed wheel, in its two spellings."""
    if request.param == "script":
        return [str(venv / "bin" / "httpd")]
    return [str(venv / "bin" / "python"), "-m", "httpd"]


def test_the_installed_wheel_serves_its_own_pages(installed: list[str], tmp_path: Path) -> None:
    curl = needs("curl")
    (tmp_path / "a file & more.txt").write_text("hello")
    with LiveServer(tmp_path, command=installed, cwd=tmp_path, env={"PYTHONPATH": ""}) as server:
        assert run(curl, "-sf", server.url + "a%20file%20%26%20more.txt", cwd=tmp_path) == "hello"
        listing = run(curl, "-sf", "-H", "Accept: text/html", server.url, cwd=tmp_path)
        assert "a file &amp; more.txt" in listing
        error = run(curl, "-s", "-H", "Accept: text/html", "-w", "%{http_code}", server.url + "none", cwd=tmp_path)
        assert error.endswith("404")
        assert "<html" in error


def test_nothing_else_is_installed_with_it(venv: Path) -> None:
    command = (sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "list", "--format", "json")
    names = {one["name"].lower() for one in json.loads(run(*command, cwd=venv))}
    assert names == {"asynchat-httpd", "jinja2", "markupsafe", "multipart"}


def test_the_tour_runs_from_the_wheel_alone(installed: list[str], tmp_path: Path) -> None:
    with tour(tmp_path, command=installed, PYTHONPATH="") as guide:
        for stop in STOPS:
            assert stop.told in unescape(guide.page(stop.path))
        assert "class StaticFiles" in guide.page("/source/httpd/site/static.py")
        assert guide.ask("/night.webm", Range="bytes=0-9")[0] == 206
        assert guide.ask(guide.console + "/")[0] == 200


def test_the_installed_package_is_the_one_in_the_venv(venv: Path, tmp_path: Path) -> None:
    where = "json.dumps([httpd.__file__, str(resources.folder('templates'))])"
    code = f"import httpd, json; from httpd import resources; print({where})"
    for path in json.loads(run(venv / "bin" / "python", "-c", code, cwd=tmp_path)):
        assert Path(path).is_relative_to(venv)


def test_it_passes_mypy_where_it_is_used(venv: Path, tmp_path: Path) -> None:
    """`py.typed` is of use only if a type checker finds the public names typed."""
    needs_module("mypy")
    (tmp_path / "use.py").write_text("from httpd import Response, Router\nsite: Router = Router()\nr: Response\n")
    options = ("--strict", "--python-executable", venv / "bin" / "python", "--cache-dir", tmp_path / "cache")
    run(sys.executable, "-m", "mypy", *options, "use.py", cwd=tmp_path, PYTHONPATH=os.pathsep.join(sys.path))


def test_the_declared_python_is_the_tested_one() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
