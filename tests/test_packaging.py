"""What is shipped: the sdist and the wheel, and a wheel that works where no checkout is near."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path

import pytest

from .live import LiveServer
from .tools import TOP, missing, needs, needs_module

pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What the command prints.  The test fails with that where it exits with an error."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    answer = subprocess.run(list(map(str, command)), cwd=cwd, env={**clean, **env}, **both)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


def _build(source: Path, into: Path, kind: str) -> Path:
    """The one archive of that kind, built from `source` with what is installed here."""
    needs_module("build")
    needs_module("hatchling")
    command = (sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", into, source)
    _run(*command, cwd=into.parent, PYTHONPATH=os.pathsep.join(sys.path))
    (archive,) = (path for path in into.iterdir() if path.suffix in (".whl", ".gz"))
    return archive


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(TOP, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(TOP, tmp_path_factory.mktemp("wheel"), "wheel")


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _tracked(folder: str) -> set[str]:
    """The files of the checkout below a folder, as git has them."""
    git = needs("git")
    listed = subprocess.run([git, "ls-files", "-z", folder], cwd=TOP, capture_output=True, text=True)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout: there is nothing to compare with")
    return {path for path in listed.stdout.split("\0") if path and (TOP / path).is_file()}


def test_the_wheel_ships_the_package_its_pages_and_its_licence(wheel: Path) -> None:
    names = set(_contents(wheel))
    assert "httpd/py.typed" in names
    for folder, at in (("httpd", "httpd"), ("static", "httpd/static"), ("templates", "httpd/templates")):
        expected = {at + path.removeprefix(folder) for path in _tracked(folder)}
        assert expected <= names
    assert {name.split("/")[0] for name in names} == {"httpd", next(n for n in names if "dist-info" in n).split("/")[0]}
    assert any(name.endswith("dist-info/licenses/httpd/LICENSE") for name in names)


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    contents = _contents(wheel)
    metadata = message_from_bytes(next(data for name, data in contents.items() if name.endswith("/METADATA")))
    needed = [line.split(";")[0].strip() for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == ["jinja2>=3.1", "multipart<3,>=2.0.1"]
    assert (metadata["Name"], metadata["Requires-Python"]) == ("asynchat-httpd", ">=3.11")
    import httpd

    assert metadata["Version"] == httpd.__version__
    scripts = next(data for name, data in contents.items() if name.endswith("/entry_points.txt"))
    assert b"httpd = httpd.cli:main" in scripts


def test_the_sdist_is_the_whole_project(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _tracked(".") <= names


def test_a_wheel_built_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(sdist, tmp_path)
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (tmp_path / "out").mkdir()
    again = _build(source, tmp_path / "out", "wheel")
    assert _contents(again) == _contents(wheel)


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty venv with the wheel and what it asks for, and nothing else."""
    if find_spec("ensurepip") is None:
        missing("ensurepip (Debian: python3-venv)")
    folder = tmp_path_factory.mktemp("venv")
    _run(sys.executable, "-m", "venv", folder, cwd=folder)
    _run(folder / "bin" / "python", "-m", "pip", "install", "-q", wheel, cwd=folder)
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
        assert _run(curl, "-sf", server.url + "a%20file%20%26%20more.txt", cwd=tmp_path) == "hello"
        listing = _run(curl, "-sf", "-H", "Accept: text/html", server.url, cwd=tmp_path)
        assert "a file &amp; more.txt" in listing
        error = _run(curl, "-s", "-H", "Accept: text/html", "-w", "%{http_code}", server.url + "none", cwd=tmp_path)
        assert error.endswith("404")
        assert "<html" in error


def test_the_installed_package_is_the_one_in_the_venv(venv: Path, tmp_path: Path) -> None:
    where = "json.dumps([httpd.__file__, str(resources.folder('templates'))])"
    code = f"import httpd, json; from httpd import resources; print({where})"
    for path in json.loads(_run(venv / "bin" / "python", "-c", code, cwd=tmp_path)):
        assert Path(path).is_relative_to(venv)


def test_it_passes_mypy_where_it_is_used(venv: Path, tmp_path: Path) -> None:
    """`py.typed` is of use only if a type checker finds the public names typed."""
    needs_module("mypy")
    (tmp_path / "use.py").write_text("from httpd import Response, Router\nsite: Router = Router()\nr: Response\n")
    options = ("--strict", "--python-executable", venv / "bin" / "python", "--cache-dir", tmp_path / "cache")
    _run(sys.executable, "-m", "mypy", *options, "use.py", cwd=tmp_path, PYTHONPATH=os.pathsep.join(sys.path))


def test_the_declared_python_is_the_tested_one() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["mypy"]["python_version"] == "3.11"
    assert project["tool"]["ruff"]["target-version"] == "py311"
