"""httpd check: all that is wrong with the settings, each with its place; and what settings are in force."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from httpd.cli import main
from httpd.config.settings import OPTIONS
from httpd.config.sources import read_sources

from .tools import python_path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one to be served."""
    (tmp_path / "public").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in os.environ:
        if name.startswith("HTTPD_"):
            monkeypatch.delenv(name)
    return tmp_path


def check(capfd: pytest.CaptureFixture[str], *options: str, toml: str = "") -> tuple[int, list[str]]:
    """The status, and the lines that are printed."""
    if toml:
        Path("httpd.toml").write_text(toml)
    status = main(["check", *options])
    out, err = capfd.readouterr()
    assert err == ""
    return status, out.splitlines()


def test_what_is_right_is_a_line(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert check(capfd, "public") == (0, ["httpd check: the settings are right"])
    assert check(capfd, toml='dir = "public"') == (0, ["httpd check: httpd.toml is right"])


def test_all_that_is_wrong_is_told(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPD_PORT", "http")
    (here / "file").write_text("")
    toml = """prot = 80
dir = "nowhere"
access-log = "logs/access.log"
trace = "public/traces"
auth = "users"
[hosts]
b = "public"
"c" = "file"
[tls]
  cert = "no.pem"
"""
    assert check(capfd, toml=toml) == (
        1,
        [
            "httpd.toml:1:1: there is no key prot; did you mean port?",
            "HTTPD_PORT: 'http' is not a port: give a number from 0 to 65535",
            "httpd.toml:2:1: there is no folder nowhere; name one that exists",
            "httpd.toml:8:1: file is not a folder; name the folder it is in",
            "httpd.toml:10:3: tls.cert: cannot read no.pem: No such file or directory; "
            "name a file that this user may read",
            "httpd.toml:5:1: auth: cannot read users: No such file or directory",
            "httpd.toml:4:1: public/traces is in public, which is served: anyone could read it; name another folder",
            "httpd.toml:3:1: cannot write the access log logs/access.log",
        ],
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--prot=5"], "there is no option --prot; did you mean --port?"),
        (["--config=none.toml"], "cannot read none.toml: No such file or directory; name another file with --config"),
        (["nowhere"], "there is no folder nowhere; name one that exists"),
        (["--user=nobody-of-that-name", "public"], "--user: there is no user 'nobody-of-that-name'"),
        (["--workers=2", "--open", "public"], "--open is for one process, and here a parent has workers; leave"),
        (["--inbox=mysql:x", "public"], "--inbox: 'mysql' is no store: that is sqlite:PATH or postgresql://USER@HOST/"),
        (
            ["--webhook=https://example.org/", "public"],
            "--webhook is for what comes in by a form; name its path with --form",
        ),
        (["--mail-to=me@example.org"], "--mail-to is for what comes in by a form; name its path with --form"),
        (["--host=a=public", "--host=A=."], "--host: the host a has two sites; name each host once"),
        (
            ["--inbox=mysql://me:hush@db/site"],
            "--inbox: 'mysql' is no store: that is sqlite:PATH or postgresql://USER@HOST/NAME",
        ),
        (["--form=/a", "--mail-to=me@example.org"], "mail is from somebody; say whom with --mail-from"),
        (
            ["--form=/a", "--webhook=https://example.org/"],
            "a webhook needs a secret to be signed with; set HTTPD_WEBHOOK_SECRET, as in: "
            'export HTTPD_WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)"',
        ),
    ],
)
def test_options_are_checked_too(here: Path, capfd: pytest.CaptureFixture[str], options: list[str], told: str) -> None:
    status, [said] = check(capfd, *options)
    assert status == 1
    assert said.startswith(told)


def test_an_application_is_imported_if_asked_for(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    toml = 'app = "checked_broken:site"'
    (here / "checked_broken.py").write_text("1 / 0\n")
    assert check(capfd, toml=toml)[0] == 0
    status, [told] = check(capfd, "--import")
    assert status == 1
    assert told.startswith("httpd.toml:1:1: importing checked_broken failed: ZeroDivisionError: division by zero")


@pytest.mark.programs
def test_it_is_a_command_with_a_status(here: Path) -> None:
    (here / "httpd.toml").write_text('dir = "public"\nport = -1\n')
    done = subprocess.run(
        [sys.executable, "-m", "httpd", "check"],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "httpd.toml:2:1: port: '-1' is not a port: give a number from 0 to 65535\n"


@pytest.mark.parametrize("option", ["--version", "--limits"])
def test_what_is_asked_beside_it_is_told(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["check", option])
    assert capfd.readouterr().out


# ---- what is in force


def test_settings_are_printed_with_where_they_come_from(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPD_GZIP", "yes")
    status, lines = check(capfd, "--print", "--port", "80", toml='dir = "public"\n[limits]\nbody = "1M"\n')
    assert status == 0
    told = {" ".join(line.split()) for line in lines}
    assert {'dir = "public" # httpd.toml:1:1', "port = 80 # --port", "gzip = true # HTTPD_GZIP"} <= told
    assert {"# spa = false", '"body=1M", # httpd.toml:3:1', '# unix-mode = "660"', "[tls]"} <= told


def test_what_is_printed_is_such_a_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = [
        "--bind=::1", "--port=0", "--unix=a b\x7f.sock", "--unix-mode=600", "--host=b=public", "--header=X-A: \"b\" ü",
        "--cors", "--console", "--trace", "--limit=body=10M", "--no-listing", "--symlinks=none", "public",
    ]  # fmt: skip
    _, lines = check(capfd, "--print", *given)
    (here / "kept.toml").write_text("\n".join(lines))
    kept, plain = read_sources(["--config=kept.toml"], {}), read_sources(given, {})
    assert not kept.wrong
    assert {name: getattr(kept.settings, name) for name in OPTIONS if name != "config"} == {
        name: getattr(plain.settings, name) for name in OPTIONS if name != "config"
    }


def test_forms_are_printed_whole_but_for_their_secrets(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    toml = """dir = "public"
[forms."/a"]
intro = "https://me:hush@example.org/"
[forms."/a".fields]
name = { required = true, max = 5 }
password = {}
"""
    _, lines = check(capfd, "--print", "--form=/a", "--form=/b", toml=toml)
    kept = tomllib.loads("\n".join(lines))
    assert kept["forms"] == {
        "/a": {
            "intro": "https://me:***@example.org/",
            "fields": {"name": {"required": True, "max": 5}, "password": {}},
        },
        "/b": {},
    }


def test_what_is_wrong_is_told_beside_what_is_printed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--print", "--port=0080", "nowhere"]) == 1
    out, err = capfd.readouterr()
    assert tomllib.loads(out)["port"] == 80
    assert err == "there is no folder nowhere; name one that exists\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("postgresql://me:hush@db/site", "postgresql://me:***@db/site"),
        ("postgresql://me:hu@sh@db/site", "postgresql://me:***@db/site"),
        ("postgresql://me:hush@db/site?sslmode=require", "postgresql://me:***@db/site?sslmode=require"),
        ("postgresql://me@db/site?password=hush&port=1", "postgresql://me@db/site?password=***&port=1"),
        ("postgresql://db/site?user=me&sslPassword=hush", "postgresql://db/site?user=me&sslPassword=***"),
    ],
)
def test_passwords_are_not_printed(here: Path, capfd: pytest.CaptureFixture[str], given: str, told: str) -> None:
    _, lines = check(capfd, "--print", toml=f'dir = "public"\ninbox = "{given}"\n')
    assert any(f'inbox = "{told}"' in line for line in lines)
    assert not any("hu" in line for line in lines if line.startswith("inbox ="))


def test_of_a_webhook_only_the_host_is_printed(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after it is the whole secret of many a receiver."""
    monkeypatch.setenv("HTTPD_WEBHOOK_SECRET", "whsec_" + "A" * 40)
    toml = """dir = "public"
webhook = "https://hooks.example.org/T0/hush"
[forms."/a"]
webhook = ["https://hooks.example.net?key=hush"]
"""
    _, lines = check(capfd, "--print", toml=toml)
    said = "\n".join(lines)
    assert '"https://hooks.example.org/***"' in said
    assert '"https://hooks.example.net?***"' in said
    assert "hush" not in said
