"""Requests made by hand, for tests of what stands behind the parser."""

from __future__ import annotations

from collections.abc import Iterable

from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Head, Headers, Request

__all__ = ["Keeping", "request"]


def request(
    path: str = "/",
    method: str = "GET",
    *,
    query: str = "",
    headers: dict[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Request:
    """A well-formed HTTP/1.1 request for a path that is already decoded."""
    lines = headers.items() if isinstance(headers, dict) else headers
    target = path + (f"?{query}" if query else "")
    head = Head(
        request_line=f"{method} {target} HTTP/1.1",
        method=method,
        target=target,
        path=path,
        query=query,
        version="1.1",
        headers=Headers([("Host", "example.test"), *lines]),
        host="example.test",
        content_length=len(body),
        expects_continue=False,
        persistent=True,
    )
    return Request(head, body, "127.0.0.1")


class Keeping:
    """A guard that keeps these paths from everybody; what it was asked for in a listing or archive is `asked`."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.asked: list[str] = []

    def require(self, request: Request, path: str) -> None:
        if path in self.paths:
            raise HTTPError(401)

    def alike(self, one: str, other: str) -> bool:
        return (one in self.paths) == (other in self.paths)

    def leaves_out(self, path: str) -> bool:
        self.asked.append(path)
        return path in self.paths
