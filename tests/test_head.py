"""The head of a request: what it says, or why it is refused; wherever the bytes are cut."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol import head as head_module
from httpd.protocol.diagnosis import HeadLimits, first_fault
from httpd.protocol.errors import Refusal
from httpd.protocol.head import UNEXPLAINED, HeadParser, RefusingParser, Salvage, parse_head, salvage
from httpd.protocol.message import Head, Headers
from httpd.server.limits import Limits

from .heads import SMALL, feed, parser, said, verdict_on
from .refusals import REFUSED, Case, Fault
from .scripted import cut_at, every_cut, one_by_one
from .strategies import heads, mutated
from .survivors import SURVIVORS

# What stands behind a head on the wire must not matter to it.
TRAILING = [b"", b"\r\n", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00\n"]


def taken(head: str | bytes, limits: Limits = SMALL) -> Head:
    """The Head of a good head, the same in every cut and whatever follows."""
    data = (head.encode("latin-1") if isinstance(head, str) else head) + b"\r\n\r\n"
    whole = feed([data], parser(limits))
    assert isinstance(whole, Head), whole
    for trailing in TRAILING:
        for pieces in every_cut(data + trailing):
            verdict = feed(pieces, parser(limits))
            assert isinstance(verdict, Head), verdict
            assert said(verdict) == said(whole)
    return whole


def refused(data: bytes, limits: Limits = SMALL) -> Refusal:
    """The Refusal of a bad head, the same in every cut."""
    whole = feed([data], parser(limits))
    assert isinstance(whole, Refusal), whole
    for pieces in every_cut(data):
        assert feed(pieces, parser(limits)) == whole
    return whole


# ---- refusals


every_fault = pytest.mark.parametrize(("fault", "case"), REFUSED, ids=[case.name for _, case in REFUSED])


@every_fault
def test_a_refusal_names_its_rule_and_the_guilty_bytes_wherever_they_are_cut(fault: Fault, case: Case) -> None:
    told = Refusal(fault.status, fault.reason, fault.rule, case.start, len(case.guilty))
    for pieces in every_cut(case.data):
        assert feed(pieces, parser()) == told
    for trailing in TRAILING:
        assert feed([case.data + trailing], parser()) == feed(one_by_one(case.data + trailing), parser()) == told


@every_fault
def test_what_shows_before_the_end_is_refused_before_the_end(fault: Fault, case: Case) -> None:
    unfinished = case.data.removesuffix(b"\r\n\r\n")
    assert isinstance(feed(one_by_one(unfinished), parser()), Refusal) is case.early


def test_an_unfinished_head_without_fault_waits() -> None:
    data = b"\r\nGET / HTTP/1.1\r\nHost: example.org\r\nA: b\r\n\r"
    for pieces in every_cut(data):
        assert feed(pieces, parser()) is None


def test_only_empty_lines_wait() -> None:
    assert feed([b"\r\n\r\n"], parser()) is None
    assert feed([b"\r", b"\n"], parser()) is None


def test_a_head_of_nothing_but_empty_lines_is_refused() -> None:
    assert parser().parse(b"\r\n", 1) == parser().judge_early(b"\r\n\r\n", 1)


def test_limits_hold_to_the_byte() -> None:
    assert taken(f"GET /{'a' * 46} HTTP/1.1\r\nHost: a").path == f"/{'a' * 46}"
    assert taken(f"GET / HTTP/1.1\r\nHost: {'a' * 178}").host == "a" * 178
    assert len(taken("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\nF: g").headers) == 4


def test_where_the_whole_may_be_no_longer_than_the_line_the_whole_is_told() -> None:
    verdict = refused(b"GET /" + b"a" * 100, Limits(request_line=50, head=40))
    assert (verdict.status, verdict.start, verdict.length) == (431, 40, 1)


def test_where_line_and_whole_may_be_as_long_the_line_is_told() -> None:
    verdict = refused(b"GET /" + b"a" * 100, Limits(request_line=40, head=40))
    assert (verdict.status, verdict.start) == (414, 40)


def test_of_nothing_no_byte_is_guilty() -> None:
    verdict = first_fault("", HeadLimits(request_line=60, head=200, fields=4, body=1000), finished=True)
    assert verdict is not None
    assert (verdict.rule, verdict.start, verdict.length) == ("RFC 9112 §3.1", 0, 0)


def test_a_long_length_costs_nothing() -> None:
    data = b"POST / HTTP/1.0\r\nContent-Length: " + b"9" * 500_000 + b"\r\n\r\n"
    for pieces in ([data], cut_at(data, [20, 33, 34, 250_000, len(data) - 3, len(data) - 1])):
        verdict = feed(pieces, parser(Limits(head=1 << 20)))
        assert isinstance(verdict, Refusal)
        assert (verdict.status, verdict.length) == (413, 500_000)


@pytest.mark.parametrize(
    ("head", "status", "start"),
    [
        (b"CONNECT a:1 HTTP/1.0", 501, 0),
        (b"CONNECT a:65535 HTTP/1.0", 501, 0),
        (b"GET / HTTP/1.0\r\nX X: a", 400, 17),
        (b"GET / HTTP/1.0\r\nX X : a", 400, 17),
    ],
)
def test_near_the_border_of_another_rule(head: bytes, status: int, start: int) -> None:
    verdict = refused(head + b"\r\n\r\n")
    assert (verdict.status, verdict.start) == (status, start)
    assert verdict.rule in ("RFC 9110 §9.3.6", "RFC 9110 §5.1")


# ---- good heads


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("GET / HTTP/1.0", {"method": "GET", "path": "/", "query": "", "version": "1.0", "host": ""}),
        ("GET / HTTP/1.1\r\nHost: a", {"version": "1.1", "host": "a", "headers": Headers([("Host", "a")])}),
        ("GET / HTTP/1.9\r\nHost: a", {"version": "1.1", "request_line": "GET / HTTP/1.9"}),
        ("get / HTTP/1.0", {"method": "get"}),
        ("M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.0", {"method": "M-SEARCH!#$%&'*+.^_`|~"}),
        ("\r\nGET / HTTP/1.0", {"request_line": "GET / HTTP/1.0"}),
        ("\r\n\r\nGET / HTTP/1.0", {"request_line": "GET / HTTP/1.0"}),
        # ---- targets
        ("GET /a/b?c=d&e HTTP/1.0", {"target": "/a/b?c=d&e", "path": "/a/b", "query": "c=d&e"}),
        ("GET /?? HTTP/1.0", {"path": "/", "query": "?"}),
        ("GET //a HTTP/1.0", {"path": "//a"}),
        ("GET /%41%2f%2F HTTP/1.0", {"target": "/%41%2f%2F", "path": "/A//"}),
        ("GET /%2541 HTTP/1.0", {"path": "/%41"}),
        ("GET /%c3%a9%ff HTTP/1.0", {"path": "/é\udcff"}),
        ("GET /a%20b?c%20d HTTP/1.0", {"path": "/a b", "query": "c%20d"}),
        ('GET /"<>[]\\^`{|} HTTP/1.0', {"path": '/"<>[]\\^`{|}'}),
        ("GET http://b:80/c?d HTTP/1.1\r\nHost: a", {"path": "/c", "query": "d", "host": "b:80"}),
        ("GET HTTPS://b HTTP/1.0", {"target": "HTTPS://b", "path": "/", "query": "", "host": "b"}),
        ("GET http://b?c HTTP/1.0", {"path": "/", "query": "c"}),
        ("GET http://[::1]:80/%41 HTTP/1.0", {"path": "/A", "host": "[::1]:80"}),
        ("OPTIONS * HTTP/1.0", {"path": "*", "query": ""}),
        ("OPTIONS http://b HTTP/1.0", {"path": "*", "host": "b"}),
        ("OPTIONS http://b?c HTTP/1.0", {"path": "/", "query": "c"}),
        ("OPTIONS /%61 HTTP/1.0", {"path": "/a"}),
        # ---- hosts
        ("GET / HTTP/1.1\r\nHost:", {"host": ""}),
        ("GET / HTTP/1.1\r\nhOST: A-b_c.example:80", {"host": "A-b_c.example:80"}),
        ("GET / HTTP/1.1\r\nHost: a:", {"host": "a:"}),
        ("GET / HTTP/1.1\r\nHost: %41!$&'()*+,;=", {"host": "%41!$&'()*+,;="}),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080", {"host": "127.0.0.1:8080"}),
        ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080", {"host": "[2001:db8::1]:8080"}),
        ("GET / HTTP/1.1\r\nHost: [v1.a:b]", {"host": "[v1.a:b]"}),
        # ---- values
        ("GET / HTTP/1.0\r\nA:b", {"headers": Headers([("A", "b")])}),
        ("GET / HTTP/1.0\r\nA: \t b \t c\t ", {"headers": Headers([("A", "b \t c")])}),
        ("GET / HTTP/1.0\r\nA:\r\nB: ", {"headers": Headers([("A", ""), ("B", "")])}),
        ("GET / HTTP/1.0\r\nA: b:c\xff\x80", {"headers": Headers([("A", "b:c\xff\x80")])}),
        ("GET / HTTP/1.0\r\nA: b\r\na: c", {"headers": Headers([("A", "b"), ("a", "c")])}),
        # ---- content
        ("POST / HTTP/1.0\r\nContent-Length: 1000", {"content_length": 1000}),
        ("POST / HTTP/1.0\r\nContent-Length: 0", {"content_length": 0}),
        ("POST / HTTP/1.0\r\nContent-Length: 0010", {"content_length": 10}),
        (f"POST / HTTP/1.0\r\nContent-Length: {'0' * 90}5", {"content_length": 5}),
        ("POST / HTTP/1.0\r\nContent-Length: 5 ,\t5", {"content_length": 5}),
        ("POST / HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 5", {"content_length": 5}),
        ("GET / HTTP/1.0\r\nContent-Length: 5", {"content_length": 5}),
        ("DELETE / HTTP/1.0", {"content_length": 0}),
        # ---- expectations
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue", {"expects_continue": True}),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue", {"expects_continue": False}),
        ("PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue", {"expects_continue": False}),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue", {"expects_continue": False}),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: ,", {"expects_continue": False}),
        # ---- persistence
        ("GET / HTTP/1.1\r\nHost: a", {"persistent": True}),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade", {"persistent": True}),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close", {"persistent": False}),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive , close", {"persistent": False}),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed", {"persistent": True}),
        ("GET / HTTP/1.0", {"persistent": None}),
        ("GET / HTTP/1.0\r\nConnection: x", {"persistent": None}),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive", {"persistent": True}),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close", {"persistent": False}),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x,\xa0close", {"persistent": True}),
        # ---- the same beside content, and expectations without it
        ("PUT / HTTP/1.0\r\nContent-Length: 5", {"headers": Headers([("Content-Length", "5")]), "persistent": None}),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5", {"host": "a", "persistent": True}),
        ("GET / HTTP/1.1\r\nHost: a", {"expects_continue": False}),
    ],
)
def test_what_a_head_says(head: str, expected: dict[str, Any]) -> None:
    told = said(taken(head))
    assert {name: told[name] for name in expected} == expected


# ---- what holds for every head


@given(data=st.one_of(heads(), mutated(heads())), cuts=st.lists(st.integers(0, 300)), small=st.booleans())
def test_the_cut_never_matters(data: bytes, cuts: list[int], small: bool) -> None:
    limits = SMALL if small else Limits()
    whole = feed([data], parser(limits))
    cut = feed(cut_at(data, cuts), parser(limits))
    if isinstance(whole, Head):
        assert isinstance(cut, Head)
        assert said(cut) == said(whole)
    else:
        assert cut == whole


@given(data=st.one_of(heads(), mutated(heads())))
def test_what_is_refused_has_a_fault_and_what_is_taken_has_none(data: bytes) -> None:
    head = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0]
    limits = HeadLimits(request_line=60, head=200, fields=4, body=1000)
    verdict = parse_head(head, limits) if head else None
    if isinstance(verdict, Head):
        assert first_fault(head.decode("latin-1"), limits, finished=True) is None
    elif verdict is not None:
        assert verdict != UNEXPLAINED
        assert 0 <= verdict.start <= verdict.start + verdict.length <= len(head)


def test_an_empty_line_within_a_head_is_no_field() -> None:
    verdict = parser().parse(b"GET / HTTP/1.0\r\n\r\nA: b")
    assert isinstance(verdict, Refusal)
    assert (verdict.status, verdict.rule, verdict.start) == (400, "RFC 9112 §5", 16)


# ---- memory


def test_a_head_that_came_twice_is_the_same_object_from_then_on() -> None:
    one = parser()
    first, second, third = (verdict_on(b"GET / HTTP/1.0", one) for _ in range(3))
    assert second is third
    assert first is not second


def test_another_head_of_a_section_that_is_known_is_remembered_when_it_comes_twice() -> None:
    one = parser()
    for _ in range(2):
        one.parse(b"GET /a HTTP/1.0")
    first, second, third = (verdict_on(b"GET /b HTTP/1.0", one) for _ in range(3))
    assert second is third
    assert first is not second


def test_a_head_that_has_become_old_is_still_known() -> None:
    one = parser(memory_count=4)
    _, known = (verdict_on(b"GET / HTTP/1.0", one) for _ in range(2))
    for number in [n for n in range(2) for _ in range(2)]:
        one.parse(b"GET / HTTP/1.0\r\nA: %d" % number)
    assert one.known(b"GET / HTTP/1.0") is known


def test_nobody_is_known_to_have_sent_a_head_and_it_was_not_logged() -> None:
    head = parser().parse(b"GET / HTTP/1.0")
    assert isinstance(head, Head)
    assert head.user == ""
    assert head.logged is None


def test_a_field_section_seen_before_is_shared_by_heads_of_one_version() -> None:
    one = parser()
    _, first, second = (one.parse(b"GET /%d HTTP/1.1\r\nHost: a" % number) for number in range(3))
    assert isinstance(first, Head)
    assert isinstance(second, Head)
    assert first.headers is second.headers
    old = one.parse(b"GET /2 HTTP/1.0\r\nHost: a")
    assert isinstance(old, Head)
    assert old.persistent is None


def test_a_remembered_field_section_still_meets_the_rules_of_the_method() -> None:
    one = parser()
    assert isinstance(one.parse(b"GET / HTTP/1.0\r\nA: b"), Head)
    assert isinstance(one.parse(b"POST / HTTP/1.0\r\nA: b"), Refusal)


def test_a_remembered_head_still_counts_its_empty_lines() -> None:
    one = parser()
    for _ in range(3):
        assert isinstance(verdict_on(b"\r\nGET / HTTP/1.0", one, 0), Head)
    assert isinstance(verdict_on(b"\r\nGET / HTTP/1.0", one, 2), Refusal)


def test_no_empty_line_counts_unless_it_is_told() -> None:
    head = b"\r\n\r\nGET / HTTP/1.0"
    assert isinstance(parser().parse(head), Head)
    assert parser().judge_early(head) is None
    assert isinstance(parse_head(head, HeadLimits(request_line=60, head=200, fields=4, body=1000)), Head)


def test_a_refusal_is_not_remembered() -> None:
    one = parser()
    for head in (b"GET", b"GET / HTTP/1.1"):
        assert one.parse(head) == one.parse(head)
        assert one.known(head) is None


@pytest.mark.parametrize("bounds", [{"memory_count": 0}, {"memory_bytes": 0}, {"memory_count": 4}])
def test_memory_changes_no_verdict(bounds: dict[str, int]) -> None:
    one = parser(**bounds)
    for number in [*range(10), *range(10)]:
        head = verdict_on(f"GET /{number} HTTP/1.0\r\nA: {number}".encode(), one)
        assert isinstance(head, Head)
        assert head.headers["a"] == str(number)


@pytest.mark.parametrize(
    ("bounds", "remembered"), [({}, True), ({"memory_count": 4}, False), ({"memory_bytes": 200}, False)]
)
def test_how_much_is_remembered(bounds: dict[str, int], remembered: bool) -> None:
    one = parser(**bounds)
    _, known = (verdict_on(b"GET / HTTP/1.0", one) for _ in range(2))
    for number in [n for n in range(10) for _ in range(2)]:
        one.parse(b"GET /%d HTTP/1.0\r\nA: %d" % (number, number))
    assert (one.known(b"GET / HTTP/1.0") is known) is remembered


# ---- more content than is usual


def test_content_of_any_length_may_be_taken_elsewhere() -> None:
    head = b"POST / HTTP/1.0\r\nContent-Length: %d" % (1 << 50)
    refusal, longer = parser().parse(head), parser().parse_longer(head)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 413
    assert isinstance(longer, Head)
    assert longer.content_length == 1 << 50
    assert parser().parse_longer(head + b"\r\nX") is None


# ---- where nothing is to be asked


def refusing() -> RefusingParser:
    return RefusingParser(parser().limits, "Not here.", "RFC 9110 §4.2.2")


@pytest.mark.parametrize(
    ("head", "start", "length"),
    [(b"GET / HTTP/1.0", 0, 14), (b"\r\nGET /a HTTP/1.0\r\nA: b", 2, 15), (b"\r\n\r\nHEAD / HTTP/1.0", 4, 15)],
)
def test_a_good_head_is_refused_too(head: bytes, start: int, length: int) -> None:
    assert refusing().parse(head) == Refusal(400, "Not here.", "RFC 9110 §4.2.2", start, length)


@pytest.mark.parametrize(
    "head",
    [
        b"GET",
        b"GET /" + b"a" * SMALL.request_line + b" HTTP/1.0",
        b"GET / HTTP/1.0\r\nA: " + b"a" * SMALL.head,
        b"GET / HTTP/1.0" + b"\r\nA: b" * (SMALL.fields + 1),
        b"POST / HTTP/1.0\r\nContent-Length: %d" % (SMALL.body + 1),
    ],
)
def test_a_bad_head_is_refused_for_its_own_fault(head: bytes) -> None:
    assert refusing().parse(head) == parser().parse(head)
    assert refusing().parse_longer(head) is None


def test_empty_lines_count_there_too() -> None:
    head = b"\r\nGET / HTTP/1.0"
    assert refusing().parse(head, 2) == parser().parse(head, 2)


# ---- evidence


@pytest.mark.parametrize(
    ("data", "evidence"),
    [
        pytest.param(b"\r\n\r\n\r\nGET", b"\r\n" * 3, id="an empty line too many"),
        pytest.param(b"\x00GET / HTTP", b"\x00", id="no method"),
        pytest.param(b"\r\nGET /\r\nHost: a", b"\r\nGET /", id="a line, without its end"),
        pytest.param(b"\r\nCONNECT a:1 HTTP/1.0\r\nA: b", b"\r\nCONNECT a:1 HTTP/1.0", id="a line from its first byte"),
        pytest.param(b"GET / HTTP/1.0\nHost: a", b"GET / HTTP/1.0\n", id="a line end"),
        pytest.param(b"GET /" + b"x" * 999, (b"GET /" + b"x" * 999)[: SMALL.request_line + 1], id="a limit"),
        pytest.param(b"GET / HTTP/1.0\r\nX\r\nAccept: */*", b"GET / HTTP/1.0\r\nX", id="a field line"),
        pytest.param(b"GET / HTTP/1.1\r\nX: y", b"GET / HTTP/1.1\r\nX: y", id="what only the end shows"),
    ],
)
def test_the_evidence_is_what_the_shortest_refused_beginning_has(data: bytes, evidence: bytes) -> None:
    refusal = parser().parse(data)
    assert isinstance(refusal, Refusal)
    assert parser().evidence(data, refusal) == evidence


# ---- mutants


@pytest.mark.parametrize(("line", "mutant", "why"), SURVIVORS)
def test_what_no_test_can_notice_is_still_there(line: str, mutant: str, why: str) -> None:
    """A reason that has lost its line says nothing any more."""
    assert line in inspect.getsource(head_module)
    assert mutant != line
    assert why


# ---- salvage


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", Salvage("", "", "")),
        (b"HEAD  /", Salvage("HEAD  /", "HEAD", "")),
        (b'\r\nGET /\x00\xff" x\r\nAccept: a/b\t\r\nB: c', Salvage('GET /\0\xff" x', "GET", "a/b")),
        (b"GET\t/", Salvage("GET\t/", "", "")),
        (b" GET /", Salvage(" GET /", "", "")),
        (b"X / X\r\nAccept: X/X", Salvage("X / X", "X", "X/X")),
        (b"\x16\x03\x01", Salvage("\x16\x03\x01", "", "")),
        (b"GET / HTTP/1.1\naccept:a/b\nHost: x", Salvage("GET / HTTP/1.1", "GET", "a/b")),
        (b"GET /\r\nAccept:\t a/b,\tc/d", Salvage("GET /", "GET", "a/b,\tc/d")),
        (b"GET /\r\nX-Accept: a/b", Salvage("GET /", "GET", "")),
        (b"a" * 1001 + b" ", Salvage("a" * 1000, "a" * 1001, "")),
    ],
)
def test_what_is_left_of_a_refused_head(head: bytes, expected: Salvage) -> None:
    assert salvage(head) == expected


@given(st.binary(max_size=100))
def test_what_is_left_is_one_line(head: bytes) -> None:
    assert "\n" not in salvage(head).request_line


def test_the_default_memory_is_bounded() -> None:
    one = HeadParser(max_request_line=8192, max_head=32768, max_fields=100, max_body=0)
    for number in [n for n in range(3000) for _ in range(2)]:
        one.parse(b"GET /%d HTTP/1.0\r\nA: %d" % (number, number))
    assert len(one._memory.heads) <= 1024
    assert len(one._memory.sections) <= 1024


def test_the_default_memory_is_bounded_in_bytes_too() -> None:
    one = HeadParser(max_request_line=8192, max_head=32768, max_fields=100, max_body=0)
    for number in [n for n in range(60) for _ in range(2)]:
        one.parse(b"GET / HTTP/1.0\r\nA: %030000d" % number)
    assert 0 < len(one._memory.heads) * 30_000 <= 1 << 20
