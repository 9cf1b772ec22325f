"""Every way that is known to make two servers disagree on where a request ends, as raw bytes.

A case's requests are for /NAME/first, /NAME/second and so on, NAME being the case's; the second stands where one
reading has content and the other a request.
"""

from __future__ import annotations

__all__ = ["CASES", "written"]

SECOND = b"GET /NAME/second HTTP/1.1\r\nHost: a\r\n\r\n"


def head(*lines: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> bytes:
    """A request's head; "NAME" stands for the name of the case."""
    return b"\r\n".join([method + b" /NAME/first " + version, b"Host: a", *lines, b"", b""])


def both(coding: bytes) -> bytes:
    """A coding and a length beside each other: by the one the second request is content, by the other it is not."""
    return head(coding, b"Content-Length: LENGTH") + b"0\r\n\r\n" + SECOND


def length(*lines: bytes) -> bytes:
    """A length that may be read in two ways; the second request may be content."""
    return head(*lines) + SECOND


def chunks(content: bytes, *lines: bytes) -> bytes:
    """Chunks that may be read in two ways."""
    return head(b"Transfer-Encoding: chunked", *lines) + content


# "NAME" stands for the name of the case, "LENGTH" for how much follows the first head.
CASES: dict[str, bytes] = {
    # Transfer-Encoding beside Content-Length, in every spelling (RFC 9112 §6.1, §6.3)
    "te-cl": both(b"Transfer-Encoding: chunked"),
    "cl-te": head(b"Content-Length: LENGTH", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SECOND,
    "cl-short-te": head(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + SECOND,
    "te-upper": both(b"TRANSFER-ENCODING: CHUNKED"),
    "te-space-colon": both(b"Transfer-Encoding : chunked"),
    "te-tab-colon": both(b"Transfer-Encoding\t: chunked"),
    "te-no-space": both(b"Transfer-Encoding:chunked"),
    "te-tab": both(b"Transfer-Encoding:\tchunked"),
    "te-vt": both(b"Transfer-Encoding: \x0bchunked"),
    "te-ff-after": both(b"Transfer-Encoding: chunked\x0c"),
    "te-nul": both(b"Transfer-Encoding: chunked\x00"),
    "te-bad-name": both(b"Transfer-Encoding\x00: chunked"),
    "te-x": both(b"Transfer-Encoding: xchunked"),
    "te-quoted": both(b'Transfer-Encoding: "chunked"'),
    "te-parameter": both(b"Transfer-Encoding: chunked;q=1"),
    "te-identity": both(b"Transfer-Encoding: identity"),
    "te-identity-chunked": both(b"Transfer-Encoding: identity, chunked"),
    "te-chunked-identity": both(b"Transfer-Encoding: chunked, identity"),
    "te-chunked-chunked": both(b"Transfer-Encoding: chunked, chunked"),
    "te-empty-element": both(b"Transfer-Encoding: ,chunked"),
    "te-twice": both(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
    "te-twice-first-bad": both(b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked"),
    "te-gzip": both(b"Transfer-Encoding: gzip, chunked"),
    "te-empty": both(b"Transfer-Encoding:"),
    "te-underscore": both(b"Transfer_Encoding: chunked"),
    "te-after-bare-lf": both(b"X: y\nTransfer-Encoding: chunked"),
    "te-after-bare-cr": both(b"X: y\rTransfer-Encoding: chunked"),
    "te-folded": both(b"Transfer-Encoding:\r\n chunked"),
    "te-folded-name": both(b"X: y\r\n Transfer-Encoding: chunked"),
    "te-latin": both("Transfer-Encoding: ｃhunked".encode()),
    "te-high-space": both(b"Transfer-Encoding:\xa0chunked"),
    "te-plus": both(b"+Transfer-Encoding: chunked"),
    # Transfer-Encoding alone
    "te-alone": chunks(b"0\r\n\r\n" + SECOND),
    "te-http10": head(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n" + SECOND,
    "te-http10-keep": head(b"Connection: keep-alive", b"Transfer-Encoding: chunked", version=b"HTTP/1.0")
    + b"0\r\n\r\n"
    + SECOND,
    "te-get": head(b"Transfer-Encoding: chunked", method=b"GET") + b"0\r\n\r\n" + SECOND,
    "te-get-content": head(b"Transfer-Encoding: chunked", method=b"GET") + b"3\r\nabc\r\n0\r\n\r\n" + SECOND,
    "te-unknown-alone": head(b"Transfer-Encoding: x") + b"0\r\n\r\n" + SECOND,
    # Chunks
    "chunk-extension": chunks(b"3;a=b\r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-extension-lf": chunks(b"3;a\nxx\r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-hex-prefix": chunks(b"0x3\r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-space": chunks(b"3 \r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-plus": chunks(b"+3\r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-overflow": chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n" + SECOND),
    "chunk-bare-lf": chunks(b"3\nabc\n0\n\n" + SECOND),
    "chunk-no-end": chunks(b"3\r\nabcXX0\r\n\r\n" + SECOND),
    "chunk-trailer": chunks(b"0\r\nContent-Length: 5\r\n\r\n" + SECOND),
    "chunk-zeros": chunks(b"000000\r\n\r\n" + SECOND),
    # Content-Length (RFC 9110 §8.6)
    "cl-twice-same": length(b"Content-Length: LENGTH", b"Content-Length: LENGTH"),
    "cl-twice": length(b"Content-Length: 0", b"Content-Length: LENGTH"),
    "cl-twice-reversed": length(b"Content-Length: LENGTH", b"Content-Length: 0"),
    "cl-list-same": length(b"Content-Length: LENGTH, LENGTH"),
    "cl-list": length(b"Content-Length: 0, LENGTH"),
    "cl-plus": length(b"Content-Length: +LENGTH"),
    "cl-minus": length(b"Content-Length: -LENGTH"),
    "cl-hex": length(b"Content-Length: 0x10"),
    "cl-empty": length(b"Content-Length:"),
    "cl-point": length(b"Content-Length: LENGTH.0"),
    "cl-inner-space": length(b"Content-Length: 1 0"),
    "cl-tab": length(b"Content-Length:\tLENGTH\t"),
    "cl-vt": length(b"Content-Length: \x0bLENGTH"),
    "cl-nul": length(b"Content-Length: LENGTH\x00"),
    "cl-zeros": length(b"Content-Length: 000LENGTH"),
    "cl-overflow": length(b"Content-Length: 18446744073709551616"),
    "cl-space-colon": length(b"Content-Length : LENGTH"),
    "cl-folded": length(b"Content-Length:\r\n LENGTH"),
    "cl-folded-twice": length(b"Content-Length: 0\r\n LENGTH"),
    "cl-underscore": length(b"Content_Length: LENGTH", b"Content-Length: 0"),
    "cl-bare-lf": length(b"X: y\nContent-Length: LENGTH"),
    "cl-missing": length(),
    "cl-get": head(b"Content-Length: LENGTH", method=b"GET") + SECOND,
    "cl-head": head(b"Content-Length: LENGTH", method=b"HEAD") + SECOND,
    "cl-delete": head(b"Content-Length: LENGTH", method=b"DELETE") + SECOND,
    "cl-options": head(b"Content-Length: LENGTH", method=b"OPTIONS") + SECOND,
    "cl-http10": head(b"Content-Length: LENGTH", version=b"HTTP/1.0") + SECOND,
    # Connection names what a proxy takes away (RFC 9110 §7.6.1)
    "connection-cl": length(b"Connection: close, Content-Length", b"Content-Length: LENGTH"),
    "connection-cl-keep": length(b"Connection: keep-alive, Content-Length", b"Content-Length: LENGTH"),
    "connection-te": both(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"),
    "connection-host": head(b"Connection: close, Host", method=b"GET") + SECOND,
    "connection-close": head(b"Connection: close, x", method=b"GET") + SECOND,
    "connection-keep-close": head(b"Connection: keep-alive, close", method=b"GET") + SECOND,
    "connection-two": head(b"Connection: keep-alive", b"Connection: close", method=b"GET") + SECOND,
    # Requests ahead
    "pipelined": head(method=b"GET") + SECOND + SECOND.replace(b"second", b"third"),
    "pipelined-post": head(b"Content-Length: 3") + b"abc" + SECOND,
    "pipelined-head": head(method=b"HEAD") + SECOND,
    "pipelined-crlf": head(b"Content-Length: 3") + b"abc\r\n" + SECOND,
    "pipelined-junk": head(b"Content-Length: 3") + b"abcdef\r\n\r\n" + SECOND,
    "expect": head(b"Expect: 100-continue", b"Content-Length: LENGTH") + SECOND,
    "expect-get": head(b"Expect: 100-continue", method=b"GET") + SECOND,
    "expect-get-length": head(b"Expect: 100-continue", b"Content-Length: LENGTH", method=b"GET") + SECOND,
    "expect-other": head(b"Expect: 100-continued", b"Content-Length: LENGTH") + SECOND,
    "expect-twice": head(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: LENGTH") + SECOND,
    "expect-http10": head(b"Expect: 100-continue", b"Content-Length: LENGTH", version=b"HTTP/1.0") + SECOND,
    "expect-chunked": chunks(b"0\r\n\r\n" + SECOND, b"Expect: 100-continue"),
    # Lines (RFC 9112 §2.2, §5)
    "lf": b"GET /NAME/first HTTP/1.1\nHost: a\n\n" + SECOND,
    "lf-end": b"GET /NAME/first HTTP/1.1\r\nHost: a\r\n\n" + SECOND,
    "lf-line": head(b"X: y\nZ: z", method=b"GET") + SECOND,
    "lf-request-line": b"GET /NAME/first HTTP/1.1\nHost: a\r\n\r\n" + SECOND,
    "cr": head(b"X: y\rZ: z", method=b"GET") + SECOND,
    "cr-cr-lf": b"GET /NAME/first HTTP/1.1\r\nHost: a\r\r\n\r\n" + SECOND,
    "fold": head(b"X: y\r\n z", method=b"GET") + SECOND,
    "fold-first": b"GET /NAME/first HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n" + SECOND,
    "fold-host": b"GET /NAME/first HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" + SECOND,
    "fold-blank": head(b"X: y\r\n ", method=b"GET") + SECOND,
    "nul-value": head(b"X: y\x00z", method=b"GET") + SECOND,
    "nul-name": head(b"X\x00: y", method=b"GET") + SECOND,
    "nul-target": head(method=b"GET").replace(b"/first", b"/first\x00x") + SECOND,
    "space-colon": head(b"X : y", method=b"GET") + SECOND,
    "no-colon": head(b"nothing", method=b"GET") + SECOND,
    "no-name": head(b": y", method=b"GET") + SECOND,
    "high-name": head(b"X\xff: y", method=b"GET") + SECOND,
    "high-value": head(b"X: \xff\xfe", method=b"GET") + SECOND,
    "empty-lines": b"\r\n\r\n" + head(method=b"GET") + SECOND,
    "empty-lines-many": b"\r\n" * 9 + head(method=b"GET") + SECOND,
    "empty-lf": b"\n" + head(method=b"GET") + SECOND,
    "many-fields": head(*[b"X: y"] * 99, method=b"GET") + SECOND,
    "long-value": head(b"X: " + b"y" * 9_000, method=b"GET") + SECOND,
    # Request-lines (RFC 9112 §3)
    "http09": b"GET /NAME/first\r\n" + SECOND,
    "http09-head": b"GET /NAME/first\r\nHost: a\r\n\r\n" + SECOND,
    "http10": head(method=b"GET", version=b"HTTP/1.0") + SECOND,
    "http10-keep": head(b"Connection: keep-alive", method=b"GET", version=b"HTTP/1.0") + SECOND,
    "http12": head(method=b"GET", version=b"HTTP/1.2") + SECOND,
    "http20": head(method=b"GET", version=b"HTTP/2.0") + SECOND,
    "http-lower": head(method=b"GET", version=b"http/1.1") + SECOND,
    "http-long": head(method=b"GET", version=b"HTTP/1.10") + SECOND,
    "http-zeros": head(method=b"GET", version=b"HTTP/01.1") + SECOND,
    "two-spaces": head(method=b"GET ") + SECOND,
    "tab": head(method=b"GET\t").replace(b"\t ", b"\t") + SECOND,
    "space-after": head(method=b"GET", version=b"HTTP/1.1 ") + SECOND,
    "space-in-target": head(method=b"GET").replace(b"/first", b"/first x") + SECOND,
    "injected-version": head(method=b"GET").replace(b"/first", b"/first HTTP/1.1 x") + SECOND,
    "fragment": head(method=b"GET").replace(b"/first", b"/first#x") + SECOND,
    "high-target": head(method=b"GET").replace(b"/first", b"/first\xc3\xa4") + SECOND,
    "encoded-crlf": head(method=b"GET").replace(b"/first", b"/first%0d%0aX:%20y") + SECOND,
    "absolute": head(method=b"GET").replace(b" /NAME", b" http://a/NAME") + SECOND,
    "absolute-other-host": head(method=b"GET").replace(b" /NAME", b" http://b/NAME") + SECOND,
    "absolute-user": head(method=b"GET").replace(b" /NAME", b" http://b@a/NAME") + SECOND,
    "method-lower": head(method=b"get") + SECOND,
    "method-odd": head(b"Content-Length: LENGTH", method=b"M-SEARCH") + SECOND,
    "method-bad": head(method=b"G(T") + SECOND,
    "host-twice": head(b"Host: b", method=b"GET") + SECOND,
    "host-none": b"GET /NAME/first HTTP/1.1\r\n\r\n" + SECOND,
    "host-bad": head(method=b"GET").replace(b"Host: a", b"Host: a/b@c") + SECOND,
    # Another protocol (RFC 9110 §7.8)
    "upgrade-h2c": head(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", method=b"GET",
    )
    + SECOND,
    "upgrade-websocket": head(
        b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Version: 13", method=b"GET",
    )
    + SECOND,
    "preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECOND,
}  # fmt: skip


def written(name: str) -> bytes:
    """The bytes of a case."""
    raw = CASES[name].replace(b"NAME", name.encode())
    return raw.replace(b"LENGTH", b"%d" % len(raw.partition(b"\r\n\r\n")[2]))
