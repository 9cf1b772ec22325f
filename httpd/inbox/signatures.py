"""Whether a file is what its media type says, as far as its first bytes tell.

The type comes from the client, who goes by the name.  Where a kind of file begins with bytes of its own, they must be
there; a text must be one.  That keeps mistakes out, and a program that is called a picture; it proves no more.
"""

from __future__ import annotations

import re

from ..protocol.files import File
from ..protocol.grammar import late

__all__ = ["is_what_it_says"]

# How much of a file is looked at.
_FIRST = 512

# The types that begin so, and what with.  Office documents of the newer kinds, and e-books, are zip archives.
_zipped = r"application/(?:zip|x-zip-compressed|epub\+zip|java-archive|vnd\.(?:openxmlformats|oasis)[a-z0-9.-]+)"
_SIGNATURES = tuple(
    (late(types), re.compile(first, re.DOTALL))
    for types, first in (
        (r"image/png", rb"\x89PNG\r\n\x1a\n"),
        (r"image/p?jpe?g", rb"\xff\xd8\xff"),
        (r"image/gif", rb"GIF8[79]a"),
        (r"image/webp", rb"RIFF....WEBP"),
        (r"image/(?:avif|hei[cf])|video/(?:mp4|quicktime)|audio/(?:mp4|x-m4a)", rb"....ftyp"),
        (r"image/tiff", rb"II\*\0|MM\0\*"),
        (r"image/(?:x-ms-)?bmp", rb"BM"),
        (r"audio/(?:x-)?wav", rb"RIFF....WAVE"),
        (r"application/pdf", rb"(?:\xef\xbb\xbf)?%PDF-"),
        (r"application/rtf|text/rtf", rb"\{\\rtf"),
        (r"application/(?:x-)?gzip", rb"\x1f\x8b"),
        (r"application/x-7z-compressed", rb"7z\xbc\xaf\x27\x1c"),
        (_zipped, rb"PK(?:\x03\x04|\x05\x06)"),
    )
)
_TEXT = late(r"text/.*|application/(?:json|xml|x-ndjson|yaml|toml)|image/svg\+xml|.*\+(?:json|xml)")


def is_what_it_says(file: File) -> bool:
    """Whether the first bytes are those of its type; True where nothing is known of that."""
    first = file.file.read(_FIRST)
    file.file.seek(0)
    for types, signature in _SIGNATURES:
        if types.fullmatch(file.content_type):
            return signature.match(first) is not None
    return not _TEXT.fullmatch(file.content_type) or _is_text(first)


def _is_text(first: bytes) -> bool:
    """UTF-16 says so with its first bytes; in another text there is no NUL."""
    return first.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in first
