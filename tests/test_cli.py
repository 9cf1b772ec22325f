"""The command: each option, and each mistake that a person makes, answered in one sentence."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import httpd
from httpd import cli
from httpd.config.sources import read_sources
from httpd.server.server import Server

from .interpreters import interpreters
from .live import LiveServer
from .tools import TOP, missing, needs, python_path

APP = """
from httpd import Router, text
site = Router()
@site.get("/")
def hello(request): return text("of my own")
number = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a page and an application in it."""
    (tmp_path / "index.html").write_text("the index")
    (tmp_path / "mine.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    """Instead of serving, the server is kept here and closed."""
    ran: list[Server] = []

    def instead(server: Server) -> None:
        ran.append(server)
        server.close()

    monkeypatch.setattr(Server, "run", instead)
    return ran


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def body(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()  # type: ignore[no-any-return]


def command(*options: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """What the command says when it does not serve."""
    env = {**os.environ, "PYTHONPATH": python_path(), **more}
    return subprocess.run(
        [sys.executable, "-m", "httpd", *options], capture_output=True, text=True, timeout=20, env=env, cwd=cwd
    )


# ---- serving


@pytest.mark.programs
def test_the_current_folder(folder: Path) -> None:
    with LiveServer(".", cwd=folder, env={"PYTHONPATH": str(TOP)}) as live:
        assert body(live.url) == "the index"
        assert live.wait_for('"GET / HTTP/1.1" 200 9 "-" "Python-urllib')
        assert live.stop() == 0
    assert live.log.count("serving at") == 1


@pytest.mark.programs
def test_a_folder_by_name(folder: Path) -> None:
    with LiveServer(folder, "--access-log", "off") as live:
        assert body(live.url) == "the index"
    assert live.log == f"httpd: serving at {live.url} (Ctrl-C stops)\n"


@pytest.mark.programs
def test_the_access_log_in_a_file(folder: Path) -> None:
    with LiveServer(folder, "--access-log", str(folder / "access.log")) as live:
        body(live.url)
    assert (folder / "access.log").read_text().startswith("127.0.0.1 - - [")
    assert "GET" not in live.log


@pytest.mark.programs
def test_a_folder_without_listings(folder: Path) -> None:
    (folder / "index.html").unlink()
    with LiveServer(folder, "--no-listing") as live:
        with pytest.raises(urllib.error.HTTPError) as caught:
            body(live.url)
        assert caught.value.code == 403
        caught.value.close()


@pytest.mark.programs
def test_a_folder_without_links(folder: Path) -> None:
    (folder / "link.html").symlink_to("index.html")
    with LiveServer(folder) as live:
        assert body(live.url + "link.html") == "the index"
    with LiveServer(folder, "--symlinks", "none") as live:
        with pytest.raises(urllib.error.HTTPError) as caught:
            body(live.url + "link.html")
        assert caught.value.code == 404
        caught.value.close()


@pytest.mark.programs
def test_an_application(folder: Path) -> None:
    with LiveServer(None, "--app", "mine:site", cwd=folder, env={"PYTHONPATH": str(TOP)}) as live:
        assert body(live.url) == "of my own"


@pytest.mark.programs
def test_a_limit(folder: Path) -> None:
    with LiveServer(folder, "--limit", "head=1K", "--limit", "request-line=100") as live:
        with pytest.raises(urllib.error.HTTPError) as caught:
            body(live.url + "x" * 100)
        assert caught.value.code == 414
        caught.value.close()


# ---- options


def test_the_defaults(folder: Path, run: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[tuple[str, ...], int]] = []
    monkeypatch.setattr(Server, "start", lambda server: started.append((server.bind, server.port)))
    assert cli.main([]) == 0
    assert started == [(("127.0.0.1",), 8000)]


def test_a_bound_address(folder: Path, run: list[Server]) -> None:
    assert cli.main(["--bind", "127.0.0.2", "--port", "0", "--access-log", "off"]) == 0
    assert run[0].url.startswith("http://127.0.0.2:")


def test_the_next_free_port(folder: Path, run: list[Server], taken: int) -> None:
    assert cli.main(["--port", str(taken), "--port-auto"]) == 0
    assert taken < run[0].port <= taken + 100


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capfd.readouterr().out == f"httpd {httpd.__version__}\n"


def test_the_package_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["httpd", "--version"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("httpd", run_name="__main__")
    assert not left.value.code
    assert capsys.readouterr().out == f"httpd {httpd.__version__}\n"


def test_the_list_of_limits(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--limits"])
    assert left.value.code == 0
    assert re.search(r"^body +1048576 +Longest", capfd.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--port", "65536"], id="port too high"),
        pytest.param(["--port", "-1"], id="negative port"),
        pytest.param(["--port", "http"], id="port as a word"),
        pytest.param(["--port", "9" * 5_000], id="port of many digits"),
        pytest.param(["--log-level", "loud"], id="log level"),
        pytest.param(["--nonsense"], id="unknown option"),
        pytest.param(["--acc", "off"], id="an option cut short"),
        pytest.param([".", ".."], id="two folders"),
        pytest.param(["--", ".", "--gzip"], id="two folders, one of them like an option"),
        pytest.param(["--port"], id="a value that is missing"),
        pytest.param(["--bind", "--gzip"], id="an option in the place of a value"),
        pytest.param(["--gzip=on"], id="a switch with a value"),
        pytest.param(["--console", "99999"], id="a number that is no port"),
        pytest.param(["-p", "80"], id="one letter"),
    ],
)
def test_wrong_options_are_status_2(options: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(options)
    assert left.value.code == 2
    assert "httpd: error: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "set_to"),
    [
        ([], {}),
        (["public"], {"dir": "public"}),
        (["--", "--public"], {"dir": "--public"}),
        (["--port=5", "public"], {"port": 5, "dir": "public"}),
        (["--port", "5", "--port", "6"], {"port": 6}),
        (["--bind", "a", "--bind=b"], {"bind": ("a", "b")}),
        (["--access-log", "-"], {"access_log": "-"}),
        (["--gzip", "--no-gzip"], {"gzip": False}),
        (["--header=A: b=c"], {"header": (("A", "b=c"),)}),
        (["--cors"], {"cors": "*"}),
        (["--cors", "public"], {"cors": "*", "dir": "public"}),
        (["--cors", "--port", "0"], {"cors": "*", "port": 0}),
        (["--cors", "https://a.example", "public"], {"cors": "https://a.example", "dir": "public"}),
        (["--cors=https://a.example"], {"cors": "https://a.example"}),
        (["--trace", "public"], {"trace": "-", "dir": "public"}),
        (["--trace=folder", "public"], {"trace": "folder", "dir": "public"}),
        (["--console", "public"], {"console": -1, "dir": "public"}),
        (["--console", "9000", "public"], {"console": 9000, "dir": "public"}),
        (["--console", "./9000"], {"console": -1, "dir": "./9000"}),
    ],
)
def test_how_the_command_line_is_read(words: list[str], set_to: dict[str, object]) -> None:
    """An option alone does not take the folder for its value."""
    assert read_sources(words, {}).settings.values == set_to


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--prot", "80"], "there is no option --prot; did you mean --port?"),
        (["--no-listings"], "there is no option --no-listings; did you mean --no-listing?"),
        (["--xyzzy"], "there is no option --xyzzy; httpd --help all lists them"),
        (["--port"], "--port needs a value: --port PORT"),
        (["--gzip=on"], "--gzip takes no value: it is switched by its name alone"),
        (["--port", "http"], "--port: 'http' is not a port: give a number from 0 to 65535"),
        ([".", ".."], "one DIR is enough, and '..' is another"),
    ],
)
def test_a_wrong_option_is_a_sentence_that_says_what_to_do(
    words: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    assert capfd.readouterr() == ("", f"httpd: error: {told}\n")


# ---- mistakes


def says(capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """The one sentence that the command says, its status being 1."""
    assert cli.main(["--port", "0", *options]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"httpd: [^\n]+\n", err), err
    return err[7:-1]


def test_a_folder_that_is_not_there(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert says(capfd, "nowhere") == "there is no folder nowhere; name one that exists"


@pytest.mark.parametrize("options", [(), ("--app", "mine:site"), ("--form", "/contact", str(TOP))])
def test_a_current_folder_that_is_gone(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert says(capfd, *options) == "the current folder is gone; change to one that is there"


@pytest.mark.programs
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it is looked for in /proc")
def test_standard_streams_that_are_closed_are_nothing_of_ours(folder: Path) -> None:
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&-', "-", sys.executable, "-m", "httpd"]
    with LiveServer(folder, command=closed, env={"PYTHONPATH": str(TOP)}) as live:
        assert body(live.url) is not None
        for number in (0, 1):
            assert os.readlink(f"/proc/{live.pid}/fd/{number}") == os.devnull


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("chek", "did you mean the command check?"),
        ("help", "did you mean --help?"),
        ("version", "did you mean --version?"),
        ("8080", "a port is --port 8080"),
    ],
)
def test_a_word_that_is_no_folder(word: str, told: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert says(capfd, word) == f"there is no folder {word}; {told}"


def test_a_file_instead_of_a_folder(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert says(capfd, "index.html") == "index.html is not a folder; name the folder it is in"


def test_a_folder_that_may_not_be_read(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    told = "run httpd as a user who has it, or name another"
    assert says(capfd, str(folder)) == f"no permission to read the folder {folder}; {told}"


def test_a_taken_port(folder: Path, capfd: pytest.CaptureFixture[str], taken: int) -> None:
    said = says(capfd, "--port", str(taken))
    assert said == f"port {taken} is taken; use --port N for another, --port-auto for the next free one"


def test_no_free_port_at_all(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    tried: list[int] = []

    def start(server: Server) -> None:
        tried.append(server.port)
        raise OSError(98, "in use")

    monkeypatch.setattr(Server, "start", start)
    assert "no free port from 4000 on" in says(capfd, "--port", "4000", "--port-auto")
    assert tried == list(range(4_000, 4_100))
    assert "port 65530 is taken" in says(capfd, "--port", "65530", "--port-auto")


def test_a_port_that_is_not_for_everyone(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(server: Server) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Server, "start", start)
    assert says(capfd, "--port", "80") == "no permission for port 80; use one above 1023"


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:1:2:3:4:5:6:7", "1.2.3.4.5", "a..b", "ü", "-", "x y"])
def test_an_address_that_is_not_ours(folder: Path, capfd: pytest.CaptureFixture[str], address: str) -> None:
    said = says(capfd, f"--bind={address}")
    assert said.startswith(f"cannot listen on {address} port 0: ")
    assert said.endswith("; check --bind")


@pytest.mark.parametrize("where", ["none/access.log", ".", "index.html/log"])
def test_a_log_that_cannot_be_opened(folder: Path, capfd: pytest.CaptureFixture[str], where: str) -> None:
    assert says(capfd, "--access-log", where).startswith(f"cannot open the access log {where}: ")


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("mine", "--app takes MODULE:ROUTER"),
        (":site", "--app takes MODULE:ROUTER"),
        ("mine:", "--app takes MODULE:ROUTER"),
        ("", "--app takes MODULE:ROUTER"),
        ("absent:site", "there is no module absent here"),
        ("mine.more:site", "there is no module mine.more here"),
        ("..mine:site", "importing ..mine failed"),
        ("mine.py:site", "there is no module mine.py here"),
        ("mine:absent", "mine has no router absent; name what it calls its own"),
        ("mine:sight", "mine has no router sight; did you mean mine:site?"),
        ("mine:number", "mine has no router number"),
        ("needy:site", "the application needy needs something_else, which is not installed; install it"),
        ("broken:site", "importing broken failed: SyntaxError"),
        ("failing:site", "importing failing failed: ZeroDivisionError: division by zero (failing.py, line 1); --log-"),
        (
            "deep:site",
            "importing deep failed: JSONDecodeError: Expecting value: line 1 column 1 (char 0) (deep.py, line 2)",
        ),
        ("leaving:site", "importing leaving failed: SystemExit"),
        ("lines:site", "importing lines failed: ValueError: one two"),
    ],
)
def test_an_application_that_cannot_be_had(
    folder: Path, capfd: pytest.CaptureFixture[str], app: str, said: str
) -> None:
    (folder / "needy.py").write_text("import something_else")
    (folder / "broken.py").write_text("def:")
    (folder / "failing.py").write_text("1 / 0")
    (folder / "deep.py").write_text("import json\njson.loads('')")
    (folder / "leaving.py").write_text("raise SystemExit(3)")
    (folder / "lines.py").write_text("raise ValueError('one\\ntwo')")
    assert says(capfd, f"--app={app}").startswith(said)


@pytest.mark.parametrize(
    "limit", ["body", "bodies=1", "body=0", "body=-1", "body=much", "requests=1.5", "body=", "=1", "body=" + "9" * 400]
)
def test_a_limit_that_is_none(capfd: pytest.CaptureFixture[str], limit: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([f"--limit={limit}"])
    assert capfd.readouterr().err.startswith("httpd: error: --limit: ")


@pytest.mark.programs
def test_a_traceback_is_there_for_who_asks(folder: Path) -> None:
    (folder / "failing.py").write_text("def f(): 1 / 0\nf()\n")
    done = command("--app=failing:site", cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = command("--app=failing:site", "--log-level=debug", cwd=folder)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ZeroDivisionError" in done.stderr


PAGES = {
    "wrong.html": "<p>\n{% if %}\n",
    "undefined.html": "<p>\n\n{{ a.b }}\n",
    "including.html": "{% include 'gone.html' %}",
    "calling.html": "<p>{{ fail() }}",
}
PAGED = """
from httpd import Router, Templates
site, templates = Router(), Templates(".")
def fail(): raise KeyError("by mistake")
@site.get("/{name}")
def page(request, name): return templates.response(name, fail=fail)
"""


@pytest.mark.programs
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wrong.html", "wrong.html, line 2: Expected an expression, got 'end of statement block'\n"),
        ("undefined.html", "undefined.html, line 3: 'a' is undefined\n"),
        ("including.html", "including.html, line 1: 'gone.html' not found in search path: "),
        ("absent.html", "no template 'absent.html' in "),
    ],
)
def test_a_template_s_mistake_is_a_line_with_its_place(folder: Path, name: str, told: str) -> None:
    for page, content in PAGES.items():
        (folder / page).write_text(content)
    (folder / "paged.py").write_text(PAGED)
    with LiveServer(None, "--app=paged:site", cwd=folder, env={"PYTHONPATH": str(TOP)}) as live:
        with pytest.raises(urllib.error.HTTPError, match="500") as caught:
            body(live.url + name)
        caught.value.close()
        assert live.wait_for(told)
        assert "Traceback" not in live.log


@pytest.mark.programs
@pytest.mark.parametrize(("name", "options"), [("calling.html", []), ("wrong.html", ["--log-level=debug"])])
def test_what_a_template_calls_and_who_debugs_gets_a_traceback(folder: Path, name: str, options: list[str]) -> None:
    for page, content in PAGES.items():
        (folder / page).write_text(content)
    (folder / "paged.py").write_text(PAGED)
    with LiveServer(None, "--app=paged:site", *options, cwd=folder, env={"PYTHONPATH": str(TOP)}) as live:
        with pytest.raises(urllib.error.HTTPError, match="500") as caught:
            body(live.url + name)
        caught.value.close()
        assert live.wait_for("Traceback")


@pytest.mark.programs
def test_a_mistake_is_one_line_and_a_status_for_the_shell(folder: Path) -> None:
    done = command("nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "httpd: there is no folder nowhere; name one that exists\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["."], "--app serves a site of your own instead of .; leave one of them out"),
        (["--spa"], "--spa is for a folder, and --app is none"),
        (["--no-listing"], "--no-listing is for a folder, and --app is none"),
        (["--symlinks", "all"], "--symlinks is for a folder, and --app is none"),
        (["--unix-mode", "600"], "--unix-mode is for a unix socket; name that with --unix"),
    ],
)
def test_an_option_that_would_do_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert says(capfd, "--app=mine:site", *options).startswith(said)


@pytest.mark.programs
def test_an_application_beside_folders_of_other_hosts(folder: Path) -> None:
    """Then the options for folders are for those."""
    options = ["--app=mine:site", "--host=b=.", "--no-listing"]
    with LiveServer(None, *options, cwd=folder, env={"PYTHONPATH": str(TOP)}) as live:
        assert body(live.url) == "of my own"


@pytest.mark.programs
def test_an_interrupted_start_is_no_traceback(folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)"
    )
    done = command("--app", "slow:site", cwd=folder)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# ---- what a start costs

STARTS = """
import json, sys
looked_up, connected = [], []
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"):
        looked_up.append(event)
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connected.append(event)
sys.addaudithook(watch)
from httpd import cli
from httpd.net import asyncore
from httpd.server.server import Server
def serve(server):
    server.close()
