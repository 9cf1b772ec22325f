"""What the server refuses, and what it takes where a specification leaves the choice: one table.

The tests feed every row to the server, whole and cut everywhere; the README's page is made of it:

    python -m tests.refusals            # write the page into README.md

A case is a request's head without the empty line that ends it, as latin-1 text, one character a byte.  In a refused
one the guilty bytes stand between « and »; where a thing is missing there is nothing between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from httpd.server.limits import Limits, describe_limits

from .markdown import cell, write

__all__ = [
    "FAULTS",
    "LIMITS",
    "SMUGGLED",
    "TAKEN",
    "TOO_SLOW",
    "Case",
    "Fault",
    "Group",
    "Taken",
    "TooSlow",
    "page",
]

# The limits under which the table holds: small, so that a case can pass them without filling pages.
LIMITS = Limits(request_line=60, head=200, fields=4, body=1000)

# What an attacker hides behind a request whose end two readers see in different places.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: example.org\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """One way to break a rule.

    `early` says that the fault shows before the head's end has come, and is refused then.
    """

    name: str
    marked: str
    early: bool = True

    @property
    def data(self) -> bytes:
        """The head's bytes, its end included."""
        return self.marked.replace("«", "").replace("»", "").encode("latin-1") + b"\r\n\r\n"

    @property
    def start(self) -> int:
        """Where the guilty bytes begin."""
        return self.marked.index("«")

    @property
    def guilty(self) -> bytes:
        """The guilty bytes; none where something is missing."""
        return self.marked[self.start + 1 : self.marked.index("»")].encode("latin-1")


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that may be broken: the answer's status, the section, what the client is told, and ways to break it."""

    status: int
    rule: str
    reason: str
    cases: tuple[Case, ...] = ()

    def broken_by(self, *cases: Case) -> Fault:
        """The same, broken in these ways."""
        return replace(self, cases=cases)


