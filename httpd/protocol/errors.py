"""What can be wrong with a request, as values.

A *Refusal* is the parser's verdict on bytes it will not take: it names the rule and the very bytes at fault.
An *HTTPError* is raised by whoever answers a well-formed request (the router, a form, a handler); so is *Later*, where
nothing is wrong, but not all is known yet; where all there is to know is what some work comes to, it is *Promised*
by whoever does the work, or *Blocking* where a thread is to be found for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

__all__ = ["Blocking", "HTTPError", "Later", "Promised", "Refusal", "reason_phrase"]

# Where RFC 9110 §15 has changed the words, and Python before 3.13 has the old ones.
_NEW_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_phrase(status: int) -> str:
    """The standard reason phrase of a status code (RFC 9110 §15), or "Unknown"."""
    try:
        return _NEW_PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Refusal(NamedTuple):
    """Why a request is not taken.

    `status` is the answer's status code, `reason` one sentence for a person, `rule` the section that says so
    ("RFC 9112 §5.1").  `start` and `length` are the span of the guilty bytes, counted from the first byte that
    was judged; a length of 0 means that something is missing there.
    """

    status: int
    reason: str
    rule: str
    start: int
    length: int

    def moved(self, offset: int) -> Refusal:
        """The same refusal with its span counted from `offset` bytes earlier."""
        return self._replace(start=self.start + offset)


class HTTPError(Exception):
    """Raised while answering: becomes a response with this status, an error page and these header fields.

    `detail` is one sentence shown to the client, so it must hold nothing secret; `fields` is another for each field of
    a form that is to blame, by its name.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        headers: Iterable[tuple[str, str]] = (),
        *,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = tuple(headers)
        self.fields = fields or {}

    def __str__(self) -> str:
        return f"{self.status} {reason_phrase(self.status)}" + (f": {self.detail}" if self.detail else "")


class Later(Exception):
    """Raised while answering: the answer needs `work` that would hold up every other connection.

    The server does the work beside its loop, and then asks for the answer to the same request once more.  What the
    work finds out is for whoever raised this to keep.
    """

    def __init__(self, work: Callable[..., object]) -> None:
        super().__init__(work)
        self.work = work


class Promised(Later):
    """Raised while answering: the work is somebody else's, who says what it has come to.

    `work(later)` is called with this very exception, in the loop: it hands the work on, and does not wait.  Whoever
    does the work calls `later.answer()` once, from any thread.  Asked again, whoever raised this finds it in the
    request's `waited_for`, and takes the answer from there.
    """

    def __init__(self, work: Callable[[Any], object]) -> None:
        super().__init__(work)
        self._answer: Any = None
        self._is_answered = False
        self._then: Callable[[BaseException | None], object] | None = None

    def begin(self, call: Callable[..., object], then: Callable[[BaseException | None], object]) -> None:
        """Before the work: `call(function, *args)` has the loop make a call, `then(error)` is to be one, once."""
        self.call = call
        self._then = then

    def answer(self, answer: Any) -> None:
        """For whoever does the work, in any thread: it has come to this, which is not None."""
        self._answer = answer
        self._is_answered = True
        self.call(self.done)

    def end(self, error: BaseException | None = None) -> None:
        """For whoever does the work, in any thread: it has ended, or failed.  Who has its answer was told with that."""
        if not self._is_answered:
            self.call(self.done, error)

    def done(self, error: BaseException | None = None) -> None:
        """In the loop: the answer is there, or the work has ended or failed without one."""
        then, self._then = self._then, None
        if then is not None:
            then(error)

    def take(self) -> Any:
        """The answer, for whoever asks first; None for others, and where there is none."""
        answer, self._answer = self._answer, None
        return answer


class Blocking(Promised):
    """Raised while answering: the work may wait for whatever it likes, and comes to the answer itself.

    `work(later)` is called in one of several threads.  It calls `later.answer()` once, with a Response or an HTTPError
    to raise, and may go on after that, as it does where content is made while it is sent; or it raises.
    """
