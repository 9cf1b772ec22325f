"""Templates to responses.

A page is rendered before its head goes out, as far as 64 KiB: a template that fails there is a plain 500.  A longer
page is given in pieces while it is sent, and ends with the connection; one that fails then is cut short.

jinja2 is imported when a template is first rendered, and not before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..protocol.message import Response
from ..resources import folder as bundled_folder
from .types import UNKNOWN, media_type

if TYPE_CHECKING:
    from jinja2 import Environment, Template

__all__ = ["BOUND", "Templates", "bundled", "template_fault"]

# How much of a page is rendered before the head is sent; a page that ends sooner has a Content-Length.
BOUND = 65_536
# A longer page goes on in pieces of at least this size: templates yield a few bytes at a time.
_PIECE = 16_384
# So many of these few bytes are taken at once: one by one they cost a third of what it takes to render them.
_PARTS = 64

_HTML = "text/html; charset=utf-8"
_MARKUP = (_HTML, "text/xsl; charset=utf-8")
_SUFFIXES = ("j2", "jinja", "jinja2")

_Folder = str | os.PathLike[str]


class Templates:
    """The jinja2 templates in a folder, or in several that are looked through in order.

    Values are escaped in HTML, XML and SVG templates.  With `reload` a changed template is read again, at the cost of
    a look at the disk each time; where it is not given, `reloads` says, which the command sets for a site that is
    being made.  `environment` is jinja2's own, for filters and globals.
    """

    reloads = False

    def __init__(self, folder: _Folder | Sequence[_Folder], *, reload: bool | None = None) -> None:
        several = [folder] if isinstance(folder, (str, os.PathLike)) else list(folder)
        self.folders = [os.path.abspath(each) for each in several]
        self.reload = Templates.reloads if reload is None else reload
        self._environment: Environment | None = None

    @property
    def environment(self) -> Environment:
        """jinja2's own, for filters and globals of the site's; made when it is first asked for."""
        if self._environment is None:
            from jinja2 import FileSystemLoader

            from .jinja import QuickEnvironment

            loader = FileSystemLoader(self.folders)
            self._environment = QuickEnvironment(loader=loader, autoescape=_escapes, auto_reload=self.reload)
        return self._environment

    def render(self, name: str, /, **context: Any) -> str:
        """The whole page.  Raises FileNotFoundError where there is no such template."""
        return self._template(name).render(context)

    def generate(self, name: str, /, **context: Any) -> Iterator[str]:
        """The page in pieces, each rendered when it is asked for.  Raises FileNotFoundError as `render` does."""
        return self._template(name).generate(context)

    def response(
        self, name: str, /, status: int = 200, headers: Iterable[tuple[str, str]] = (), **context: Any
    ) -> Response:
        """The page as a response; its type follows from the template's name (`feed.xml` is XML).

        Raises FileNotFoundError where there is no such template, and what the template raises in its first 64 KiB.
        """
        page = self.generate(name, **context)
        first, ended = _gather(page, BOUND)
        body = first if ended else _Page(first, page)
        return Response(body, status, headers, content_type=_content_type(name))

    def _template(self, name: str) -> Template:
        from jinja2 import TemplateNotFound

        try:
            return self.environment.get_template(name)
        except TemplateNotFound as error:
            raise _NoTemplate(f"no template {error.name!r} in {' or '.join(self.folders)}") from None


class _NoTemplate(FileNotFoundError):
    """A template that a handler names, and there is none."""


def template_fault(error: BaseException | None) -> str:
    """What is wrong with a template, with its file and line; "" where the error is of another kind."""
    if isinstance(error, _NoTemplate):
        return str(error)
    jinja2 = sys.modules.get("jinja2")
    if error is None or jinja2 is None or not isinstance(error, jinja2.TemplateError):
        return ""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.filename or error.name}, line {error.lineno}: {error.message}"
    # jinja2 puts the template's own lines into the traceback.
    import traceback

    lines = [
        f"{frame.f_code.co_filename}, line {line}: "
        for frame, line in traceback.walk_tb(error.__traceback__)
        if "__jinja_exception__" in frame.f_globals
    ]
    return f"{''.join(lines[-1:])}{error}"


@cache
def bundled() -> Templates:
    """The house's own templates.  Styles lie in `static`, where a template can include them."""
    return Templates([bundled_folder("templates"), bundled_folder("static")])


class _Page:
    """The rest of a long page, made while it is sent."""

    def __init__(self, first: bytes, page: Iterator[str]) -> None:
        self._first = first
        self._page = page

    def more(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return _gather(self._page, _PIECE)[0]

    def close(self) -> None:
        self._first = b""
        getattr(self._page, "close", lambda: None)()


def _gather(page: Iterator[str], bound: int) -> tuple[bytes, bool]:
    """The next `bound` characters or somewhat more, as UTF-8, and whether that is the end.

    A lone surrogate, which a path that is not UTF-8 may bring along, becomes "?".
    """
    gathered = ""
    while len(gathered) < bound:
        parts = list(islice(page, _PARTS))
        gathered += "".join(parts)
        if len(parts) < _PARTS:
            return gathered.encode("utf-8", "replace"), True
    return gathered.encode("utf-8", "replace"), False


def _plain_name(name: str) -> str:
    """`page.html.j2` is an HTML page."""
    stem, _, suffix = name.rpartition(".")
    return stem if suffix in _SUFFIXES else name


def _content_type(name: str) -> str:
    kind = media_type(_plain_name(name))
    return _HTML if kind == UNKNOWN else kind


def _escapes(name: str | None) -> bool:
    """Whether values are escaped in this template: in markup, and wherever the name does not say what it is."""
    kind = _HTML if name is None else _content_type(name)
    return kind in _MARKUP or kind.endswith("xml")