Server.serve = serve
status = cli.main([".", "--port", "0"])
print(json.dumps([status, looked_up, connected, sorted(sys.modules)]))
"""


@pytest.mark.programs
def test_a_start_looks_nothing_up_and_imports_no_templates(folder: Path) -> None:
    done = subprocess.run(
        # Without what an installation's own start brings in.
        [sys.executable, "-S", "-c", STARTS],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    status, looked_up, connected, modules = json.loads(done.stdout)
    assert (status, looked_up, connected) == (0, [], [])
    heavy = {
        "jinja2", "markupsafe", "multipart", "asyncio", "ssl", "http.server", "email", "typing_extensions", "argparse",
        "tomllib", "difflib", "textwrap", "inspect",
    }  # fmt: skip
    assert not heavy & set(modules)


@pytest.mark.programs
@pytest.mark.parametrize("options", [[], ["--bind", "::1"]])
def test_the_system_makes_no_look_up_either(folder: Path, options: list[str]) -> None:
    """bind() itself would ask for a name; the address it gets here is one."""
    strace = needs("strace")
    trace = folder / "trace.txt"
    script = STARTS.replace('"--port", "0"', ", ".join(['"--port", "0"', *map(repr, options)]))
    subprocess.run(
        [strace, "-f", "-o", str(trace), "-e", "trace=connect,openat", sys.executable, "-c", script],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": python_path()},
        check=True,
    )
    text = trace.read_text()
    assert "/etc/resolv.conf" not in text
    assert "connect(" not in text


# ---- what the system does not let one do, tried as somebody who is nobody


NOBODY = 65_534


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Calls the command as a user who has no rights, by a Python that everybody may run."""
    if os.geteuid() != 0:
        missing("root, who may become another user")
    python = next((path for path in interpreters("3.11", "3.12", "3.13").values() if not path.startswith("/root/")), "")
    if not python:
        missing("a Python that everybody may run")
    # Neither this checkout nor pytest's folder need be open to everybody.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shutil.copytree(TOP / "httpd", Path(place, "httpd"), ignore=shutil.ignore_patterns("__pycache__"))

        def call(*options: str) -> subprocess.CompletedProcess[str]:
            line = [python, "-B", "-m", "httpd", *options]
            env = {"PYTHONPATH": place, "PATH": os.environ["PATH"]}
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            return subprocess.run(line, cwd=place, env=env, capture_output=True, text=True, timeout=60, **who)  # type: ignore[call-overload, no-any-return]

        yield call


