"""The servers: how each is started on a folder and a port, and what its processes are."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ..interpreters import interpreters

TOP = Path(__file__).resolve().parent.parent.parent
APPS = Path(__file__).with_name("apps.py")


@dataclass(frozen=True)
class Place:
    """Where a peer runs: the folder it serves, its port, a folder for its logs and configuration, the Python."""

    folder: Path
    port: int
    scratch: Path
    python: str = sys.executable


@dataclass(frozen=True)
class Peer:
    """A server's name, its command line, and the Python packages it consists of.

    `kind` is what it does, "files", "tls" or "page": only those of one kind are compared.  `python` is another
    interpreter than the rest have, `path` where that finds what the server needs.
    """

    name: str
    command: Callable[[Place], list[str]]
    packages: tuple[str, ...] = ()
    kind: str = "files"
    python: str = ""
    path: str = ""

    def version(self, python: str) -> str:
        """What is being measured: the versions of its packages, or what the program says of itself."""
        if self.packages:
            code = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {self.packages}))"
            command = [python, "-c", code]
        elif self.python:
            command = [self.python, "-V"]
        elif found := program(self.name.partition(" ")[0]):
            command = [found, "-v"]
        else:
            command = [python, "-V"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return (answer.stdout or answer.stderr).strip().split("\n")[0]


class Running:
    """A peer that has been started and answers on its port."""

    def __init__(self, peer: Peer, place: Place, process: subprocess.Popen[bytes]) -> None:
        self.peer = peer
        self.place = place
        self.process = process

    @property
    def url(self) -> str:
        scheme = "https" if self.peer.kind == "tls" else "http"
        return f"{scheme}://127.0.0.1:{self.place.port}"

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, task.read_text().split())
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def program(name: str) -> str | None:
    """A program's path, also where it is not on a user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


# ---- the servers


def _ours(place: Place, *options: str) -> list[str]:
    log = str(place.scratch / "access.log")
    return [
        place.python,
        "-m",
        "httpd",
        *(options or [str(place.folder)]),
        "--port",
        str(place.port),
        "--access-log",
        log,
    ]


def _ours_over_tls(place: Place) -> list[str]:
    return _ours(place, str(place.folder), "--tls-cert", certificate(place))


def _our_page(place: Place) -> list[str]:
    return _ours(place, "--app", "tests.benchmark.page_site:site")


def _http_server(place: Place) -> list[str]:
    return [place.python, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(place.folder), str(place.port)]


def _app(name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        return [place.python, str(APPS), name, str(place.folder), str(place.port), str(place.scratch / "access.log")]

    return command


def certificate(place: Place) -> str:
    """A certificate and its key in one file, on the curve that everyone has."""
    made = place.scratch / "certificate.pem"
    if not made.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        names = ["-subj", "/CN=127.0.0.1", "-days", "7", "-keyout", str(made), "-out", str(made) + ".crt"]
        subprocess.run(command + names, check=True, capture_output=True)
        with made.open("ab") as out:
            out.write(Path(str(made) + ".crt").read_bytes())
    return str(made)


_FEW_KINDS = 'mimetype.assign = ( ".html" => "text/html", ".txt" => "text/plain", "" => "application/octet-stream" )'


def nginx(place: Place, more: str = "", tls: str = "") -> list[str]:
    """Debian's configuration with one worker; gzip off, for nobody else here compresses as it serves.

    `more` is what else its server is told; `tls` makes "ssl" of its port.
    """
    user = "user root;" if os.getuid() == 0 else ""
    configuration = place.scratch / "nginx.conf"
    configuration.write_text(f"""
{user} worker_processes 1; daemon off; pid {place.scratch}/nginx.pid; error_log {place.scratch}/error.log;
events {{ worker_connections 768; }}
http {{
    sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip off;
    include /etc/nginx/mime.types; default_type application/octet-stream;
    access_log {place.scratch}/access.log;
    client_body_temp_path {place.scratch}/body; proxy_temp_path {place.scratch}/proxy;
    fastcgi_temp_path {place.scratch}/fastcgi; uwsgi_temp_path {place.scratch}/uwsgi;
    scgi_temp_path {place.scratch}/scgi;
    server {{ listen 127.0.0.1:{place.port}{tls}; root {place.folder}; index index.html; {more} }}
}}
""")
    return [program("nginx") or "nginx", "-e", str(place.scratch / "error.log"), "-c", str(configuration)]


def _nginx_over_tls(place: Place) -> list[str]:
    made = certificate(place)
    return nginx(place, f"ssl_certificate {made}; ssl_certificate_key {made};", " ssl")


def _flask_in_gunicorn(place: Place) -> list[str]:
    """One process with its threads, as its documentation has it for work that waits."""
    log = str(place.scratch / "access.log")
    options = ["--workers", "1", "--threads", "4", "--worker-class", "gthread", "--keep-alive", "75"]
    return [
        place.python, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{place.port}", "--access-logfile", log,
        "tests.benchmark.page_site:flask_app()",
    ]  # fmt: skip


def lighttpd(place: Place, more: str = _FEW_KINDS) -> list[str]:
    """Debian's configuration, with the access log that it leaves out; `more` has the media types."""
    configuration = place.scratch / "lighttpd.conf"
    configuration.write_text(f"""
server.modules = ( "mod_indexfile", "mod_access", "mod_accesslog", "mod_dirlisting", "mod_staticfile" )
server.document-root = "{place.folder}"
server.bind = "127.0.0.1"
server.port = {place.port}
server.errorlog = "{place.scratch}/error.log"
accesslog.filename = "{place.scratch}/access.log"
index-file.names = ( "index.html" )
url.access-deny = ( "~", ".inc" )
{more}
""")
    return [program("lighttpd") or "lighttpd", "-D", "-f", str(configuration)]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("httpd", _ours),
        Peer("nginx", nginx),
        Peer("lighttpd", lighttpd),
        Peer("http.server", _http_server),
        Peer("waitress", _app("waitress_whitenoise"), ("waitress", "whitenoise")),
        Peer("uvicorn", _app("uvicorn_starlette"), ("uvicorn", "starlette", "uvloop", "httptools")),
        Peer("aiohttp", _app("aiohttp_static"), ("aiohttp",)),
        Peer("httpd TLS", _ours_over_tls, kind="tls"),
        Peer("nginx TLS", _nginx_over_tls, kind="tls"),
        Peer("httpd page", _our_page, kind="page"),
        Peer("Flask on httpd", _app("flask_in_httpd"), ("flask",), kind="page"),
        Peer("Flask on gunicorn", _flask_in_gunicorn, ("flask", "gunicorn"), kind="page"),
        Peer("Flask on waitress", _app("flask_in_waitress"), ("flask", "waitress"), kind="page"),
    )
}
# Whom the others of a kind are compared with.
REFERENCES = {"files": "nginx", "tls": "nginx TLS", "page": "Flask on gunicorn"}


