"""The table of what is refused and what is taken, fed to the server: whole, byte by byte, cut everywhere, followed by
what must not be read as a request; first over a scripted socket, then over a real one.

What is said of a refusal does not depend on the cut, the answer comes whole, and the connection ends without a reset.
"""

from __future__ import annotations

import html
import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpd import HTTPError, Limits, Request, Response, Router, Server, StaticFiles, text
from httpd.net import asyncore
from httpd.net.channel_map import ChannelMap
from httpd.protocol.errors import Refusal, reason_phrase
from httpd.server.handler import State, http_request_handler
from httpd.site.error_pages import error_response, excerpt, visible

from .exchange import EOF, Answer, Exchange, StrictHandler, get, post, read_answers, read_to_end, serving
from .refusals import LIMITS, REFUSED, SMUGGLED, TAKEN, TOO_SLOW, Case, Fault, Taken, TooSlow, page
from .scripted import cut_at, every_cut, one_by_one
from .strategies import examples, heads, mutated
from .tools import TOP

# What may stand behind a refused head; the last two are what its content would be to one reader or another.
BEHIND = [b"", SMUGGLED, b"\x00\xff\n\n\r\r\n", b"0\r\n\r\n" + SMUGGLED, b"5;a=b\r\nhello\r\n0\r\n\r\n" + SMUGGLED]

every_fault = pytest.mark.parametrize(("fault", "case"), REFUSED, ids=[case.name for _, case in REFUSED])
every_taken = pytest.mark.parametrize("row", [row for rows in TAKEN.values() for row in rows], ids=lambda row: row.name)


class Site:
    """Takes GET, POST and PUT of any path, says what it was asked, and keeps that."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.router = Router()
        self.router.route("/{path:path}", ["GET", "POST", "PUT"])(self.tell)
        self.check = self.router.check

    def tell(self, request: Request, path: str) -> Response:
        head = request.head
        told = f"{head.method} {head.host} {head.path} {head.query} {request.body.decode('latin-1')}"
        self.asked.append(told)
        return text(told)

    def __call__(self, request: Request) -> Response:
        return self.router(request)


class Keeps:
    """A handler's refusals and where its state stood, kept for the test."""

    verdicts: list[Refusal]
    evidence: list[bytes]

    def refuse(self, refusal: Refusal, head: bytes) -> None:
        self.verdicts.append(refusal)
        self.evidence.append(self.service.parser.evidence(head, refusal))  # type: ignore[attr-defined]
        super().refuse(refusal, head)  # type: ignore[misc]


class Recording(Keeps, StrictHandler):
    def __init__(self, *args: Any, **more: Any) -> None:
        self.verdicts, self.evidence = [], []
        super().__init__(*args, **more)


def expected(fault: Fault, case: Case) -> Refusal:
    """What the handler is to be told: the table's span counts from the first byte that was sent."""
    # Two empty lines are a head of nothing, which is over when the next begins.
    skipped = 4 if case.data.startswith(b"\r\n\r\n") else 0
    return Refusal(fault.status, fault.reason, fault.rule, case.start - skipped, len(case.guilty))


def played(pieces: list[bytes], site: Site, limits: Limits = LIMITS) -> Exchange:
    return Exchange(pieces, site, limits=limits, handler_class=Recording)


def method_of(data: bytes) -> str:
    """The method as the server must see it, which decides whether there is content in the answer."""
    found = re.match(rb"(?:\r\n)*([A-Z]+) ", data)
    return found[1].decode() if found else "GET"


def the_answer(output: bytes, fault: Fault) -> Answer:
    [answer] = read_answers(output)
    assert (answer.status, answer.version, answer.keeps_alive) == (fault.status, b"1.0", False)
    assert answer["date"]
    assert answer["content-length"] == str(len(answer.body))
    return answer


# ---- refused, over a scripted socket