@pytest.mark.programs
def test_nobody_may_read_the_folder_or_have_the_port(
    nobody: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    with tempfile.TemporaryDirectory() as closed:
        done = nobody("--port", "0", closed)
    told = f"no permission to read the folder {closed}; run httpd as a user who has it, or name another"
    assert (done.returncode, done.stderr) == (1, f"httpd: {told}\n")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 80:
        done = nobody("--port", "80")
        assert (done.returncode, done.stderr) == (1, "httpd: no permission for port 80; use one above 1023\n")


# ---- the other commands


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("check --imprt", 2, "httpd check: there is no option --imprt; did you mean --import?"),
        ("check --prot 1", 1, "there is no option --prot; did you mean --port?"),
        ("check gone", 1, "there is no folder gone; name one that exists"),
        ("unit --sockets", 2, "httpd unit: there is no option --sockets; did you mean --socket?"),
        ("unit --prot 1", 2, "httpd unit: there is no option --prot; did you mean --port?"),
        ("compress", 2, "httpd compress: the following arguments are required: DIR; httpd compress --help explains it"),
        ("compress gone", 1, "httpd compress: there is no folder gone; name one that exists"),
        ("show", 2, "httpd show: name a trace: FILE; httpd show --help explains it"),
        ("show gone", 2, "httpd show: cannot read gone: No such file or directory"),
        ("replay gone", 2, "httpd replay: cannot read gone: No such file or directory"),
        ("replay --cut x", 2, "httpd replay: argument --cut: 'x' is no place to cut: give the number of a byte"),
        ("trace", 2, "httpd trace: the following arguments are required: command; httpd trace --help explains it"),
        ("trace diff gone gone", 2, "httpd trace: cannot read gone: No such file or directory"),
        ("forms lst", 2, "httpd forms: argument ACTION: invalid choice: 'lst'"),
        ("forms list", 1, "httpd forms: there is no"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_command_is_a_sentence_and_a_status(
    folder: Path, words: str, status: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        left: object = cli.main(words.split())
    except SystemExit as why:
        left = why.code
    said = "".join(capfd.readouterr())
    assert (left, said.count("\n")) == (status, 1)
    assert said.startswith(told)


@pytest.mark.parametrize("topic", ["", "commands"])
def test_the_exit_status_is_explained(topic: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help", *filter(None, [topic])])
    assert left.value.code == 0
    assert "Exit status: 0" in capfd.readouterr().out
