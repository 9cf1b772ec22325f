"""The ABNF of RFC 9110, RFC 9112 and RFC 3986 as named patterns, the rule standing above each.

All are patterns of str: what comes off the wire is decoded as latin-1 first, so one character is one byte and positions
agree.  Lower-case names are parts, to be joined to larger patterns; upper-case names are compiled and meant for
`fullmatch`, unless they say else.  Those that not every request asks for are compiled when one does: to compile them
all takes longer than the rest of the start.

Only a class of characters is repeated possessively, never a group: the first releases of Python 3.11 count what a
group's last, failed turn has read as matched.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

__all__ = [
    "ABSOLUTE_FORM", "AUTHORITY_FORM", "BAD_ESCAPE", "CONTENT_LENGTH", "FIELD_LINE", "HOST", "LITERAL_HOST",
    "NOT_IN_VALUE", "PADDED_FIELD_LINE", "PARAMETER", "REQUEST_LINE", "REQUEST_TARGET", "TOKEN", "VERSION", "is_host",
    "late", "percent_decode",
]  # fmt: skip


class _Late:
    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, method)
        return method


def late(source: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern that is compiled when its first method is called for."""
    return cast("re.Pattern[str]", _Late(source, flags))


# ---- RFC 9110 §5.6: the parts that field values are made of

# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
# token = 1*tchar                                                                             (RFC 9110 §5.6.2)
tchar = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
token = f"[{tchar}]++"
TOKEN = late(token)

# OWS = *( SP / HTAB )                                                                        (RFC 9110 §5.6.3)
OWS = r"[ \t]*+"

# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE                                     (RFC 9110 §5.6.4)
# qdtext = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text ; quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text )
quoted_string = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\U0010ffff]++|\\[\t \x21-\x7e\x80-\U0010ffff])*"'

# parameters = *( OWS ";" OWS [ parameter ] ) ; parameter = token "=" ( token / quoted-string )  (RFC 9110 §5.6.6)
# One step of it, for `match` from a position on; both groups are None for an empty parameter.
PARAMETER = late(f"{OWS};{OWS}(?:({token})=({token}|{quoted_string}))?")

# ---- RFC 3986: where a request goes

# unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~" ; sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" …
unreserved = r"0-9A-Za-z\-._~"
sub_delims = r"!$&'()*+,;="

# pct-encoded = "%" HEXDIG HEXDIG                                                             (RFC 3986 §2.1)
hexdig = "0-9A-Fa-f"
pct_encoded = f"%[{hexdig}]{{2}}"
# A "%" that begins no escape, or the escape of NUL, which no path, no name and no text of ours holds.  For `search`.
BAD_ESCAPE = late(f"%(?![{hexdig}]{{2}})|%00")

# IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet                           (RFC 3986 §3.2.2)
dec_octet = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
ipv4_address = rf"{dec_octet}(?:\.{dec_octet}){{3}}"

# IPv6address =                            6( h16 ":" ) ls32
#             /                       "::" 5( h16 ":" ) ls32
#             / [               h16 ] "::" 4( h16 ":" ) ls32
#             / [ *1( h16 ":" ) h16 ] "::" 3( h16 ":" ) ls32
#             / …                                                                             (RFC 3986 §3.2.2)
h16 = f"[{hexdig}]{{1,4}}"
ls32 = f"(?:{h16}:{h16}|{ipv4_address})"
ipv6_address = "(?:" + "|".join(
    [f"(?:{h16}:){{6}}{ls32}", f"::(?:{h16}:){{5}}{ls32}"]
    + [f"(?:(?:{h16}:){{0,{most}}}{h16})?::(?:{h16}:){{{4 - most}}}{ls32}" for most in range(5)]
    + [f"(?:(?:{h16}:){{0,5}}{h16})?::{h16}", f"(?:(?:{h16}:){{0,6}}{h16})?::"]
) + ")"  # fmt: skip

# IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )                            (RFC 3986 §3.2.2)
ipv_future = rf"[vV][{hexdig}]+\.[{unreserved}{sub_delims}:]+"

# host = IP-literal / IPv4address / reg-name ; reg-name = *( unreserved / pct-encoded / sub-delims )   (§3.2.2)
reg_name = f"(?:[{unreserved}{sub_delims}]++|{pct_encoded})+"
ip_literal = rf"\[(?:{ipv6_address}|{ipv_future})\]"

