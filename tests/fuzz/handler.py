"""Whole connections: whatever comes, in whatever pieces, there is one answer a request, h11 reads them, and it ends."""

from __future__ import annotations

from httpd import HTTPError, Limits, Request, Response, Router, text
from httpd.protocol.errors import Refusal
from httpd.protocol.message import Head
from httpd.server.handler import CONTINUE, HEAD_END, State

from ..exchange import EOF, Answer, Exchange, Given, StrictHandler, read_answers
from ..heads import feed, parser
from ..scripted import BLOCKS
from .recipe import Recipe, read_recipe

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"HEAD / HTTP/1.0\r\n",
    b"Connection: keep-alive\r\n",
    b"POST /form HTTP/1.1\r\nHost: a\r\n", b"Content-Type: application/x-www-form-urlencoded\r\n",
    b"Content-Length: 3\r\n\r\na=b", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"OPTIONS * HTTP/1.0\r\n",
    b"GET /stream HTTP/1.0\r\n", b"GET /open HTTP/1.0\r\n", b"\r\n", b"\r\n\r\n", b"\n",
    b"Accept: application/json\r\n",
]  # fmt: skip

LIMITS = Limits(request_line=200, head=800, fields=12, body=400, header_time=5, body_time=5, idle_time=9)
# Where a connection may stand when all that came is used up.
WAITING = {State.READ_HEADER, State.READ_BODY, State.LINGER, State.CLOSED}

site = Router()


@site.get("/")
def page(request: Request) -> Response:
    return text("hello")


@site.post("/form")
def form(request: Request) -> Response:
    return text(repr(list(request.form.items())))


@site.get("/stream")
def stream_of_known_length(request: Request) -> Response:
    return Response(Given(b"a", None, b"bc"), length=3)


@site.get("/open")
def stream_to_the_end(request: Request) -> Response:
    return Response(Given(b"abc"))


class RaisingHandler(StrictHandler):
    """A fault that the server would log and survive is what is looked for here."""

    def handle_error(self) -> None:
        raise  # noqa: PLE0704

    def answer(self, request: Request) -> Response:
        response = super().answer(request)
        assert response.status in (501, 505) or response.status < 500
        return response


def one_input(data: bytes) -> None:
    flags, _, stream = recipe = read_recipe(data)
    count, ends = model(stream)
    whole = played([stream] if stream else [])
    cut = played(recipe.pieces, taking(recipe))
    for exchange in (whole, cut):
        assert len(answers(exchange)) == count
        assert (exchange.state in (State.LINGER, State.CLOSED)) is ends
        assert exchange.state in WAITING
    for one, other in zip(answers(whole), answers(cut), strict=True):
        assert one.status == other.status
        assert one.lines == other.lines
        assert one.body == other.body
    for exchange in (whole, cut):
        if flags & 2:
            exchange.wait(60, step=5)
        else:
            exchange.feed(EOF)
        assert exchange.closed
        assert count <= len(answers(exchange)) <= count + bool(flags & 2)


def answers(exchange: Exchange) -> list[Answer]:
    """What was sent, as h11 reads it."""
    asked = ["HEAD" if line.startswith("HEAD ") else "GET" for line, _, _ in exchange.log.entries]
    # An interim answer may be the last word, where the content never came.
    found = read_answers(exchange.output.removesuffix(CONTINUE), asked)
    assert [answer.status for answer in found] == [status for _, status, _ in exchange.log.entries]
    assert all(answer.version == b"1.0" and answer["date"] for answer in found)
    return found


def model(stream: bytes) -> tuple[int, bool]:
    """How many requests are to be answered, refused ones too; and whether the connection then ends."""
    count = 0
    kept = False
    while True:
        skipped = 4 if stream.startswith(HEAD_END) else 0
        # What may be all of a head's end is not looked at yet.
        waits = HEAD_END[:-1].startswith(stream[skipped:])
        verdict = None if waits else feed([stream], parser(LIMITS))
        if verdict is None:
            return count, False
        if isinstance(verdict, Refusal):
            return count + 1, True
        if verdict.expects_continue and not_served(verdict):
            return count + 1, True
        stream = stream[stream.index(HEAD_END, skipped) + 4 :]
        if len(stream) < verdict.content_length:
            return count, False
        stream = stream[verdict.content_length :]
        count += 1
        kept = goes_on(verdict, kept)
        if not kept:
            return count, True


def not_served(head: Head) -> bool:
    """Whether no content could make the site answer, which is told before any comes (RFC 9110 §10.1.1)."""
    try:
        site.check(Request(head))
    except HTTPError:
        return True
    return False


def goes_on(head: Head, kept: bool) -> bool:
    """Whether the connection is kept after the answer (RFC 9112 §9.3)."""
    without_length = head.path == "/open" and head.method in ("GET", "HEAD")
    wanted = kept if head.persistent is None else head.persistent
    return wanted and not without_length


def played(pieces: list[bytes], takes: list[int | OSError] | None = None) -> Exchange:
    exchange = Exchange(pieces, site, takes=takes or [], limits=LIMITS, handler_class=RaisingHandler)
    # A producer that had nothing yet is asked again.
    while exchange.state is State.SEND_RESPONSE and not exchange.closed:
        exchange.handler.wake()
        exchange.play()
    return exchange


def taking(recipe: Recipe) -> list[int | OSError]:
    """How much the client takes at a time: all, or very little at first."""
    return [BLOCKS if cut % 5 == 0 else cut % 5 for cut in recipe.cuts] if recipe.flags & 1 else []
