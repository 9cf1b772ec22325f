"""Requests made by hand, for tests of what stands behind the parser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from httpd.protocol.errors import HTTPError, Later, Promised
from httpd.protocol.message import Head, Headers, Request, Response

__all__ = ["Keeping", "answered", "head_of", "request"]


def head_of(**said: Any) -> Head:
    """A head that says this, made without the parser."""
    head = Head()
    for name, value in {"user": "", "logged": None, **said}.items():
        setattr(head, name, value)
    return head


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
    head = head_of(
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


def answered(
    site: Callable[[Request], Response],
    asked: Request,
    do: Callable[[Callable[[], object]], object] = lambda call: call(),
) -> Response:
    """The site's answer.  What has to be done for it beside the loop or in it is done here, piece by piece by `do`."""
    while True:
        try:
            return site(asked)
        except Later as raised:
            # With its traceback it would keep itself alive.
            later = raised.with_traceback(None)
        calls = deque([partial(later.work, later) if isinstance(later, Promised) else later.work])
        if isinstance(later, Promised):
            asked.waited_for = later
            later.begin(partial(_soon, calls), _failed)
        while calls:
            do(calls.popleft())


def _soon(calls: deque[Callable[..., object]], call: Callable[..., object], *args: object) -> None:
    calls.append(partial(call, *args))


def _failed(error: BaseException | None) -> None:
    if error is not None:
        raise error


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