# Host = uri-host [ ":" port ]                                                                (RFC 9110 §7.2)
# It may be empty: a client sends it so when its target has no authority (RFC 9112 §3.2).
port = "(?::[0-9]*+)?"
authority = f"(?:{ip_literal}|{reg_name}){port}"
HOST = re.compile(f"(?:{reg_name}{port})?")
LITERAL_HOST = late(f"{ip_literal}{port}")


# A server is asked for few hosts.  What is kept of others is bounded by their number and the longest head.
@lru_cache(64)
def is_host(text: str) -> bool:
    """Whether this may stand as the value of Host."""
    return bool(LITERAL_HOST.fullmatch(text) if text[:1] == "[" else HOST.fullmatch(text))


# ---- RFC 9112 §3: the request-line

# request-line = method SP request-target SP HTTP-version                                     (RFC 9112 §3)
# HTTP-version = HTTP-name "/" DIGIT "." DIGIT ; HTTP-name = %x48.54.54.50                     (RFC 9112 §2.3)
# The target is any visible ASCII character but "#": a fragment is never sent (RFC 9110 §4.2.5).  That is more than
# RFC 3986 has: browsers and curl send " < > \ ^ ` { | } as they are, and none of them is ambiguous here.
target_char = r'!"$-~'
# For `match`, with the CRLF after it; groups: request-line, method, target, minor version.
REQUEST_LINE = re.compile(rf"(({token}) ([{target_char}]++) HTTP/1\.([0-9]))\r\n")
REQUEST_TARGET = late(f"[{target_char}]++")
VERSION = late(r"HTTP/([0-9])\.[0-9]")

# absolute-form = absolute-URI, of the schemes that are ours; its host may not be empty       (RFC 9110 §4.2.1, §4.2.2)
# Groups: authority, path, query.  Userinfo is not matched: it is an error in a request       (RFC 9110 §4.2.4)
ABSOLUTE_FORM = late(rf"(?i:https?)://({authority})(/[^?]*+)?(?:\?(.*+))?")

# authority-form = uri-host ":" port, the port not empty                    (RFC 9112 §3.2.3, RFC 9110 §9.3.6)
AUTHORITY_FORM = late(f"(?:{ip_literal}|{reg_name}):([0-9]{{1,5}}+)")

# ---- RFC 9112 §5: the field lines

# field-line = field-name ":" OWS field-value OWS ; field-name = token                        (RFC 9112 §5)
# field-value = *field-content ; field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
# field-vchar = VCHAR / obs-text                                                              (RFC 9110 §5.5)
# For `findall` in a field section, each line with the CRLF after it: from the first line on that is no field line, all
# is one match without a name.  The first pattern, which is the faster, is for values that no whitespace follows.
vchar = r"!-~\x80-\xff"
FIELD_LINE = re.compile(rf"({token}):{OWS}([\t {vchar}]*+)(?<![ \t])\r\n|(?s:.++)")
PADDED_FIELD_LINE = late(rf"({token}):{OWS}((?:[{vchar}]++(?:[ \t]++[{vchar}]++)*)?){OWS}\r\n|(?s:.++)")
NOT_IN_VALUE = late(rf"[^\t {vchar}]")

# Content-Length = 1*DIGIT; the same length sent several times, or as a list, may be taken    (RFC 9110 §8.6)
CONTENT_LENGTH = late(rf"[0-9]++(?:{OWS},{OWS}[0-9]++)*")

# ---- percent-decoding

_HEXDIGITS = "0123456789ABCDEFabcdef"
_OCTET_OF = {(high + low).encode(): bytes([int(high + low, 16)]) for high in _HEXDIGITS for low in _HEXDIGITS}


def percent_decode(data: bytes) -> bytes:
    """The bytes that percent-encoded `data` stands for, decoded once (RFC 3986 §2.4).

    Raises ValueError where a "%" is not followed by two hexadecimal digits.
    """
    first, *rest = data.split(b"%")
    try:
        return first + b"".join([_OCTET_OF[part[:2]] + part[2:] for part in rest])
    except KeyError as error:
        raise ValueError(f"not a percent escape: %{error.args[0].decode('latin-1')}") from None