@every_fault
def test_a_refusal_is_the_same_wherever_the_bytes_are_cut(fault: Fault, case: Case) -> None:
    status_line = f"HTTP/1.0 {fault.status} {reason_phrase(fault.status)}\r\n".encode()
    whole = played([case.data], Site())
    for pieces in every_cut(case.data):
        site = Site()
        exchange = played(pieces, site)
        assert exchange.handler.verdicts == [expected(fault, case)]
        assert exchange.output == whole.output
        assert exchange.output.startswith(status_line)
        assert b"\r\nConnection: close\r\n" in exchange.output
        assert (exchange.state, exchange.said_end, site.asked) == (State.LINGER, True, [])


@every_fault
def test_nothing_behind_a_refusal_is_read(fault: Fault, case: Case) -> None:
    for behind in BEHIND:
        for pieces in ([case.data + behind], [case.data, behind], one_by_one(case.data + behind)):
            site = Site()
            exchange = played(pieces, site)
            assert exchange.handler.verdicts == [expected(fault, case)]
            the_answer(exchange.output, fault)
            assert site.asked == []
            assert exchange.feed(EOF).closed
            assert not exchange.reset


@every_fault
def test_a_request_before_a_refusal_is_answered(fault: Fault, case: Case) -> None:
    for pieces in ([get() + case.data + SMUGGLED], [get(), case.data], one_by_one(get() + case.data)):
        site = Site()
        exchange = played(pieces, site)
        assert [answer.status for answer in exchange.answers()] == [200, fault.status]
        assert exchange.handler.verdicts == [expected(fault, case)]
        assert len(site.asked) == 1


@every_fault
def test_a_hopeless_head_is_refused_before_its_end(fault: Fault, case: Case) -> None:
    unfinished = case.data.removesuffix(b"\r\n\r\n")
    # A line end may begin the end of the head, until something else comes.
    for pieces in every_cut(unfinished + b"x" * unfinished.endswith(b"\r\n")):
        assert bool(played(pieces, Site()).output) is case.early


# ---- what its page says


# Empty lines alone leave nothing to show.
every_page = pytest.mark.parametrize(
    ("fault", "case"), [pytest.param(*row, id=row[1].name) for row in REFUSED if row[1].data.strip()]
)


def page_of(fault: Fault, case: Case, accept: str) -> tuple[str, Refusal]:
    """The page that a refusal gets, and the refusal.  Without an Accept before the fault it is HTML."""
    exchange = played([case.data], Site())
    [verdict], [evidence] = exchange.handler.verdicts, exchange.handler.evidence
    response = error_response(
        fault.status, verdict.reason, accept=accept, refusal=verdict, guilty=excerpt(evidence, verdict)
    )
    assert dict(response.headers)["Content-Type"].startswith(accept)
    if accept == "text/html":
        assert the_answer(exchange.output, fault).body == response.body
    return bytes(response.body).decode(), verdict


@pytest.mark.parametrize("accept", ["application/problem+json", "text/plain"])
def test_what_stands_before_a_fault_chooses_the_kind_of_page(accept: str) -> None:
    """What stands behind it does not: it may not have come yet."""
    asks = f"Accept: {accept}"
    for fields, kind in (([asks, "X y"], accept), (["X y", asks], "text/html"), ([asks, asks[:6]], accept)):
        pages = {bytes(played(pieces, Site()).output) for pieces in every_cut(get("/", *fields))}
        assert len(pages) == 1
        assert read_answers(pages.pop())[0]["content-type"].startswith(kind)


@every_page
def test_the_page_names_the_rule_and_shows_the_guilty_bytes(fault: Fault, case: Case) -> None:
    shown = visible(case.guilty.decode("latin-1"))
    body, _ = page_of(fault, case, "text/plain")
    status, reason, rule, line, carets = body.splitlines()
    assert status == f"{fault.status} {reason_phrase(fault.status)}"
    assert reason == fault.reason
    assert rule.startswith(fault.rule)
    assert_marked(line, carets, shown)

    body, _ = page_of(fault, case, "text/html")
    assert f">{fault.rule}</a>" in body
    assert fault.reason in html.unescape(body)
    found = re.search(r'<pre>(.*)\n<span class="carets">(.*)</span></pre>', body)
    assert found
    assert_marked(html.unescape(re.sub("<[^>]*>", "", found[1])), found[2], shown)


