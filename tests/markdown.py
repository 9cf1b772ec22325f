"""Tables of Markdown, and the places in README.md into which a program writes one."""

from __future__ import annotations

import re

from .tools import TOP

__all__ = ["cell", "write"]


def cell(text: str) -> str:
    """Text in a cell of a table; what stands between backticks there is code, and stays as it is."""
    return re.sub(r"(`[^`|]+`)|([|*<>`\\\[\]])", lambda found: found[1] or f"\\{found[2]}", text)


def write(name: str, page: str) -> None:
    """Put the page into README.md, between the comments of that name."""
    readme = TOP / "README.md"
    marked = re.compile(rf"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
    text = readme.read_text(encoding="utf-8")
    readme.write_text(marked.sub(lambda found: f"{found[1]}{page}\n{found[2]}", text), encoding="utf-8")
