"""Method and path to handler.

Three tables are asked in turn: exact paths (a dict), patterns (one compiled pattern each, in the order in which they
were given), mounts (the longest prefix first).  A route that has the path but not the method does not end the search:
whatever stands below may take it; only when nothing does is the answer 405, with every method that some route takes.

Patterns: `{name}` is one segment of text, `{n:int}` a number, `{rest:path}` everything up to the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from ..protocol.errors import HTTPError
from ..protocol.grammar import late
from ..protocol.message import Request, Response
from .answers import STANDARD, Answer, answer_method, as_response, not_taken, plain_path, to_folder
from .uploads import Body, Taken

__all__ = ["Handler", "Match", "Router"]

Handler = Callable[..., Answer]
_H = TypeVar("_H", bound=Handler)

# What a parameter may be.  Text is text: a segment that is not UTF-8 (its odd bytes are lone surrogates) is none.
# 18 digits fit every integer that a database knows.
_KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "str": (r"[^/\ud800-\udfff]+", str),
    "int": (r"[0-9]{1,18}", int),
    "path": (r"[^\ud800-\udfff]*", str),
}
_PARAMETER = late(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}")


# ---- routes and mounts


class _Route:
    """A pattern and who answers which method there.  An exact path has no parameters, so no regular expression."""

    __slots__ = ("converters", "fullmatch", "handlers", "is_exact", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        expression, self.converters = _expression(pattern)
        self.is_exact = not _PARAMETER.search(pattern)
        self.fullmatch = re.compile(expression).fullmatch
        self.handlers: dict[str, Handler] = {}

    def handler(self, method: str) -> Handler | None:
        found = self.handlers.get(method)
        if found is None and method == "HEAD":
            return self.handlers.get("GET")
        return found

    def params(self, path: str) -> dict[str, str] | None:
        """What the parameters are in this path; None where the pattern does not match."""
        found = self.fullmatch(path)
        return None if found is None else found.groupdict()


def _expression(pattern: str) -> tuple[str, dict[str, Callable[[str], object]]]:
    """The pattern as a regular expression, and the converters that change anything."""
    _require_path(pattern)
    parts, end, converters, seen = [], 0, {}, set()
    for found in _PARAMETER.finditer(pattern):
        name, kind = found[1], found[2] or "str"
        if kind not in _KINDS:
            raise ValueError(f"{pattern!r}: {{{name}:{kind}}} is none of {', '.join(_KINDS)}")
        if name in seen:
            raise ValueError(f"{pattern!r} has two parameters named {name!r}")
        seen.add(name)
        allowed, converter = _KINDS[kind]
        if converter is not str:
            converters[name] = converter
        parts += [re.escape(pattern[end : found.start()]), f"(?P<{name}>{allowed})"]
        end = found.end()
    if "{" in _PARAMETER.sub("", pattern) or "}" in _PARAMETER.sub("", pattern):
        raise ValueError(f"{pattern!r}: a parameter is written {{name}}, {{name:int}} or {{name:path}}")
    return "".join(parts) + re.escape(pattern[end:]), converters


def _require_path(pattern: str) -> None:
    if not pattern.startswith("/"):
        raise ValueError(f"a path begins with '/': {pattern!r}")


class _Mount:
    """A prefix, without its closing "/", and the site below it."""

    __slots__ = ("app", "below", "prefix", "takes_path")

    def __init__(self, prefix: str, app: Callable[..., Response]) -> None:
        self.prefix = prefix
        self.below = prefix + "/"
        self.app = app

    @property
    def pattern(self) -> str:
        return self.below + "*"

    def methods(self, path: str) -> set[str]:
        """What the mounted site says that it takes there, if it says."""
        if isinstance(self.app, Router):
            return self.app.methods_at(path if path == "*" else path[len(self.prefix) :])
        return set(getattr(self.app, "methods", ()))


class Match(NamedTuple):
    """Who answers a request, and how the router came to him.

    `params` are the pattern's parameters as sent, `arguments` the same converted, as the handler gets them.  For a
    mount, `rest` is the path below its prefix.  `tried` is worked out only when it is read.
    """

    router: Router
    method: str
    path: str
    pattern: str
    handler: Handler
    params: dict[str, str]
    arguments: dict[str, Any]
    rest: str | None = None

    @property
    def tried(self) -> list[tuple[str, str]]:
        return self.router.tried(self.method, self.path)

    def answer(self, request: Request) -> Response:
        """Call the handler.  Raises what it raises, and TypeError where it returns no Response."""
        if self.rest is not None:
            return self.router.answer_below(self, request, self.rest)
        request.params = self.params
        response = self.handler(request, **self.arguments)
        return response if response.__class__ is Response else as_response(response, self.handler)


class Router:
    """A site made of handlers: `handler(request, **parameters)` returns a Response or raises HTTPError."""

    def __init__(self) -> None:
        self._exact: dict[str, _Route] = {}
        self._patterns: list[_Route] = []
        self._mounts: list[_Mount] = []
        self._bodies: dict[tuple[str, str], Taken] = {}

    # ---- registering

    def get(self, pattern: str) -> Callable[[_H], _H]:
        """Register the decorated handler for GET and HEAD."""
        return self.route(pattern, ["GET"])

    def post(self, pattern: str, *, body: Taken | int | None = None) -> Callable[[_H], _H]:
        """Register the decorated handler for POST; `body` as in `route`."""
        return self.route(pattern, ["POST"], body=body)

    def put(self, pattern: str, *, body: Taken | int | None = None) -> Callable[[_H], _H]:
        """Register the decorated handler for PUT; `body` as in `route`."""
        return self.route(pattern, ["PUT"], body=body)

    def patch(self, pattern: str, *, body: Taken | int | None = None) -> Callable[[_H], _H]:
        """Register the decorated handler for PATCH; `body` as in `route`."""
        return self.route(pattern, ["PATCH"], body=body)

    def delete(self, pattern: str, *, body: Taken | int | None = None) -> Callable[[_H], _H]:
        """Register the decorated handler for DELETE; `body` as in `route`."""
        return self.route(pattern, ["DELETE"], body=body)

    def route(
        self, pattern: str, methods: Iterable[str] = ("GET",), *, body: Taken | int | None = None
    ) -> Callable[[_H], _H]:
        """Register the decorated handler for several methods; they are case-sensitive (RFC 9110 §9.1).

        `body` says what content they take, or just how many bytes of it; without, the server's limit holds.  Raises
        ValueError for a pattern that is none, and for a method that the pattern has already, TypeError where the
        methods are one string.
        """
        if isinstance(methods, str):
            raise TypeError("methods is a list of methods, not one string")
        wanted = list(methods)
        takes = Body(body) if isinstance(body, int) else body

        def register(handler: _H) -> _H:
            route = self._route(pattern)
            for method in wanted:
                if method in route.handlers:
                    raise ValueError(f"{method} {pattern} has a handler already")
                route.handlers[method] = handler
                if takes is not None:
                    self._bodies[pattern, method] = takes
            return handler

        return register

    def _route(self, pattern: str) -> _Route:
        for known in self._patterns:
            if known.pattern == pattern:
                return known
        route = self._exact.get(pattern) or _Route(pattern)
        if route.is_exact:
            self._exact[pattern] = route
        else:
            self._patterns.append(route)
        return route

    def mount(self, prefix: str, app: Callable[..., Response]) -> None:
        """Hand everything below `prefix` to a site: a Router, StaticFiles or any callable `app(request, path)`.

        `path` is what remains below the prefix and begins with "/".  The prefix itself, without a closing "/", is
        redirected, so that relative links on the site's first page lead where they should.  Raises ValueError where
        something is mounted there already.
        """
        _require_path(prefix)
        mount = _Mount(prefix.rstrip("/"), app)
        if any(known.prefix == mount.prefix for known in self._mounts):
            raise ValueError(f"something is mounted at {prefix!r} already")
        self._mounts.append(mount)
        self._mounts.sort(key=lambda known: -len(known.prefix))

    # ---- routing

    def __call__(self, request: Request, path: str | None = None) -> Response:
        """Answer a request, by its own path or by the one that a mount found below its prefix."""
        head = request.head
        return self.match(head.method, head.path if path is None else path).answer(request)

    def match(self, method: str, path: str) -> Match:
        """Who answers.  Raises HTTPError: 404, 405 with Allow, 501 for a method that is unknown anywhere."""
        route = self._exact.get(path)
        if route is not None:
            handler = route.handler(method)
            if handler is not None:
                return Match(self, method, path, path, handler, {}, {})
        for route in self._patterns:
            found = route.fullmatch(path)
            if found is not None and (handler := route.handler(method)) is not None:
                return self._matched(method, path, route, handler, found.groupdict())
        if self._mounts and ("//" in path or "/." in path):
            # Folders count empty and "." segments for nothing: no spelling may lead past a route or a longer mount.
            plain = plain_path(path)
            if plain != path:
                return self.match(method, plain)
        if method == "OPTIONS" and self._knows(path):
            allowed = self.methods_at(path)
            return Match(self, method, path, path, lambda request: answer_method("OPTIONS", allowed), {}, {})
        for mount in self._mounts:
            if path.startswith(mount.below):
                return Match(self, method, path, mount.pattern, mount.app, {}, {}, path[len(mount.prefix) :])
            if path == mount.prefix:
                return Match(self, method, path, mount.pattern, _to_folder, {}, {})
        raise self._nobody(method, path)

    def _matched(self, method: str, path: str, route: _Route, handler: Handler, params: dict[str, str]) -> Match:
        arguments: dict[str, Any] = params
        if route.converters:
            arguments = {**params, **{name: convert(params[name]) for name, convert in route.converters.items()}}
        return Match(self, method, path, route.pattern, handler, params, arguments)

    def tried(self, method: str, path: str) -> list[tuple[str, str]]:
        """The patterns that `match` looks at, in order, with the outcome of each: "path" or "method" did not fit, or
        "matched", which ends the list."""
        outcomes = []
        for pattern, fits, handles in self._candidates(method, path):
            outcomes.append((pattern, "path" if not fits else "matched" if handles else "method"))
            if outcomes[-1][1] == "matched":
                break
        return outcomes

    def _candidates(self, method: str, path: str) -> Iterator[tuple[str, bool, bool]]:
        """(pattern, whether the path fits, whether the method does), in the order of looking."""
        for route in (*filter(None, [self._exact.get(path)]), *self._patterns):
            yield route.pattern, route.params(path) is not None, route.handler(method) is not None
        for mount in self._mounts:
            yield mount.pattern, path.startswith(mount.below) or path == mount.prefix, True

    def answer_below(self, match: Match, request: Request, rest: str) -> Response:
        """Let a mounted site answer.  What it has not got may still be a path of ours, with another method: 405."""
        try:
            return as_response(match.handler(request, rest), match.handler)
        except HTTPError as error:
            return self._instead(match, error)

    def check(self, request: Request, path: str | None = None) -> Taken | None:
        """What content the route takes, if it says.

        Raises the HTTPError that awaits this request whatever its content will be: 404, 405 or 501.
        """
        match = self.match(request.method, request.path if path is None else path)
        check = getattr(match.handler, "check", None)
        if match.rest is not None and check is not None:
            try:
                return check(request, match.rest)  # type: ignore[no-any-return]
            except HTTPError as error:
                self._instead(match, error)
        return self._bodies.get((match.pattern, match.method))

    def _instead(self, match: Match, error: HTTPError) -> Response:
        """What to answer where a mounted site raised this."""
        ours = self._routed_methods(match.path)
        if error.status in (404, 405) and ours:
            return answer_method(match.method, self.methods_at(match.path) if error.status == 405 else ours)
        raise error

    def _nobody(self, method: str, path: str) -> HTTPError:
        """What fits where nobody answers.  TRACE is not allowed anywhere, an unknown method not even known."""
        allowed = self._routed_methods(path)
        anywhere = self.methods_anywhere()
        known = {*STANDARD, *anywhere}
        if allowed or method == "TRACE" or method not in known:
            return not_taken(method, allowed or anywhere, known)
        return HTTPError(404)

    # ---- what is allowed

    def methods_at(self, path: str) -> set[str]:
        """The methods that something takes at this path; "*" is the whole site (RFC 9110 §9.3.7)."""
        if path == "*":
            return self.methods_anywhere()
        found = self._routed_methods(path)
        for mount in self._mounts:
            if path.startswith(mount.below):
                return found | mount.methods(path)
        return found

    def methods_anywhere(self) -> set[str]:
        """The methods that something takes somewhere in the site."""
        routes = [*self._exact.values(), *self._patterns]
        return {method for route in routes for method in route.handlers}.union(
            *(mount.methods("*") for mount in self._mounts)
        )

    def _routed_methods(self, path: str) -> set[str]:
        routes = [*filter(None, [self._exact.get(path)]), *self._patterns]
        return {method for route in routes if route.params(path) is not None for method in route.handlers}

    def _knows(self, path: str) -> bool:
        return path == "*" or bool(self._routed_methods(path))


def _to_folder(request: Request) -> Response:
    """Send the client from a mount's bare prefix to the folder that it is."""
    return to_folder(request.path, request.query)