@every_page
def test_json_says_the_same(fault: Fault, case: Case) -> None:
    body, verdict = page_of(fault, case, "application/problem+json")
    told = json.loads(body)
    assert (told["status"], told["rule"], told["detail"]) == (fault.status, fault.rule, fault.reason)
    assert (told["start"], told["length"]) == (verdict.start, verdict.length)
    assert re.fullmatch(r"https://www\.rfc-editor\.org/rfc/rfc\d+#(section|appendix)-[\dA-Z.]+", told["section"])
    assert told["guilty"] == case.guilty[:96].decode("latin-1")
    assert_marked(told["line"], told["carets"], visible(case.guilty.decode("latin-1")))


def assert_marked(line: str, carets: str, guilty: str) -> None:
    """The carets stand below the guilty bytes; below one place where something is missing."""
    marked = line[len(carets) - len(carets.lstrip()) : len(carets)]
    if len(guilty) > 96:
        assert marked == guilty[:96] + "…"
    elif guilty:
        assert marked == guilty
    else:
        assert carets.strip() == "^"


class Tags(HTMLParser):
    """What a browser makes of a page: its tags and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def refused_page(data: bytes, accept: str) -> str | None:
    """The page of a head that is refused; None where it is taken, or its Accept comes too late."""
    line, end, rest = data.partition(b"\r\n")
    data = line + end + f"Accept: {accept}\r\n".encode() + rest
    exchange = Exchange([data], Site(), handler_class=Recording)
    answers = exchange.answers(*[method_of(data)] * 9)
    answer = answers[-1]
    if not (exchange.handler.verdicts and answer.body and answer["content-type"].startswith(accept)):
        return None
    return answer.body.decode()


MARKUP = st.sampled_from([b"<script>", b"</pre><b>", b"&lt;", b'" onload="', b"'", b"\x00<", b"{{ 7*7 }}", b"{% x %}"])


@settings(max_examples=40)
@given(mutated(heads()), MARKUP, st.data())
def test_no_page_holds_what_the_client_sent_unescaped(data: bytes, markup: bytes, more: st.DataObject) -> None:
    at = more.draw(st.integers(0, max(0, data.find(b"\r\n\r\n"))))
    data = re.sub(rb"(?i)accept", b"X-cept", data[:at] + markup + data[at:])
    page = refused_page(data, "text/html")
    if page is not None:
        plain = Tags(refused_page(b"\x01\r\n\r\n", "text/html") or "")
        assert Tags(page).tags == plain.tags
        assert re.sub(r"[\x20-\x7e\n]", "", page.replace("…", "").replace("§", "").replace("·", "")) == ""
    told = refused_page(data, "application/json")
    if told is not None:
        assert json.loads(told)["status"] in range(400, 600)
    plain_text = refused_page(data, "text/plain")
    assert plain_text is None or plain_text.replace("\n", "").isprintable()


# ---- taken, over a scripted socket


def final(answers: list[Answer]) -> list[tuple[int, bool]]:
    return [(answer.status, answer.keeps_alive) for answer in answers]


def methods_in(row: Taken) -> list[str]:
    """The methods of a row's requests, in their order."""
    return re.findall(r"(?:^|\r\n|[^A-Z])([A-Z]+) \S+ HTTP/", row.text) or ["GET"]


@every_taken
def test_what_is_taken_is_answered_wherever_it_is_cut(row: Taken) -> None:
    whole = Site()
    first = played([row.data], whole)
    assert final(first.answers(*methods_in(row))) == list(row.answers)
    assert not first.handler.verdicts
    if row.told:
        assert whole.asked[-1] == row.told
    for pieces in every_cut(row.data):
        site = Site()
        exchange = played(pieces, site)
        assert exchange.output == first.output
        assert site.asked == whole.asked


