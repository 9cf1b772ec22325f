"""Real proxies in front of a server: HAProxy and nginx, each with a configuration of its own on the loopback address.

with HAProxy(tmp_path, server.port) as proxy:
    urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/")
proxy.forwarded()
"""

from __future__ import annotations

import csv
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .tools import needs
from .workbench import until

__all__ = ["HAProxy", "Logged", "Nginx", "Proxy"]


@dataclass(frozen=True)
class Logged:
    """One request in a proxy's log.

    `forwarded` says whether the server was given it, `aborted` whether the client or the proxy gave it up half-way.
    """

    request_line: str
    status: int
    forwarded: bool
    aborted: bool


def free_port() -> int:
    """A port of the loopback address that nobody listened on just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class Proxy:
    """A proxy's process in front of the server at `upstream`, a port of the loopback address or a unix socket's path.

    Its own is `port`.  What it logs of each request is read with `logged()`.
    """

    name = "proxy"

    def __init__(self, tmp_path: Path, upstream: int | str) -> None:
        self.folder = tmp_path
        self.upstream = upstream
        self.port = free_port()
        self.access_log = tmp_path / f"{self.name}.log"
        self.errors = tmp_path / f"{self.name}.errors"

    def where(self, unix: str) -> str:
        """The server's address; `unix` is how the proxy marks the path of a unix socket."""
        return f"127.0.0.1:{self.upstream}" if isinstance(self.upstream, int) else unix + self.upstream

    def command(self) -> list[str]:
        """Write the configuration, and say what starts the proxy in the foreground."""
        raise NotImplementedError

    def logged(self) -> list[Logged]:
        """Every request in the log."""
        raise NotImplementedError

    def forwarded(self) -> list[Logged]:
        """The requests that the server was given."""
        return [line for line in self.logged() if line.forwarded]

    def __enter__(self) -> Proxy:
        command = self.command()
        self.access_log.touch()
        with self.access_log.open("ab") as out, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=self.folder)
        if not until(self._listens) or self.process.poll() is not None:
            self.__exit__(None, None, None)
            raise RuntimeError(f"{self.name} does not listen:\n{self.errors.read_text()}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _found(self, pattern: str) -> list[tuple[str, ...]]:
        return re.findall(pattern, self.access_log.read_text("latin-1"), re.MULTILINE)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return self.process.poll() is not None
        return True


class HAProxy(Proxy):
    """HAProxy, one backend with one server.

    With `check` it asks for /health, by HTTP/1.0, ten times a second; `lenient`, it hands on heads that are no good.
    `sends` is how it tells of its clients: an option of the server, or a line of the backend that ends in ";".
    """

    name = "haproxy"

    def __init__(
        self, tmp_path: Path, upstream: int | str, *, check: bool = False, lenient: bool = False, sends: str = ""
    ) -> None:
        super().__init__(tmp_path, upstream)
        self.check = check
        self.lenient = lenient
        self.line, self.option = (sends[:-1], "") if sends.endswith(";") else ("", sends)
        self._stats_port = free_port()

    def command(self) -> list[str]:
        check = ("option httpchk GET /health", "check inter 100ms fall 2 rise 2") if self.check else ("", "")
        lenient = "option accept-invalid-http-request" if self.lenient else ""
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""
global
    log stdout format raw daemon
    stats socket ipv4@127.0.0.1:{self._stats_port}
    maxconn 500
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    timeout http-request 10s
    retries 0
    log global
    log-format "request|%s|%ST|%ts|%r"
frontend front
    bind 127.0.0.1:{self.port}
    {lenient}
    default_backend back
backend back
    http-reuse always
    {check[0]}
    {self.line}
    server ours {self.where("unix@")} {check[1]} {self.option}
""")
        return [needs("haproxy"), "-db", "-f", str(config)]

    def logged(self) -> list[Logged]:
        found = self._found(r"^request\|([^|]*)\|([^|]*)\|(..)\|(.*)$")
        return [
            Logged(line, int(status), server == "ours", ends[0] in "CcKR" and ends[1] in "RHD")
            for server, status, ends, line in found
        ]

    def status(self) -> tuple[str, str, str]:
        """(UP or DOWN, how the last check ended, with what status) of the server."""
        with socket.create_connection(("127.0.0.1", self._stats_port), 5) as sock:
            sock.sendall(b"show stat\n")
            told = b""
            while piece := sock.recv(65_536):
                told += piece
        for row in csv.DictReader(told.decode().removeprefix("# ").splitlines()):
            if row["svname"] == "ours":
                return row["status"], row["check_status"], row["check_code"]
        raise LookupError(told)


class Nginx(Proxy):
    """nginx: by default it speaks HTTP/1.0 to the server and closes after each answer, as it does when told nothing.

    With `modern` it speaks HTTP/1.1 and would keep connections; with `streams` it also hands content on as it comes;
    `lenient`, it hands on field lines that it would otherwise leave out.  `sends` are lines that tell of its clients.
    """

    name = "nginx"

    def __init__(
        self,
        tmp_path: Path,
        upstream: int | str,
        *,
        modern: bool = False,
        streams: bool = False,
        lenient: bool = False,
        sends: str = "",
    ) -> None:
        super().__init__(tmp_path, upstream)
        self.sends = sends
        self.modern = modern or streams
        self.streams = streams
        self.lenient = lenient

    def command(self) -> list[str]:
        modern = 'proxy_http_version 1.1; proxy_set_header Connection "";' if self.modern else ""
        streams = "proxy_request_buffering off;" if self.streams else ""
        lenient = "ignore_invalid_headers off; underscores_in_headers on;" if self.lenient else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        config = self.folder / "nginx.conf"
        config.write_text(f"""
daemon off;
master_process off;
pid {self.folder}/nginx.pid;
error_log {self.errors};
events {{ worker_connections 500; }}
http {{
    {" ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)}
    log_format requests 'request|$upstream_addr|$status|$upstream_status|$request';
    access_log {self.access_log} requests;
    client_max_body_size 64m;
    upstream ours {{ server {self.where("unix:")} max_fails=0; keepalive 8; }}
    server {{
        listen 127.0.0.1:{self.port};
        {lenient}
        location / {{
            proxy_pass http://ours;
            proxy_set_header Host $http_host;
            proxy_ignore_client_abort on;
            {modern} {streams} {self.sends}
        }}
    }}
}}
""")
        return [needs("nginx"), "-p", str(self.folder), "-c", str(config), "-e", str(self.errors)]

    def logged(self) -> list[Logged]:
        found = self._found(r"^request\|([^|]*)\|(\d+)\|([^|]*)\|(.*)$")
        return [Logged(line, int(status), server != "-", told == "-") for server, status, told, line in found]
