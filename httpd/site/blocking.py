"""Handlers that wait: for a database, another server, a long computation.

Such a handler is called in one of the server's threads, and everybody else is answered meanwhile.  The site is asked
twice: first it raises that there is something to wait for, then it has the answer.  Where somebody else does the work,
as the writer of a store does, and says when it is done, no thread is needed: `promised`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..protocol.errors import Blocking, HTTPError, Promised
from ..protocol.message import Request, Response
from .answers import Answer, as_response
from .streams import answer_from_thread

__all__ = ["blocking", "promised", "what_comes_of"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Done = Callable[[Any, BaseException | None], object]


def blocking(handler: Callable[Concatenate[Request, _P], Answer]) -> Callable[Concatenate[Request, _P], Response]:
    """The handler, to be called in a thread, where it may wait.

    It stands next to the handler, below the route; a site may be one such handler, too.  Several run at once: what they
    share they must guard.  A client may be told 503 because too many wait already.  A generator that it returns, or is,
    is run there, too, and holds the thread until it ends.

        @site.get("/report")
        @blocking
        def report(request): ...
    """

    @wraps(handler)
    def asked(request: Request, /, *args: _P.args, **arguments: _P.kwargs) -> Response:
        def work(later: Blocking) -> None:
            try:
                response = as_response(handler(request, *args, **arguments), handler)
            except HTTPError as error:
                later.answer(error)
            else:
                answer_from_thread(later, response)

        return what_comes_of(request, work)

    return asked


def what_comes_of(request: Request, work: Callable[[Blocking], object]) -> Response:
    """The response that the work has come to.  Raises Blocking for it to be done, then the HTTPError it has come to."""
    done = request.waited_for
    answer = None if done is None else done.take()
    if answer is None:
        raise Blocking(work)
    if isinstance(answer, HTTPError):
        raise answer
    return answer  # type: ignore[no-any-return]


def promised(request: Request, begin: Callable[[Callable[[_T | None, BaseException | None], object]], object]) -> _T:
    """What the work has come to that somebody else does for this request; once a request.

    `begin(done)` is called in the loop, has the work begun and does not wait; `done(result, error)` may then be called
    from any thread.  Raises Promised the first time, and when asked again the error, if there was one.

        @site.post("/signatures")
        def sign(request):
            name = request.form["name"]
            number = promised(request, partial(database.begin, lambda transaction: add(transaction, name)))
            return text(f"You are number {number}.")
    """
    waited = request.waited_for
    outcome = None if waited is None else waited.take()
    if outcome is None:
        raise Promised(lambda later: _begin(begin, lambda result, error: later.answer((result, error))))
    result, error = outcome
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _begin(begin: Callable[[_Done], object], done: _Done) -> None:
    try:
        begin(done)
    except Exception as error:
        # Raised where it can be answered: when the site is asked again.
        done(None, error)