@every_taken
def test_after_what_is_taken_the_connection_is_in_step(row: Taken) -> None:
    for pieces in ([row.data + SMUGGLED], one_by_one(row.data + SMUGGLED)):
        site = Site()
        exchange = played(pieces, site)
        goes_on = row.answers[-1][1]
        expected = [*row.answers, (200, True)] if goes_on else [*row.answers]
        assert final(exchange.answers(*methods_in(row), "GET")) == expected
        assert (site.asked[-1:] == ["GET example.org /smuggled  "]) is goes_on
        assert not exchange.handler.verdicts
        assert exchange.feed(EOF).closed
        assert not exchange.reset


def test_405_says_what_is_allowed() -> None:
    for method in ("DELETE", "TRACE", "PATCH"):
        content = ["Content-Length: 0"] if method == "PATCH" else []
        [answer] = played([get("/", *content, method=method)], Site()).answers(method)
        assert (answer.status, answer["allow"]) == (405, "GET, HEAD, POST, PUT, OPTIONS")
    for target in ("*", "/"):
        [answer] = played([get(target, method="OPTIONS")], Site()).answers("OPTIONS")
        assert (answer.status, answer["allow"], answer["content-length"]) == (204, "GET, HEAD, POST, PUT, OPTIONS", "")


# ---- told before the content (RFC 9110 §10.1.1)


def waiting(method: str, path: str = "/") -> bytes:
    """A head whose client waits to be told to go on."""
    return get(path, "Expect: 100-continue", "Content-Length: 3", method=method)


@pytest.fixture
def mixed(tmp_path: Any) -> Router:
    """Files at the root, a route beside them, a route that raises below a mount, a site that cannot tell."""
    (tmp_path / "a.txt").write_text("a")
    inner = Router()
    inner.post("/only-post")(lambda request: text("posted"))
    site = Router()
    site.post("/form")(lambda request: text("sent"))
    site.mount("/inner", inner)
    site.mount("/any", lambda request, path: text("any"))
    site.mount("/", StaticFiles(tmp_path))
    return site


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/a.txt", 405, "GET, HEAD, OPTIONS"),
        ("PUT", "/form", 405, "POST, OPTIONS"),
        ("POST", "/nothing", 404, ""),
        ("DELETE", "/inner/only-post", 405, "POST, OPTIONS"),
        ("POST", "/inner/nothing", 404, ""),
        ("BREW", "/a.txt", 501, ""),
        ("TRACE", "/form", 405, "GET, HEAD, POST, OPTIONS"),
    ],
)
def test_a_client_that_waits_is_refused_at_once(mixed: Router, method: str, path: str, status: int, allow: str) -> None:
    exchange = Exchange([waiting(method, path)], mixed)
    [answer] = exchange.answers(method)
    assert (answer.status, answer.interim, answer["allow"], answer.keeps_alive) == (status, [], allow, False)
    assert (exchange.state, exchange.said_end) == (State.LINGER, True)
    # What comes all the same is no request.
    exchange.feed(b"abc" + SMUGGLED, EOF)
    assert exchange.closed
    assert len(exchange.answers(method)) == 1
    # The same without waiting is the same status, after the content.
    [late] = Exchange([get(path, "Content-Length: 3", method=method) + b"abc"], mixed).answers(method)
    assert (late.status, late["allow"], late.keeps_alive) == (status, allow, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/form"), ("POST", "/inner/only-post"), ("POST", "/any/x"), ("OPTIONS", "/a.txt"), ("GET", "/a.txt")],
)
def test_a_client_that_may_send_is_told_so(mixed: Router, method: str, path: str) -> None:
    exchange = Exchange([waiting(method, path)], mixed).feed(b"abc")
    [answer] = exchange.answers(method)
    assert (answer.interim, answer.keeps_alive) == ([100], True)
    assert answer.status in (200, 204)


