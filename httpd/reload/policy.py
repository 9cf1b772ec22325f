"""A page's Content-Security-Policy, with our script let in and everything else as it was.

Without the policy a page would do here what it may not do elsewhere, and its author would not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["admitting"]

# A host as a policy may name it; a Host field may have more, such as the ";" that ends a directive (CSP3 §2.3.1).
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")


def admitting(lines: Iterable[tuple[str, str]], host: str, script: str, events: str) -> list[tuple[str, str]]:
    """Field lines whose policies admit the paths `script`, to be run, and `events`, to be read, at this host."""
    lines = list(lines)
    if not _HOST.fullmatch(host):
        return lines
    return [
        (name, ",".join(_admitting(policy, host + script, host + events) for policy in value.split(",")))
        if name.lower() == "content-security-policy"
        else (name, value)
        for name, value in lines
    ]


def _admitting(policy: str, script: str, events: str) -> str:
    directives = {name.lower(): sources for name, *sources in map(str.split, filter(str.strip, policy.split(";")))}
    scripts = "script-src-elem" if "script-src-elem" in directives else "script-src"
    for name, source in ((scripts, script), ("connect-src", events)):
        # What a directive does not say, the default does; and where neither does, all is admitted (§6.8.3).
        sources = directives.get(name, directives.get("default-src"))
        if sources is not None:
            directives[name] = [*(other for other in sources if other.lower() != "'none'"), source]
    return "; ".join(" ".join([name, *sources]) for name, sources in directives.items())