def under_other_pythons(versions: list[str]) -> list[Peer]:
    """This server under other Pythons that are installed, each with what it needs in a cache folder."""
    peers = []
    for release, python in interpreters(*versions).items():
        cache = _cache(f"python-{release}")
        if not cache.is_dir():
            pip = [python, "-m", "pip", "install", "-q", "--target", str(cache), "jinja2", "multipart"]
            subprocess.run(pip, check=True)
        peers.append(Peer(f"httpd on {release}", _ours, python=python, path=str(cache)))
    return peers


def _cache(name: str) -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asynchat-httpd" / name


def python_with_peers(venv: Path | None, peers: Iterable[Peer] = ()) -> str:
    """A Python that has these peers: the venv's, this one, or this one with all of them installed into a cache folder.

    The cache folder goes into this process's PYTHONPATH, for its children.
    """
    if venv:
        return str(venv / "bin" / "python")
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["benchmark"]]
    cache = _cache("benchmark")
    if not all(map(find_spec, {"jinja2", "multipart", *(name for peer in peers for name in peer.packages)})):
        if not cache.is_dir():
            pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(cache), *wanted]
            subprocess.run(pip, check=True, cwd=TOP)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(cache)]))
    return sys.executable


# ---- start and stop


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody accepts there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(peer: Peer, place: Place) -> subprocess.Popen[bytes]:
    """Start the peer; it may not answer yet.  It runs on the first core, so that the load has the others."""
    place.scratch.mkdir(parents=True, exist_ok=True)
    # A checkout compiled anew at every start would be compared with what its installer has compiled.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if peer.python:
        place, env["PYTHONPATH"] = replace(place, python=peer.python), peer.path
    with (place.scratch / "output.log").open("ab") as out:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        return subprocess.Popen(peer.command(place), **streams, cwd=TOP, env=env, preexec_fn=_first_core)


def _first_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextmanager
def started(peer: Peer, place: Place) -> Iterator[Running]:
    """The peer, answering, and stopped afterwards.  RuntimeError with what it said, where it does not answer."""
    process = spawn(peer, place)
    running = Running(peer, place, process)
    try:
        end = time.monotonic() + 20
        while not answers(place.port):
            if process.poll() is not None or time.monotonic() > end:
                said = (place.scratch / "output.log").read_text(errors="replace")
                raise RuntimeError(f"{peer.name} does not answer:\n{said}")
            time.sleep(0.05)
        yield running
    finally:
        running.stop()
