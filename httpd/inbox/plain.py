"""What strangers wrote, made harmless where it would be more than text: on a terminal, in a spreadsheet.

A terminal obeys control characters: it moves its cursor, changes its title, answers as if somebody typed.  Characters
that turn the direction of writing make text look like other text.  Here they all become what they are called: `\x1b`.
"""

from __future__ import annotations

import re

__all__ = ["cell", "plain", "plain_line"]

# C0 and C1 but for tab and line feed, and lone surrogates, which no encoding has.
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
# Beside these: line and paragraph separators, marks and turns of direction (UAX #9), what is not seen at all, and tags
# (which spell out ASCII unseen).  Joiners are left: families of emoji and Persian words are made with them.
_UNSEEN = "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_CONTROLS = re.compile(f"[{_CONTROL}]")
_OVER_LINES = re.compile(f"[{_CONTROL}{_UNSEEN}]")
_IN_A_LINE = re.compile(f"[\t\n{_CONTROL}{_UNSEEN}]")

# The characters that begin a formula (OWASP, "CSV Injection"), at the start of a cell and of whatever a reader with
# another idea of the separator, or of quotes, would take for one.  Some programs take the wide forms, too.
_FORMULA = re.compile(r"""(?:^|(?<=[,;|\t\r\n]))(?=["' \u00a0]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])""")


def plain(text: str) -> str:
    """The text without anything that a terminal obeys; its lines and tabs stay."""
    return _OVER_LINES.sub(_called, text.replace("\r\n", "\n"))


def plain_line(text: str) -> str:
    """The same in one line."""
    return _IN_A_LINE.sub(_called, text.replace("\r\n", "\n"))


def cell(text: str) -> str:
    """The text as a spreadsheet's cell, which computes nothing.

    What would begin a formula has an apostrophe before it: spreadsheets show such a cell as text.
    """
    return _FORMULA.sub("'", _CONTROLS.sub(_called, text.replace("\r\n", "\n")))


def _called(found: re.Match[str]) -> str:
    number = ord(found[0])
    if found[0] in "\t\n\r":
        return {"\t": r"\t", "\n": r"\n", "\r": r"\r"}[found[0]]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