def test_a_check_that_fails_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    site.check = lambda request: 1 / 0  # type: ignore[assignment]
    exchange = Exchange([waiting("POST")], site)
    assert [answer.status for answer in exchange.answers("POST")] == [500]
    assert "ZeroDivisionError" in caplog.text
    site.check = lambda request: (_ for _ in ()).throw(HTTPError(403, "<no>"))  # type: ignore[assignment]
    [answer] = Exchange([waiting("POST")], site).answers("POST")
    assert (answer.status, answer.keeps_alive) == (403, False)
    assert b"&lt;no&gt;" in answer.body


# ---- too slow


@pytest.mark.parametrize("row", TOO_SLOW, ids=lambda row: row.name)
def test_what_comes_too_slowly_is_answered_or_closed(row: TooSlow) -> None:
    patience = getattr(LIMITS, row.patience)
    for pieces in every_cut(row.data) if row.data else [[]]:
        exchange = played(pieces, Site()).wait(patience - 1)
        assert not exchange.closed
        assert exchange.output.count(b" 408 ") == 0
        exchange.wait(LIMITS.linger_time + 2)
        assert_told_to_be_slow(exchange.output, row)
        assert exchange.closed
        assert not exchange.reset


def assert_told_to_be_slow(output: bytes, row: TooSlow) -> None:
    answers = read_answers(output, ["POST"] * row.text.startswith("POST"))
    assert tuple(answer.status for answer in answers) == row.statuses
    assert [answer.keeps_alive for answer in answers if answer.status == 408] == [False] * (408 in row.statuses)


# ---- every request that the site sees, whatever the cut


OVER = {State.LINGER, State.CLOSED}
HOSTILE = st.one_of(heads(), mutated(heads()), st.just(post(b"hello")), st.just(get()), st.just(SMUGGLED))


@settings(max_examples=examples(200))
@given(st.lists(HOSTILE, min_size=1, max_size=4).map(b"".join), st.lists(st.integers(1, 600), max_size=6))
def test_what_is_seen_of_a_stream_does_not_depend_on_its_cuts(data: bytes, cuts: list[int]) -> None:
    sites, exchanges = [], []
    for pieces in ([data], one_by_one(data), cut_at(data, cuts)):
        sites.append(Site())
        exchanges.append(played(pieces, sites[-1], Limits()))
    whole, *others = exchanges
    for site, exchange in zip(sites[1:], others, strict=True):
        assert site.asked == sites[0].asked
        assert exchange.handler.verdicts == whole.handler.verdicts
        assert exchange.output == whole.output
        # Only where input is unread there is something to linger for.
        assert (exchange.state in OVER) == (whole.state in OVER)


@every_fault
def test_no_refusal_is_taken_under_a_wider_limit(fault: Fault, case: Case) -> None:
    """Only what is too large becomes good where more is allowed."""
    exchange = played([case.data], Site(), Limits())
    assert (
        bool(exchange.handler.verdicts) is (fault.status not in (413, 414, 431)) or exchange.answers()[0].status >= 400
    )


# ---- cut everywhere, over a pair of sockets

_channels = ChannelMap()


def over_a_pair(pieces: list[bytes], site: Site, like: Exchange, *, half_close: bool = False) -> bytes:
    """All that a handler like the exchange's sends on a socket; it has received each piece before the next comes."""
    like.service.site = site
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    handler = Recording(ours, ("192.0.2.1", 4711), {}, like.log, like.service, map=_channels)
    with theirs:
        for piece in pieces:
            theirs.sendall(piece)
            asyncore.loop(0, map=_channels, count=1)
        if half_close:
            theirs.shutdown(socket.SHUT_WR)
            asyncore.loop(0, map=_channels, count=1)
        theirs.settimeout(5)
        output = read_to_end(theirs)
    like.handler.verdicts = handler.verdicts
    asyncore.loop(0, map=_channels, count=1)
    assert not _channels
    return output


