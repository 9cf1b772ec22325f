"""A site for who comes without TLS: the same address with it.

It names no host but those that there is a certificate for, or it would lead anybody anywhere who is made to send a
Host (RFC 9110 §17.1), and be kept by caches so.  The answer is 308: method and content are to stay (§15.4.9).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response, redirect
from .answers import answer_method
from .hosts import compared_host, host_name

__all__ = ["ToHttps"]

# What an authority asks for before there is a certificate for a name (RFC 8555 §8.3).
_CHALLENGES = "/.well-known/acme-challenge/"
_HTTPS = 443


class ToHttps:
    """Sends each request to the same address of `https`, at the port that `port()` gives.

    `names()` are the names and addresses that there are certificates for; "*." stands for any one label.  What lies
    below /.well-known/acme-challenge/ is answered by the site itself.
    """

    def __init__(
        self, site: Callable[..., Response], names: Callable[[], Collection[str]], port: Callable[[], int]
    ) -> None:
        self.site = site
        self._names = names
        self._port = port

    def __call__(self, request: Request) -> Response:
        """The redirect.  Raises HTTPError 421 for a host that there is no certificate for, 400 for none at all."""
        if request.path.startswith(_CHALLENGES) and request.method in ("GET", "HEAD"):
            return self.site(request)
        if request.target == "*":
            return answer_method(request.method, ())
        return redirect(f"https://{self._host(request.host)}{_of_origin(request.target)}", 308)

    def _host(self, asked: str) -> str:
        """The host for a request's, with the port."""
        names = self._names()
        # HTTP/1.0 need not name any.
        name = compared_host(asked) if asked else next((name for name in names if "*" not in name), "")
        if not name:
            raise HTTPError(400, "This port only leads to https, and the request names no host to be led to.")
        if not _covered(name, names):
            raise HTTPError(421, "There is no certificate for that host here.")
        host = f"[{name}]" if ":" in name else name
        return host if self._port() == _HTTPS else f"{host}:{self._port()}"


def _covered(host: str, names: Collection[str]) -> bool:
    """Whether a certificate is for it.  In the place of a "*" only a label counts as labels are in use: a host may have
    other characters in it, which somebody might take for its end.
    """
    if host in names:
        return "*" not in host
    try:
        return "*." + host.partition(".")[2] in names and host_name(host) == host
    except ValueError:
        return False


def _of_origin(target: str) -> str:
    """Path and query of a target (RFC 9112 §3.2), as they were sent."""
    if target.startswith("/"):
        return target
    path = target.partition("://")[2].lstrip("/")
    start = min((at for at in (path.find("/"), path.find("?")) if at >= 0), default=len(path))
    return path[start:] if path[start : start + 1] == "/" else f"/{path[start:]}"
