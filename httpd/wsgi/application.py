"""The application as a site: its requests are handed to a thread, each as an exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from wsgiref.util import FileWrapper

from ..protocol.errors import Blocking
from ..protocol.message import Request, Response
from ..site.blocking import what_comes_of
from ..site.uploads import WholeBody
from .environ import environ_of
from .exchange import Exchange

__all__ = ["WSGI"]

# How much content an application may be sent, in bytes: its own limits are stricter, but it must be asked for them.
_MOST = 1 << 30
# What every environ has.
_COMMON: dict[str, Any] = {
    "SERVER_SOFTWARE": "asynchat-httpd",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    # Not of the PEP, but known to frameworks: wsgi.input has an end of its own.
    "wsgi.input_terminated": True,
}


class WSGI:
    """A WSGI application as a site, or as a part of one: mounted, its SCRIPT_NAME is the prefix.

    It takes content of at most `body` bytes (see `WholeBody`).  `multiprocess` says that other processes have the
    application, too.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], *, body: int = _MOST, multiprocess: bool = False
    ) -> None:
        self.application = application
        self._body = WholeBody(body)
        self._common = {**_COMMON, "wsgi.multiprocess": multiprocess}

    def __call__(self, request: Request, below: str | None = None) -> Response:
        """The application's response.  Raises Blocking, to be asked again when there is one."""
        return what_comes_of(request, partial(self._run, request, below))

    def _run(self, request: Request, below: str | None, later: Blocking) -> None:
        environ = {**self._common, **environ_of(request, below)}
        Exchange(self.application, environ, request, later).run()

    def check(self, request: Request, below: str | None = None) -> WholeBody:
        """What content it takes."""
        return self._body