@every_fault
def test_over_a_pair_of_sockets_a_refusal_is_the_same_wherever_it_is_cut(fault: Fault, case: Case) -> None:
    whole = played([case.data], Site())
    for pieces in every_cut(case.data):
        site = Site()
        assert over_a_pair(pieces, site, whole) == whole.output
        assert whole.handler.verdicts == [expected(fault, case)]
        assert site.asked == []


@every_taken
def test_over_a_pair_of_sockets_what_is_taken_is_answered_wherever_it_is_cut(row: Taken) -> None:
    told = Site()
    whole = played([row.data], told)
    for pieces in every_cut(row.data):
        site = Site()
        assert over_a_pair(pieces, site, whole, half_close=row.answers[-1][1]) == whole.output
        assert site.asked == told.asked


# ---- over a real socket


class RecordingServer(Keeps, http_request_handler):
    __slots__ = ()
    verdicts: list[Refusal] = []
    evidence: list[bytes] = []


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    with serving(site, limits=LIMITS, handler_class=RecordingServer) as running:
        yield running


def sent(server: Server, pieces: list[bytes], *, half_close: bool = False) -> bytes:
    """All that the server answers to these pieces, each sent by itself, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


@every_fault
def test_over_a_real_socket_a_refusal_is_the_same_and_comes_whole(
    server: Server, site: Site, fault: Fault, case: Case
) -> None:
    for pieces in ([case.data], one_by_one(case.data), [case.data, b"x" * 100_000, SMUGGLED]):
        site.asked.clear()
        RecordingServer.verdicts.clear()
        the_answer(sent(server, pieces), fault)
        assert RecordingServer.verdicts == [expected(fault, case)]
        assert site.asked == []


@every_taken
def test_over_a_real_socket_what_is_taken_is_answered(server: Server, site: Site, row: Taken) -> None:
    for pieces in ([row.data], one_by_one(row.data)):
        site.asked.clear()
        output = sent(server, pieces, half_close=row.answers[-1][1])
        assert final(read_answers(output, methods_in(row))) == list(row.answers)
        if row.told:
            assert site.asked[-1] == row.told


@pytest.mark.parametrize("row", TOO_SLOW, ids=lambda row: row.name)
def test_over_a_real_socket_what_comes_too_slowly_is_answered_or_closed(site: Site, row: TooSlow) -> None:
    short = LIMITS._replace(header_time=0.3, body_time=0.3, idle_time=0.3, linger_pause=0.1)
    with serving(site, limits=short) as impatient:
        assert_told_to_be_slow(sent(impatient, [row.data]), row)


def test_the_answer_reaches_a_client_that_goes_on_sending(server: Server) -> None:
    """5 MB of content that is not wanted, sent before anything is read (RFC 9112 §9.6)."""
    head = get("/", "Content-Length: 5000000", method="POST")
    [answer] = read_answers(sent(server, [head, *[b"x" * 100_000] * 50]), ["POST"])
    assert (answer.status, answer.keeps_alive) == (413, False)


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_one_connection_too_many_is_told_so(limit: str) -> None:
    with (
        serving(limits=Limits(**{limit: 1})) as small,
        socket.create_connection(("127.0.0.1", small.port), 10) as first,
    ):
        first.sendall(get())
        assert first.recv(100)
        [answer] = read_answers(sent(small, []))
        assert (answer.status, answer.keeps_alive, bool(answer["date"])) == (503, False, True)


# ---- the page


def test_the_readme_holds_the_table() -> None:
    """After a change of the table: python -m tests.refusals"""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    assert f"<!-- refusals -->\n{page()}\n<!-- /refusals -->" in readme


def test_every_name_of_the_table_is_of_one_row() -> None:
    for fault, _ in REFUSED:
        names = [case.name for case in fault.cases]
        assert len(set(names)) == len(names)
    taken = [row.name for rows in TAKEN.values() for row in rows]
    assert len(set(taken)) == len(taken)
    assert len({(fault.rule, fault.reason) for fault, _ in REFUSED}) == len(
        dict.fromkeys(map(id, (f for f, _ in REFUSED)))
    )
