"""How long an answer may be kept: Cache-Control by a file's name and type (RFC 9111 §5.2.2).

Three answers.  What has an address of its own, pages, feeds, data, and the scripts that browsers themselves look for
anew, is asked about every time, also where there seems to be a hash in its name: data are named after what they are
about, as often as not by a hexadecimal number.  What a build tool has named after its content never changes: a year.
The rest: an hour.

Whether a name has a *content hash* in it can only be guessed, and the two errors are not alike.  A hash that is not
seen costs a request an hour; a name wrongly taken for one stays in browsers for a year, and nobody can call it back.
So the guess leans to the hour: a date, a version, a number, a word, a UUID (which names a thing, not its content) is no
hash, and letters with digits are one only in the forms in which build tools write it.
"""

from __future__ import annotations

from ..protocol.grammar import late

__all__ = ["AN_HOUR", "IMMUTABLE", "REVALIDATE", "cache_control", "has_content_hash"]

REVALIDATE = "no-cache"
AN_HOUR = "max-age=3600"
# RFC 8246.  Not "public": that would let a cache between us keep what only a password opened (RFC 9111 §3.5).
IMMUTABLE = "max-age=31536000, immutable"

# What people and programs keep the address of.
_ADDRESSES = frozenset({
    "text/html", "application/xhtml+xml", "application/xml", "application/rss+xml", "application/atom+xml",
    "application/rdf+xml", "application/json", "application/ld+json", "application/geo+json", "application/jsonl",
    "application/manifest+json", "text/cache-manifest",
})  # fmt: skip
# Service workers by the names that their makers give them, and the script that registers one.
_WORKER = late(
    r"(?i:(?:[\w.-]*[-_.])?(?:sw|service[-_]?worker)|registersw|ngsw-worker|safety-worker|worker-basic|OneSignalSDK\w*Worker)"
    r"(?i:\.min)?\.m?js"
)
# What build tools name after its content.  Of other kinds people keep what is named after something else: a release
# after its commit, data after what they are about.
_BUILT = (
    "text/css", "text/javascript", "application/wasm", "application/pdf", "application/vnd.ms-fontobject", "image/",
    "font/", "audio/", "video/", "model/",
)  # fmt: skip
_CODE = ("text/css", "text/javascript")
# The map of a script or style, whose name it has: JSON, but nobody keeps its address.
_MAP = late(r".+\.(?:c|m)?(?:js|css)\.map")

# A checksum in hexadecimal: 8 digits of one, or all 128 of a SHA-512.
_HEX = late(r"[0-9a-f]{8,128}|[0-9A-F]{16,128}")
_UUID = late(r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
# The months whose short names are hexadecimal too, between numbers: 24dec2026.
_DATE = late(r"[0-9]*(?:dec|feb)[0-9]*")
# Eight characters before a dot, as Rollup and Vite write them (base64url), and esbuild (base32, always in capitals).
_EIGHT = late(r"(?:^|(?<=[-.]))(?=([A-Za-z0-9_-]{8})\.)")
_BASE32 = late(r"[A-Z2-7]{8}")
# Digits that are not just a number behind a word.
_DIGIT_WITHIN = late(r"[0-9][A-Za-z]")
# The words and numbers that a name in camel case falls apart into: iPhone15 is three, and chance makes more.
_WORDS = late(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def cache_control(name: str, media_type: str) -> str:
    """The value of Cache-Control for a file of that name and Content-Type."""
    kind = media_type.partition(";")[0]
    if _MAP.fullmatch(name) and has_content_hash(name, capitals=True):
        return IMMUTABLE
    if kind in _ADDRESSES or (kind == "text/javascript" and _WORKER.fullmatch(name)):
        return REVALIDATE
    if kind.startswith(_BUILT) and has_content_hash(name, capitals=kind in _CODE):
        return IMMUTABLE
    return AN_HOUR


def has_content_hash(name: str, *, capitals: bool = False) -> bool:
    """Whether a build tool has put a hash of the content into this name; `capitals`: it may be one of capitals alone.

    A picture may be a person's, who may write MPEG4AVC; nobody calls a script so.
    """
    if _UUID.search(name):
        return False
    if any(_is_hex_hash(part) for part in _SEPARATORS.split(name)):
        return True
    return any(_is_short_hash(found[1], capitals) for found in _EIGHT.finditer(name))


_SEPARATORS = late(r"[-._~]")


def _is_hex_hash(part: str) -> bool:
    """Letters between digits, or digits between letters: neither cafe2026 nor 24dec2026."""
    return bool(_HEX.fullmatch(part)) and len(_WORDS.findall(part)) > 2 and not _DATE.fullmatch(part)


def _is_short_hash(part: str, capitals: bool) -> bool:
    if not _DIGIT_WITHIN.search(part):
        return False
    words = len(_WORDS.findall(part))
    if _BASE32.fullmatch(part):
        return capitals and words > 2
    # "-" and "_" belong to base64url, but between words they stand for themselves.
    return part not in (part.lower(), part.upper()) and words - part.count("-") - part.count("_") > 3
