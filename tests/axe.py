"""What axe-core finds that keeps people out of a page.

Where it is: `AXE`, a path of axe.min.js, or where `.ci/run` puts it (`npm pack axe-core@4`, and unpacked).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .tools import missing

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["serious"]

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asynchat-httpd" / "axe"
_RUN = """
async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, impact, help, nodes }) =>
    nodes.map((node) => ({ id, impact, help, html: node.html, why: node.failureSummary })));
}
"""


@cache
def _script() -> str:
    path = Path(os.environ.get("AXE") or _CACHE / "package" / "axe.min.js")
    return path.read_text(encoding="utf-8") if path.is_file() else missing("axe-core (AXE)")


def serious(page: Page) -> list[str]:
    """What of a page's present state is serious or critical, each with its element.  A page without scripts has none to
    run.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_script())
    found = page.evaluate(_RUN)
    return [
        f"{one['id']}: {one['help']}: {one['html']} {one['why']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
