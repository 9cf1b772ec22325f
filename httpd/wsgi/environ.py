"""What an application gets: the environ (PEP 3333), and in it the content and a way to the log."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ..net.report import Reporter
from ..protocol.message import Request
from ..site.answers import plain_path

__all__ = ["Errors", "environ_of"]

logger = Reporter("httpd.wsgi")


def environ_of(request: Request, below: str | None) -> dict[str, Any]:
    """What the environ says of a request; `below` is the path below a mount (PEP 3333, RFC 3875 §4.1)."""
    head = request.head
    script, path = _split(head.path, below)
    name, port = _server(head.host, request.scheme)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": head.query,
        "REQUEST_URI": head.target,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "REMOTE_ADDR": request.peer,
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": _input(request),
        "wsgi.errors": Errors(),
    }
    if head.user:
        environ["REMOTE_USER"] = head.user
        environ["AUTH_TYPE"] = "Basic"
    for field, value in head.headers.combined.items():
        variable = _variable(field)
        if variable:
            environ[variable] = value
    if "CONTENT_LENGTH" in environ:
        # As it was understood: the field may say it twice.
        environ["CONTENT_LENGTH"] = str(head.content_length)
    return environ


def _input(request: Request) -> Any:
    """The content as a file with an end: in memory, on the disk, or while it comes."""
    if request.body or not request.head.content_length:
        return io.BytesIO(request.body)
    return request.files[""].file


def _split(whole: str, below: str | None) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO: the bytes of a decoded path, each as the character of that number."""
    script, path = "", "" if whole == "*" else whole
    if below is not None:
        # Routers hand on plain paths to what is mounted.
        plain = plain_path(whole)
        script, path = (plain.removesuffix(below) if plain.endswith(below) else ""), below
    return _as_latin_1(script), _as_latin_1(path)


def _as_latin_1(path: str) -> str:
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("latin-1")


def _server(host: str, scheme: str) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT, as the client says them; neither may be empty."""
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    return name or "localhost", port or ("443" if scheme == "https" else "80")


@lru_cache(1_024)
def _variable(field: str) -> str:
    """The environ's name for a field, "" for one that must not be there.

    `Proxy` would be HTTP_PROXY, which programs take for a setting ("httpoxy").  A name with "_" would be that of a
    field with "-", which a proxy in front may have checked.
    """
    if field == "proxy" or "_" in field:
        return ""
    name = field.upper().replace("-", "_")
    return name if field in ("content-length", "content-type") else f"HTTP_{name}"


class Errors:
    """`wsgi.errors`: what is written goes to the log, whole lines at a time."""

    def __init__(self) -> None:
        self._text = ""
        self._telling = False

    def write(self, text: str) -> None:
        """Add text; it is told with the end of a line."""
        self._text += text
        if text.endswith("\n"):
            self.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Add several texts."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Tell what was written."""
        text, self._text = self._text.rstrip("\n"), ""
        # A program may have its log, this one included, written to wsgi.errors.
        if text and not self._telling:
            self._telling = True
            try:
                logger.error("%s", text)
            finally:
                self._telling = False