@dataclass(frozen=True, slots=True)
class Group:
    """Faults of one part of a request, and why they are refused rather than repaired."""

    title: str
    why: str
    faults: tuple[Fault, ...] = ()

    def of(self, *faults: Fault) -> Group:
        """The same, of these faults."""
        return replace(self, faults=faults)


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that are taken, all of them: `answers` has (status, whether the connection persists) for each request.

    `told` is what the last request says to the site: method, host, path, query and content, with a space between each
    two; "" where it does not come to that, or does not matter.
    """

    name: str
    text: str
    answers: tuple[tuple[int, bool], ...]
    rule: str
    told: str = ""

    @property
    def data(self) -> bytes:
        """The bytes on the wire, all of them."""
        return self.text.encode("latin-1")


@dataclass(frozen=True, slots=True)
class TooSlow:
    """Bytes after which nothing more comes: `statuses` are the answers before the connection closes.

    `patience` is the limit that has passed then, by its name in Limits.
    """

    name: str
    text: str
    statuses: tuple[int, ...]
    patience: str
    rule: str

    @property
    def data(self) -> bytes:
        """The bytes on the wire, all of them."""
        return self.text.encode("latin-1")


# ---- how cases are written

_HOST = "\r\nHost: example.org"


def _first(name: str, line: str) -> Case:
    """A case of the request-line."""
    return Case(name, line + _HOST)


def _target(name: str, target: str) -> Case:
    return Case(name, f"GET {target} HTTP/1.1{_HOST}")


def _version(name: str, version: str) -> Case:
    return Case(name, f"GET / {version}{_HOST}")


def _field(name: str, line: str) -> Case:
    """A case of one field line by itself, which shows when the line has ended."""
    return Case(name, f"GET / HTTP/1.1{_HOST}\r\n{line}\r\nA: b")


def _host(name: str, value: str) -> Case:
    """A case of the Host, which shows at the end of the head: another Host may follow."""
    return Case(name, f"GET / HTTP/1.1\r\nHost: {value}", early=False)


def _late(name: str, head: str) -> Case:
    """A case of several lines together, which shows at the end of the head."""
    return Case(name, head, early=False)


def _post(name: str, lines: str) -> Case:
    return Case(name, f"POST / HTTP/1.1{_HOST}\r\n{lines}", early=False)


def _length(name: str, value: str) -> Case:
    return _post(name, f"Content-Length: {value}")


def _coding(name: str, value: str) -> Case:
    return _post(name, f"Transfer-Encoding: {value}")


# ---- the faults

_BEGINNING = Group(
    "Before the request",
    "Some clients send a line end too many after a body, and two are forgiven. What goes on like this is no HTTP.",
).of(
    Fault(400, "RFC 9112 §2.2", "More than 2 empty lines before the request-line.").broken_by(
        Case("three empty lines", f"\r\n\r\n«\r\n»GET / HTTP/1.1{_HOST}"),
        Case("nothing but empty lines", "\r\n\r\n«\r\n»"),
    ),
    Fault(400, "RFC 9112 §3", "This looks like TLS; the port speaks plain HTTP.").broken_by(
        Case("the hello of TLS 1.0 to 1.3", "«\x16\x03»\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello"),
        Case("the first two bytes of one", "«\x16\x03»"),
        Case("one after an empty line", "\r\n«\x16\x03»\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello"),
    ),
)

_LINE_ENDS = Group(
    "Line ends",
    "A line ends in CRLF and in nothing else. A reader that takes less sees lines where the next one sees a value.",
).of(
    Fault(400, "RFC 9112 §2.2", "A line ends in LF without CR.").broken_by(
        Case("LF after the request-line", "GET / HTTP/1.1«\n»Host: example.org"),
        Case("LF after a field", f"GET / HTTP/1.1{_HOST}«\n»A: b"),
        Case("LF between a field and a hidden coding", f"POST / HTTP/1.1{_HOST}«\n»Transfer-Encoding: chunked"),
        Case("LF at the very end", f"GET / HTTP/1.1{_HOST}\r\nA: b«\n»"),
        Case("LF for an empty line before the request", f"«\n»GET / HTTP/1.1{_HOST}"),
        Case("a head that ends in LF LF", f"GET / HTTP/1.1{_HOST}«\n»\nGET /smuggled HTTP/1.1{_HOST}"),
        Case("LF CR", f"GET / HTTP/1.1{_HOST}«\n»\rA: b"),
    ),
    Fault(400, "RFC 9112 §2.2", "A CR that no LF follows.").broken_by(
        _field("CR in a value", "A: b«\r»c"),
        _field("CR before a hidden coding", "A: b«\r»Transfer-Encoding: chunked"),
        _field("CR before a colon's value", "A:«\r» b"),
        _field("CR alone as a value", "A: «\r»"),
        _field("CR CR LF", "A: b«\r»"),
        _late("CR CR LF at the end", f"GET / HTTP/1.1{_HOST}«\r»"),
    ),
)

_REQUEST_LINE = Group(
    "The request-line",
    "Three parts with one space between each two. A more lenient reader splits the line at other places.",
).of(
    Fault(400, "RFC 9112 §3.1", "The request-line does not begin with a method.").broken_by(
        _first("a bracket first", "«(»ET / HTTP/1.1"),
        _first("a space first", "« »GET / HTTP/1.1"),
        _first("a tab first", "«\t»GET / HTTP/1.1"),
        _first("NUL first", "«\x00»GET / HTTP/1.1"),
        _first("a byte order mark first", "«\xef»\xbb\xbfGET / HTTP/1.1"),
        _first("the hello of SSL 2", "«\x80»\x2e\x01\x00\x02"),
        _first("a vertical tab first", "«\x0b»GET / HTTP/1.1"),
        Case("a remote desktop", "«\x03»\x00\x00\x13\x0e\xe0"),
        _late("half of a TLS hello", "«\x16»"),
        Case("a long line of NUL", "«\x00»" + "\x00" * 99),
        Case("a space first and LF at the end", "« »GET / HTTP/1.1\n"),
        _first("a quoted method", '«"»GET" / HTTP/1.1'),
        _first("a line of spaces", "« »  "),
        Case("an empty line, then half of a TLS hello", f"\r\n«\x16»GET / HTTP/1.1{_HOST}"),
        Case("an empty line, then a space", f"\r\n« »GET / HTTP/1.1{_HOST}"),
        Case("three CRs before the line", f"«\r»\r\r\nGET / HTTP/1.1{_HOST}"),
    ),
    Fault(400, "RFC 9112 §3", "A byte that is not allowed in the method.").broken_by(
        _first("NUL in the method", "G«\x00»T / HTTP/1.1"),
        _first("a comma after it", "GET«,» / HTTP/1.1"),
        _first("a colon in it", "GET«:»/ HTTP/1.1"),
        _first("a letter that is not ASCII", "G«\xcb»T / HTTP/1.1"),
        _first("a tab after it", "GET«\t»/ HTTP/1.1"),
        _first("a vertical tab after it", "GET«\x0b»/ HTTP/1.1"),
        _first("a no-break space after it", "GET«\xa0»/ HTTP/1.1"),
        _first("a next-line character after it", "GET«\x85»/ HTTP/1.1"),
        _first("CR after it", "GET«\r»/ HTTP/1.1"),
        _first("a field line first", "Host«:» example.org"),
    ),
    Fault(400, "RFC 9112 §3", "More than one space after the method.").broken_by(
        _first("two spaces after the method", "GET « »/ HTTP/1.1"),
        _first("a space and a tab after the method", "GET «\t»/ HTTP/1.1"),
        _first("two spaces and no target", "GET « »"),
    ),
    Fault(400, "RFC 9112 §3", "Nothing follows the method.").broken_by(_first("a method alone", "GET«»")),
    Fault(400, "RFC 9112 §3.2", "The request-target does not begin.").broken_by(
        _first("a method and a space", "GET «»"),
        _first("a control for a target", "GET «\x01» HTTP/1.1"),
        _first("CR for a target", "GET «\r» HTTP/1.1"),
        _first("a target that begins with a fragment", "GET «#»a HTTP/1.1"),
        Case("an empty line, then a fault", f"\r\nGET «\x01» HTTP/1.1{_HOST}"),
    ),
    Fault(400, "RFC 9112 §C.1", "No HTTP version: HTTP/0.9 is not spoken here.").broken_by(
        _late("HTTP/0.9", "GET /x«»"),
        _first("HTTP/0.9 with fields", "GET /x«»"),
    ),
    Fault(400, "RFC 9112 §3", "More than one space after the request-target.").broken_by(
        _first("two spaces after the target", "GET / « »HTTP/1.1"),
        _first("a space and a tab after the target", "GET / «\t»HTTP/1.1"),
    ),
    Fault(400, "RFC 9112 §2.3", "The request-line does not end in an HTTP version.").broken_by(
        _version("no version after the space", "«»"),
        _version("a version in lower case", "«http/1.1»"),
        _version("a version in mixed case", "«Http/1.1»"),
        _version("a version without minor", "«HTTP/1»"),
        _version("a version without minor digit", "«HTTP/1.»"),
        _version("a version of a letter", "«HTTP/1.x»"),
        _version("a digit that is not ASCII", "«HTTP/1.\xb9»"),
        _version("a comma in the version", "«HTTP/1,1»"),
        _version("a backslash in the version", "«HTTP\\1.1»"),
        _version("a space in the version", "«HTTP/ 1.1»"),
        _version("a sign in the version", "«HTTP/+1.1»"),
        _version("a leading zero", "«HTTP/01.1»"),
        _version("a major of two digits", "«HTTP/11.1»"),
        _version("another protocol", "«RTSP/1.0»"),
        _version("a protocol alone", "«HTTP»"),
        _version("HTTPS for a version", "«HTTPS/1.1»"),
        _version("CR for a version", "«\rHTTP/1.1»"),
        _first("a space in the target", "GET /a «b HTTP/1.1»"),
    ),
    Fault(400, "RFC 9112 §3", "Something follows the HTTP version.").broken_by(
        _first("a minor of two digits", "GET / HTTP/1.1«0»"),
        _first("three numbers", "GET / HTTP/1.1«.1»"),
        _first("a space after the version", "GET / HTTP/1.1« »"),
        _first("a tab after the version", "GET / HTTP/1.1«\t»"),
        _first("NUL after the version", "GET / HTTP/1.1«\x00»"),
        _first("CR after the version", "GET / HTTP/1.1«\r»"),
        _first("a version twice", "GET / HTTP/1.1« HTTP/1.1»"),
        _first("a field after the version", "GET / HTTP/1.1« Host: a»"),
        _first("CR between it and a hidden field", "GET / HTTP/1.1«\rHost: a»"),
    ),
    Fault(505, "RFC 9110 §15.6.6", "HTTP/2.0 is not spoken here.").broken_by(
        _version("HTTP/2.0", "«HTTP/2.0»"),
        _late("the preface of HTTP/2", "PRI * «HTTP/2.0»"),
    ),
    Fault(505, "RFC 9110 §15.6.6", "HTTP/3.0 is not spoken here.").broken_by(_version("HTTP/3.0", "«HTTP/3.0»")),
    Fault(505, "RFC 9110 §15.6.6", "HTTP/0.9 is not spoken here.").broken_by(
        _version("HTTP/0.9 by name", "«HTTP/0.9»")
    ),
)

_TARGET = Group(
    "The request-target",
    "What the target names must be the same for every reader: no byte that one of them cuts off, decodes or repairs.",
).of(
    Fault(400, "RFC 9112 §3", "A byte that is not allowed in the request-target.").broken_by(
        _target("a fragment", "/a«#»b"),
        _target("NUL", "/a«\x00»b"),
        _target("DEL", "/a«\x7f»"),
        _target("CR", "/a«\r»b"),
        _target("a tab after it", "/«\t»x"),
        _target("a form feed after it", "/«\x0c»x"),
        _target("an octet of UTF-8", "/«\xc3»\xa9"),
        _target("an overlong slash", "/..«\xc0»\xaf.."),
        _target("a no-break space", "/a«\xa0»b"),
        _target("a next-line character", "/a«\x85»b"),
    ),
    Fault(400, "RFC 3986 §2.1", "A % without two hexadecimal digits after it in the request-target.").broken_by(
        _target("an escape of other letters", "/a«%zz»"),
        _target("an escape cut short", "/a«%4»"),
        _target("a % alone", "/a«%»"),
        _target("two % signs", "/«%%4»1"),
        _target("an escape of UTF-16", "/«%u0»041"),
        _target("a sign in an escape", "/«%+1»a"),
        _target("a broken escape in the query", "/a?b=«%»"),
        _target("a broken escape in the host", "http://a«%g0»/"),
    ),
    Fault(400, "RFC 3986 §2.1", "An escaped NUL in the request-target.").broken_by(
        _target("an escaped NUL", "/a«%00».html"),
        _target("an escaped NUL in the query", "/a?«%00»"),
        _target("an escaped NUL in the host", "http://a«%00».b/"),
    ),
    Fault(400, "RFC 9112 §3.2", "The request-target is neither a path nor an http URI.").broken_by(
        _target("a relative path", "«index.html»"),
        _target("a path that climbs", "«../../etc/passwd»"),
        _target("a query alone", "«?a=b»"),
        _target("a backslash", "«\\a»"),
        _target("an escaped slash", "«%2fa»"),
        _target("a host and a port", "«example.org:80»"),
        _target("a URI of another scheme", "«ftp://example.org/»"),
        _target("a URI of a file", "«file:///etc/passwd»"),
        _target("a URI without a host", "«http:///a»"),
        _target("a URI of a port alone", "«http://:80/»"),
        _target("a URI of one slash", "«http:/a»"),
        _target("a URI with userinfo", "«http://me@example.org/»"),
        _target("a URI with two ports", "«http://a:80:80/»"),
        _target("a URI with a port of letters", "«http://a:b/»"),
        _target("a URI with a broken IPv6 address", "«http://[::1/»"),
        _target("a URI with a backslash after the host", "«http://a\\b/»"),
        _first("* and more", "OPTIONS «*/» HTTP/1.1"),
    ),
    Fault(400, "RFC 9112 §3.2.4", "The target * is for OPTIONS alone.").broken_by(
        _target("* for another method", "«*»")
    ),
    Fault(400, "RFC 9112 §3.2.3", "The target of CONNECT is not a host and a port.").broken_by(
        _first("CONNECT to a path", "CONNECT «/» HTTP/1.1"),
        _first("CONNECT to a URI", "CONNECT «http://a:80/» HTTP/1.1"),
        _first("CONNECT to *", "CONNECT «*» HTTP/1.1"),
        _first("CONNECT without a port", "CONNECT «example.org» HTTP/1.1"),
        _first("CONNECT to an empty port", "CONNECT «example.org:» HTTP/1.1"),
        _first("CONNECT to port 0", "CONNECT «example.org:0» HTTP/1.1"),
        _first("CONNECT beyond the ports", "CONNECT «example.org:65536» HTTP/1.1"),
        _first("CONNECT with userinfo", "CONNECT «me@example.org:80» HTTP/1.1"),
    ),
    Fault(501, "RFC 9110 §9.3.6", "CONNECT is for proxies, and this is none.").broken_by(
        _first("CONNECT", "«CONNECT» example.org:443 HTTP/1.1"),
        _first("CONNECT to an address", "«CONNECT» [::1]:443 HTTP/1.1"),
    ),
)

_SIZES = Group("Sizes", "A bound on all that is held of a request before it is one.").of(
    Fault(414, "RFC 9112 §3", "The request-line is longer than 60 bytes.").broken_by(
        _first("one byte over", f"GET /{'a' * 47} HTTP/1.«1»"),
        _first("a long target", f"GET /{'a' * 55}«a»{'a' * 50} HTTP/1.1"),
        _first("a long query", f"GET /?{'a' * 54}«a»{'a' * 50} HTTP/1.1"),
        _first("a long method", f"{'A' * 60}«A»{'A' * 50} / HTTP/1.1"),
        _first("a long version", f"GET / {'1' * 54}«1»{'1' * 50}"),
    ),
    Fault(431, "RFC 6585 §5", "The head is longer than 200 bytes.").broken_by(
        Case("a long value", f"GET / HTTP/1.1\r\nHost: {'a' * 178}«a»aa"),
        Case("a long name", f"GET / HTTP/1.1{_HOST}\r\n{'a' * 165}«a»: b"),
        Case("a line end too far", f"GET / HTTP/1.1\r\nHost: {'a' * 178}«\r»\nA: b"),
        Case("blanks", f"GET / HTTP/1.1{_HOST}\r\nA:{' ' * 163}« »b"),
    ),
    Fault(431, "RFC 6585 §5", "More than 4 field lines.").broken_by(
        Case("one line more", "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\nF: g\r\n«H»: i"),
        Case("many lines of one name", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n«A»: b"),
    ),
    Fault(413, "RFC 9110 §15.5.14", "More than 1000 bytes of content.").broken_by(
        _length("one byte over the limit", "«1001»"),
        _length("more than 32 bits", "«4294967297»"),
        _length("more than 64 bits", "«18446744073709551621»"),
        _length("a hundred digits", f"«{'9' * 100}»"),
        _length("a one and many zeros", f"«1{'0' * 99}»"),
        _length("a list of one such", "«1001, 1001»"),
        _late("content of a GET", f"GET / HTTP/1.1{_HOST}\r\nContent-Length: «1001»"),
    ),
)

_FIELD_LINES = Group(
    "Field lines",
    "A name, a colon, a value. What one reader takes for Transfer-Encoding, another must not take for noise.",
).of(
    Fault(400, "RFC 9112 §5.2", "A field value folded over two lines.").broken_by(
        Case("a line folded", f"GET / HTTP/1.1{_HOST}\r\n« »folded\r\nA: b"),
        Case("a line folded with a tab", f"GET / HTTP/1.1{_HOST}\r\n«\t»folded\r\nA: b"),
        Case("a line of blanks", f"GET / HTTP/1.1{_HOST}\r\n« \t »\r\nA: b"),
        Case("a coding folded", f"POST / HTTP/1.1{_HOST}\r\nTransfer-Encoding:\r\n« »chunked\r\nA: b"),
        Case("a length folded", f"POST / HTTP/1.1{_HOST}\r\nContent-Length: 1\r\n« »0\r\nA: b"),
        Case("a field hidden in a fold", f"POST / HTTP/1.1{_HOST}\r\n« »Transfer-Encoding: chunked\r\nA: b"),
    ),
    Fault(400, "RFC 9112 §2.2", "Whitespace between the request-line and the first field.").broken_by(
        Case("a space before the first field", "GET / HTTP/1.1\r\n« »Host: example.org\r\nA: b"),
        Case("blanks before the first field", "GET / HTTP/1.1\r\n«\t »Host: example.org\r\nA: b"),
        Case("a blank line for a first field", "GET / HTTP/1.1\r\n« »\r\nHost: example.org"),
    ),
    Fault(400, "RFC 9112 §5", "A field line without a colon.").broken_by(
        _field("a word", "«field»"),
        _field("a name and a value without it", "«Transfer-Encoding chunked»"),
        _field("an equals sign for it", "«Host=example.org»"),
        _field("another request-line", "«GET /smuggled HTTP/1.1»"),
        _field("a colon of full width", "«Host\xef\xbc\x9a example.org»"),
    ),
    Fault(400, "RFC 9112 §5", "A field without a name.").broken_by(
        _field("a value without a name", "«:» value"), _field("a colon alone", "«:»")
    ),
    Fault(400, "RFC 9112 §5.1", "Whitespace between a field name and its colon.").broken_by(
        _field("a space before the colon", "name« »: value"),
        _field("blanks before the colon", "name« \t»: value"),
        _field("a space after the name of a coding", "Transfer-Encoding« »: chunked"),
        _field("a tab after the name of a length", "Content-Length«\t»: 5"),
        Case("the first of two such", f"GET / HTTP/1.1{_HOST}\r\nA« »: b\r\nC : d"),
    ),
    Fault(400, "RFC 9110 §5.1", "A byte that is not allowed in a field name.").broken_by(
        _field("a bracket in a name", "na«(»me: value"),
        _field("an octet beyond ASCII first", "«\xff»: value"),
        _field("a space within a name", "Content« »Length: 5"),
        _field("NUL in a name", "Transfer-Encoding«\x00»: chunked"),
        _field("CR before the colon", "Transfer-Encoding«\r»: chunked"),
        _field("CR before the name", "«\r»Transfer-Encoding: chunked"),
        _field("a vertical tab before the colon", "Transfer-Encoding«\x0b»: chunked"),
        _field("a form feed before the name", "«\x0c»Transfer-Encoding: chunked"),
        _field("a no-break space before the colon", "Transfer-Encoding«\xa0»: chunked"),
        _field("a next-line character before the name", "«\x85»Content-Length: 5"),
        _field("a quoted name", '«"»Host": a'),
        _field("a semicolon before the colon", "Host«;»: a"),
        _field("a slash in a name", "a«/»b: c"),
        _field("another request-line with a URI", "GET« »http://a/ HTTP/1.1"),
    ),
    Fault(400, "RFC 9110 §5.5", "A control character in a field value.").broken_by(
        _field("NUL", "A: b«\x00»c"),
        _field("NUL at the end", "A: b«\x00»"),
        _field("DEL", "A: «\x7f»"),
        _field("ESC", "A: «\x1b»[2J"),
        _field("a vertical tab before a coding", "Transfer-Encoding: «\x0b»chunked"),
        _field("a form feed after a length", "Content-Length: 5«\x0c»"),
        _field("NUL in a Host", "Host: a«\x00».b"),
    ),
)

_HOSTS = Group(
    "Host", "One host, well-formed, in every HTTP/1.1 request: whom it is for must not depend on who reads it."
).of(
    Fault(400, "RFC 9112 §3.2", "An HTTP/1.1 request without Host.").broken_by(
        _late("no Host", "GET / HTTP/1.1\r\nA: b«»"),
        _late("no field at all", "GET / HTTP/1.1«»"),
        _late("no Host in HTTP/1.9", "GET / HTTP/1.9\r\nA: b«»"),
        _late("no Host beside a URI", "GET http://a/ HTTP/1.1«»"),
        _late("no Host but a name like it", "GET / HTTP/1.1\r\nX-Host: a«»"),
    ),
    Fault(400, "RFC 9112 §3.2", "More than one Host.").broken_by(
        _late("two Hosts", f"GET / HTTP/1.1{_HOST}\r\n«Host: example.com»"),
        _late("the same Host twice", f"GET / HTTP/1.1{_HOST}\r\n«host: example.org»"),
        _late("two Hosts, one empty", f"GET / HTTP/1.1{_HOST}\r\n«Host:»"),
        _late("two Hosts, both empty", "GET / HTTP/1.1\r\nHost:\r\n«Host:»"),
        _late("two Hosts in HTTP/1.0", f"GET / HTTP/1.0{_HOST}\r\n«HOST:»"),
        _late("two Hosts beside a URI", f"GET http://a/ HTTP/1.1{_HOST}\r\n«Host: a»"),
    ),
    Fault(400, "RFC 9112 §3.2", "The Host is not a host with an optional port.").broken_by(
        _host("a list of two", "«a, b»"),
        _host("a space in it", "«a b»"),
        _host("a path", "«example.org/a»"),
        _host("a URI", "«http://example.org»"),
        _host("userinfo", "«me@example.org»"),
        _host("a backslash", "«a\\b»"),
        _host("a query", "«a?b»"),
        _host("a fragment", "«a#b»"),
        _host("markup", "«<script>»"),
        _host("quotes", '«"a"»'),
        _host("an octet beyond ASCII", "«\xe4.org»"),
        _host("a no-break space after it", "«a\xa0»"),
        _host("a broken escape", "«a%zz»"),
        _host("IPv6 without brackets", "«::1»"),
        _host("a bracket left open", "«[::1»"),
        _host("brackets around a name", "«[a.org]»"),
        _host("a zone in IPv6", "«[fe80::1%eth0]»"),
        _host("a port alone", "«:80»"),
        _host("a colon alone", "«:»"),
        _host("a port of letters", "«a:http»"),
        _host("a port with a sign", "«a:+80»"),
        _host("two ports", "«a:80:80»"),
        _late("a bad Host beside a URI", "GET http://a/ HTTP/1.1\r\nHost: «?»"),
        _late("a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: «a b»"),
    ),
)

_LENGTHS = Group(
    "The length of the content",
    "Where two readers see two ends of a request, the rest of it is a request to one of them: request smuggling.",
).of(
    Fault(400, "RFC 9112 §6.3", "The Content-Length is not a number.").broken_by(
        _length("letters", "«ten»"),
        _length("a plus sign", "«+5»"),
        _length("a minus sign", "«-1»"),
        _length("minus zero", "«-0»"),
        _length("hexadecimal", "«0x10»"),
        _length("octal", "«0o17»"),
        _length("an exponent", "«1e3»"),
        _length("a fraction", "«5.0»"),
        _length("an underscore", "«1_0»"),
        _length("a superscript digit", "«\xb9»"),
        _length("a space in it", "«1 0»"),
        _length("a tab in it", "«1\t0»"),
        _length("a no-break space before it", "«\xa05»"),
        _length("a next-line character after it", "«5\x85»"),
        _length("quotes", '«"5"»'),
        _length("a parameter", "«5;a=b»"),
        _post("nothing", "Content-Length:«»"),
        _length("a comma after it", "«5,»"),
        _length("a comma before it", "«, 5»"),
        _length("a gap in a list", "«5,,5»"),
        _length("a sign in a list", "«5, +5»"),
        _length("a semicolon for a comma", "«5;5»"),
        _post("the second of two", "Content-Length: 5\r\nContent-Length: «5a»"),
        _post("the second of two, empty", "Content-Length: 5\r\nContent-Length:«»"),
        _late("the length of a GET", f"GET / HTTP/1.1{_HOST}\r\nContent-Length: «+0»"),
    ),
    Fault(400, "RFC 9112 §6.3", "Several Content-Lengths that differ.").broken_by(
        _post("two lengths", "Content-Length: 5\r\ncontent-length: «6»"),
        _post("two lengths, one zero", "Content-Length: 0\r\nContent-Length: «40»"),
        _post("three lengths", "Content-Length: 5\r\nContent-Length: 6\r\nContent-Length: «5»"),
        _length("a list", "«5, 6»"),
        _length("a list without blanks", "«5,6»"),
        _length("another spelling of one number", "«5, 05»"),
    ),
    Fault(411, "RFC 9112 §6.3", "A POST request without Content-Length.").broken_by(
        _post("POST", "A: b«»"),
        _post("a name like it", "Content_Length: 5«»"),
        _late("POST in HTTP/1.0", "POST / HTTP/1.0«»"),
        _post("POST that expects to be told", "Expect: 100-continue«»"),
    ),
    Fault(411, "RFC 9112 §6.3", "A PUT request without Content-Length.").broken_by(
        _late("PUT", f"PUT / HTTP/1.1{_HOST}«»"), _late("PUT in HTTP/1.0", "PUT / HTTP/1.0«»")
    ),
    Fault(411, "RFC 9112 §6.3", "A PATCH request without Content-Length.").broken_by(
        _late("PATCH", f"PATCH / HTTP/1.1{_HOST}\r\nA: b«»")
    ),
)

_CODINGS = Group(
    "Transfer codings",
    "An HTTP/1.0 server decodes none, and never guesses. Every request with one ends its connection.",
).of(
    Fault(411, "RFC 9112 §6.3", "Chunked content: its length must be sent before it.").broken_by(
        _coding("chunked", "«chunked»"),
        _post("chunked in capitals", "TRANSFER-ENCODING: «CHUNKED»"),
        _post("chunked after a tab", "Transfer-Encoding:\t«chunked»"),
        _coding("chunked before a blank", "«chunked» "),
        _late("chunked content of a GET", f"GET / HTTP/1.1{_HOST}\r\nTransfer-Encoding: «chunked»"),
        _late("chunked in HTTP/1.9", f"POST / HTTP/1.9{_HOST}\r\nTransfer-Encoding: «chunked»"),
    ),
    Fault(501, "RFC 9112 §6.1", "A transfer coding that is not known here.").broken_by(
        _coding("gzip", "«gzip, chunked»"),
        _coding("identity", "«identity»"),
        _coding("chunked, then identity", "«chunked, identity»"),
        _coding("chunked twice", "«chunked, chunked»"),
        _post("chunked in two fields", "Transfer-Encoding: «chunked»\r\nTransfer-Encoding: chunked"),
        _post("chunked and another field", "Transfer-Encoding: «chunked»\r\nTransfer-Encoding: x"),
        _coding("a word like it", "«xchunked»"),
        _coding("a part of the word", "«chunk»"),
        _coding("a parameter", "«chunked;a=b»"),
        _coding("quotes", '«"chunked"»'),
        _coding("single quotes", "«'chunked'»"),
        _coding("a comma before it", "«, chunked»"),
        _coding("a comma after it", "«chunked,»"),
        _coding("a no-break space before it", "«\xa0chunked»"),
        _coding("a next-line character after it", "«chunked\x85»"),
        _coding("nothing", "«»"),
    ),
    Fault(400, "RFC 9112 §6.3", "A Transfer-Encoding beside a Content-Length.").broken_by(
        _post("a coding and a length", "«Transfer-Encoding: chunked»\r\nContent-Length: 5"),
        _post("a length and a coding", "Content-Length: 5\r\n«Transfer-Encoding: chunked»"),
        _post("a length and an unknown coding", "Content-Length: 5\r\n«Transfer-Encoding: x»"),
        _post("a length and an empty coding", "Content-Length: 5\r\n«Transfer-Encoding:»"),
        _post("a length and identity", "Content-Length: 5\r\n«Transfer-Encoding: identity»"),
        _post("a broken length and a coding", "Content-Length: x\r\n«Transfer-Encoding: chunked»"),
    ),
    Fault(400, "RFC 9112 §6.1", "A Transfer-Encoding in an HTTP/1.0 request.").broken_by(
        _late("chunked in HTTP/1.0", "POST / HTTP/1.0\r\n«Transfer-Encoding: chunked»"),
        _late(
            "a length and a coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nContent-Length: 5\r\n«Transfer-Encoding: chunked»",
        ),
        _late("a coding of a GET in HTTP/1.0", "GET / HTTP/1.0\r\n«Transfer-Encoding: x»"),
    ),
)

_EXPECTATIONS = Group(
    "Expectations",
    "A client that expects what is not done here is told so before it sends its content. One that may go on is told "
    "`HTTP/1.1 100 Continue`, though every final answer says HTTP/1.0: that version has no interim responses, and none "
    "of its clients gets one (RFC 9110 §15.2).",
).of(
    Fault(417, "RFC 9110 §10.1.1", "An expectation other than 100-continue.").broken_by(
        _post("another word", "Content-Length: 5\r\nExpect: «200-ok»"),
        _post("one too many", "Content-Length: 5\r\nExpect: «100-continue, x»"),
        _post("a parameter", "Content-Length: 5\r\nExpect: «100-continue;q=1»"),
        _post("a space in it", "Content-Length: 5\r\nExpect: «100 continue»"),
        _post("a no-break space after it", "Content-Length: 5\r\nExpect: «100-continue\xa0»"),
        _late("of a GET in HTTP/1.0", "GET / HTTP/1.0\r\nExpect: «x=y»"),
    ),
)

FAULTS = (
    _BEGINNING,
    _LINE_ENDS,
    _REQUEST_LINE,
    _TARGET,
    _SIZES,
    _FIELD_LINES,
    _HOSTS,
    _LENGTHS,
    _CODINGS,
    _EXPECTATIONS,
)

# Every way to break every rule.
REFUSED = tuple((fault, case) for group in FAULTS for fault in group.faults for case in fault.cases)


# ---- what is taken where one could choose


def _get(*lines: str, target: str = "/", version: str = "1.1", method: str = "GET", content: str = "") -> str:
    host = ["Host: example.org"] if version == "1.1" else []
    return "\r\n".join([f"{method} {target} HTTP/{version}", *host, *lines, "", content])


def _content(content: str, *lines: str, method: str = "POST", version: str = "1.1") -> str:
    return _get(f"Content-Length: {len(content)}", *lines, method=method, version=version, content=content)


GOES_ON = ((200, True),)
ENDS = ((200, False),)

_PERSISTENCE = (
    Taken("HTTP/1.1", _get(), GOES_ON, "RFC 9112 §9.3"),
    Taken("HTTP/1.1 that says keep-alive", _get("Connection: keep-alive"), GOES_ON, "RFC 9112 §9.3"),
    Taken("HTTP/1.1 that says close", _get("Connection: close"), ENDS, "RFC 9112 §9.6"),
    Taken("close among other options", _get("Connection: x,, CLOSE"), ENDS, "RFC 9112 §9.6"),
    Taken("close beside keep-alive", _get("Connection: keep-alive", "Connection: close"), ENDS, "RFC 9112 §9.6"),
    Taken("a request after close: it is not answered", _get("Connection: close") + _get(), ENDS, "RFC 9112 §9.6"),
    Taken("HTTP/1.0 that says keep-alive", _get("Connection: Keep-Alive", version="1.0"), GOES_ON, "RFC 9112 §C.2.2"),
    Taken("HTTP/1.0 that says close", _get("Connection: close", version="1.0"), ENDS, "RFC 9112 §9.6"),
    Taken("bare HTTP/1.0, first on its connection", _get(version="1.0"), ENDS, "RFC 9112 §9.3"),
    Taken(
        "bare HTTP/1.0 after an answer that said keep-alive",
        _get("Connection: keep-alive", version="1.0") + _get(version="1.0"),
        ((200, True), (200, True)),
        "RFC 9112 §9.3",
    ),
    Taken("bare HTTP/1.0 after HTTP/1.1", _get() + _get(version="1.0"), ((200, True), (200, True)), "RFC 9112 §9.3"),
    Taken(
        "Proxy-Connection: it is no field", _get("Proxy-Connection: keep-alive", version="1.0"), ENDS, "RFC 9112 §C.2.2"
    ),
)

_LINES = (
    Taken("an empty line before the request", "\r\n" + _get(), GOES_ON, "RFC 9112 §2.2"),
    Taken("two empty lines before the request", "\r\n\r\n" + _get(), GOES_ON, "RFC 9112 §2.2"),
    Taken("a line end too many after content", _content("a") + "\r\n" + _get(), 2 * GOES_ON, "RFC 9112 §2.2"),
    Taken("HTTP/1.9: as 1.1", _get().replace("1.1", "1.9"), GOES_ON, "RFC 9112 §2.3"),
    Taken("a request-line of 60 bytes", _get(target="/" + "a" * 46), GOES_ON, "RFC 9112 §3"),
    Taken("a head of 200 bytes", _get("A: " + "a" * 160), GOES_ON, "RFC 6585 §5"),
    Taken("4 field lines", _get("A: b", "A: b", "A: b"), GOES_ON, "RFC 6585 §5"),
    Taken("1000 bytes of content", _content("a" * 1000), GOES_ON, "RFC 9110 §15.5.14"),
    Taken("blanks around a value", _get("Connection: \t close \t"), ENDS, "RFC 9112 §5"),
    Taken("no blank before a value", _get("Connection:close"), ENDS, "RFC 9112 §5"),
    Taken("a value of nothing", _get("A:"), GOES_ON, "RFC 9112 §5"),
    Taken("octets beyond ASCII in a value", _get("A: \x85\xa0\xff"), GOES_ON, "RFC 9110 §5.5"),
    Taken("a field name of odd letters", _get("!#$%&'*+-.^_`|~: b"), GOES_ON, "RFC 9110 §5.6.2"),
)

_TARGETS = (
    Taken(
        "a URI: its authority wins over Host",
        _get(target="http://other.org/a?b"),
        GOES_ON,
        "RFC 9112 §3.2.2",
        "GET other.org /a b ",
    ),
    Taken("a URI without a path", _get(target="HTTP://other.org"), GOES_ON, "RFC 9112 §3.2.2", "GET other.org /  "),
    Taken("a Host of nothing", "GET / HTTP/1.1\r\nHost:\r\n\r\n", GOES_ON, "RFC 9112 §3.2", "GET  /  "),
    Taken("HTTP/1.0 without Host", _get(version="1.0"), ENDS, "RFC 9112 §3.2", "GET  /  "),
    Taken(
        "a Host of IPv6 with a port",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        GOES_ON,
        "RFC 9110 §7.2",
        "GET [::1]:80 /  ",
    ),
    Taken("escapes: decoded once", _get(target="/%2561%62"), GOES_ON, "RFC 3986 §2.4", "GET example.org /%61b  "),
    Taken("two slashes first", _get(target="//a/b"), GOES_ON, "RFC 9112 §3.2.1", "GET example.org //a/b  "),
    Taken(
        "what browsers do not escape", _get(target='/|?"^`{}'), GOES_ON, "RFC 9112 §3.2", 'GET example.org /| "^`{} '
    ),
)

_METHODS = (
    Taken("HEAD", _get(method="HEAD"), GOES_ON, "RFC 9110 §9.3.2"),
    Taken("OPTIONS *", _get(method="OPTIONS", target="*"), ((204, True),), "RFC 9110 §9.3.7"),
    Taken(
        "OPTIONS of a URI without a path", _get(method="OPTIONS", target="http://a"), ((204, True),), "RFC 9112 §3.2.4"
    ),
    Taken("OPTIONS of a path", _get(method="OPTIONS"), ((204, True),), "RFC 9110 §9.3.7"),
    Taken("a method that is not allowed here", _get(method="DELETE"), ((405, True),), "RFC 9110 §15.5.6"),
    Taken("TRACE: not allowed anywhere", _get(method="TRACE"), ((405, True),), "RFC 9110 §9.3.8"),
    Taken("a method that nobody knows", _get(method="BREW"), ((501, True),), "RFC 9110 §15.6.2"),
    Taken("a method in lower case: another method", _get(method="get"), ((501, True),), "RFC 9110 §9.1"),
    Taken("Upgrade: ignored", _get("Upgrade: websocket", "Connection: upgrade"), GOES_ON, "RFC 9110 §7.8"),
)

_CONTENT = (
    Taken("content of a GET: read and dropped", _content("hello", method="GET") + _get(), 2 * GOES_ON, "RFC 9112 §6.3"),
    Taken("content of a HEAD: read and dropped", _content("hello", method="HEAD"), GOES_ON, "RFC 9112 §6.3"),
    Taken(
        "content of a method that is not allowed: read and dropped",
        _content("hello", method="DELETE") + _get(),
        ((405, True), (200, True)),
        "RFC 9112 §6.3",
    ),
    Taken(
        "content that looks like a request",
        _content(SMUGGLED.decode()),
        GOES_ON,
        "RFC 9112 §6.3",
        f"POST example.org /  {SMUGGLED.decode()}",
    ),
    Taken("no content, and said so", _content(""), GOES_ON, "RFC 9112 §6.3", "POST example.org /  "),
    Taken(
        "a length with leading zeros",
        _get("Content-Length: 0003", method="POST", content="abc"),
        GOES_ON,
        "RFC 9110 §8.6",
    ),
    Taken("a length twice", _content("abc", "Content-Length: 3"), GOES_ON, "RFC 9110 §8.6", "POST example.org /  abc"),
    Taken(
        "a list of one length", _get("Content-Length: 3,3 , 3", method="POST", content="abc"), GOES_ON, "RFC 9110 §8.6"
    ),
    Taken("Transfer_Encoding: another name", _content("abc", "Transfer_Encoding: chunked"), GOES_ON, "RFC 9110 §5.1"),
    Taken("Expect: 100-continue, and content", _content("abc", "Expect: 100-Continue"), GOES_ON, "RFC 9110 §10.1.1"),
    Taken("the same twice", _content("abc", "Expect: 100-continue, 100-continue"), GOES_ON, "RFC 9110 §10.1.1"),
    Taken("Expect without content: ignored", _get("Expect: 100-continue"), GOES_ON, "RFC 9110 §10.1.1"),
    Taken(
        "Expect in HTTP/1.0: ignored", _content("abc", "Expect: 100-continue", version="1.0"), ENDS, "RFC 9110 §10.1.1"
    ),
    Taken(
        "Expect where the method is not allowed: told before the content",
        _get("Expect: 100-continue", "Content-Length: 3", method="DELETE"),
        ((405, False),),
        "RFC 9110 §10.1.1",
    ),
    Taken(
        "Expect with a method that nobody knows: told before the content",
        _get("Expect: 100-continue", "Content-Length: 3", method="BREW"),
        ((501, False),),
        "RFC 9110 §10.1.1",
    ),
)

TAKEN = {
    "Whether the connection goes on": _PERSISTENCE,
    "Lines, fields and their sizes": _LINES,
    "Targets and hosts": _TARGETS,
    "Methods": _METHODS,
    "Content": _CONTENT,
}

TOO_SLOW = (
    TooSlow("half a request-line", "GET /a HT", (408,), "header_time", "RFC 9110 §15.5.9"),
    TooSlow("half a head", "GET / HTTP/1.1\r\nHost: exa", (408,), "header_time", "RFC 9110 §15.5.9"),
    TooSlow("a head without its last LF", "GET / HTTP/1.1\r\nHost: a\r\n\r", (408,), "header_time", "RFC 9110 §15.5.9"),
    TooSlow("half a head after an answer", _get() + "GET", (200, 408), "header_time", "RFC 9110 §15.5.9"),
    TooSlow("half of the content", _content("abc")[:-1], (408,), "body_time", "RFC 9110 §15.5.9"),
    TooSlow(
        "no content after a 100", _content("abc", "Expect: 100-continue")[:-3], (408,), "body_time", "RFC 9110 §15.5.9"
    ),
    TooSlow("nothing: it just closes", "", (), "idle_time", "RFC 9112 §9.5"),
    TooSlow("nothing after an answer: it just closes", _get(), (200,), "idle_time", "RFC 9112 §9.5"),
)


# ---- the page


_OPENING = """\
This page and the tests are made of one table, `tests/refusals.py`. Whatever is refused gets an answer that names the
rule and shows the guilty bytes with a caret below them, as HTML, JSON or text; then the connection ends, so that
nothing behind them is taken for a request. The verdict is the same wherever the network cuts the bytes. The sizes
here are those of the tests; the real ones are below.
"""


def page() -> str:
    """The table as Markdown: what is refused, what is taken, what is too slow, and the real limits."""
    return "\n".join([_OPENING, *_faults_page(), *_taken_page(), *_slow_page(), *_limits_page()])


def _faults_page() -> Iterator[str]:
    for group in FAULTS:
        yield f"### {group.title}\n\n{group.why}\n\n| input | answer | what it says | rule |\n| --- | --- | --- | --- |"
        for fault in group.faults:
            names = "; ".join(cell(case.name) for case in fault.cases)
            yield f"| {names} | {fault.status} | {cell(fault.reason)} | {fault.rule} |"
        yield ""


def _taken_page() -> Iterator[str]:
    yield "### What it takes\n\nWhere a specification leaves the choice, or a request is good but not to be had.\n"
    yield "| input | answer | connection | rule |\n| --- | --- | --- | --- |"
    for rows in TAKEN.values():
        for row in rows:
            status, persists = row.answers[-1]
            yield f"| {cell(row.name)} | {status} | {'goes on' if persists else 'closes'} | {row.rule} |"
    yield ""


def _slow_page() -> Iterator[str]:
    yield "### What it does not wait for\n"
    yield "| what came | answer | limit | rule |\n| --- | --- | --- | --- |"
    for row in TOO_SLOW:
        answer = row.statuses[-1] if row.statuses else "none"
        yield f"| {cell(row.name)} | {answer} | `{row.patience}` | {row.rule} |"
    yield ""


def _limits_page() -> Iterator[str]:
    yield "### The limits\n\nBytes, seconds, bytes a second; `--limit NAME=VALUE` sets one.\n"
    yield "| limit | default | why, and what is answered |\n| --- | --- | --- |"
    for name, default, why in describe_limits():
        yield f"| `{name}` | {default} | {cell(why)} |"


def main() -> None:
    """Write the page into README.md, between its markers."""
    write("refusals", page())


if __name__ == "__main__":
    main()
