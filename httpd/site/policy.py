"""A page's Content-Security-Policy, with something of ours let in and everything else as it was.

Without the policy a page would do here what it may not do elsewhere, and its author would not know.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["admitting", "hash_source"]


def admitting(lines: Iterable[tuple[str, str]], *sources: tuple[str, str]) -> list[tuple[str, str]]:
    """Field lines whose policies admit each (directive, source), such as ("script-src", "127.0.0.1/ours.js")."""
    return [
        (name, ",".join(_admitting(policy, sources) for policy in value.split(",")))
        if name.lower() == "content-security-policy"
        else (name, value)
        for name, value in lines
    ]


def hash_source(text: str) -> str:
    """What a policy calls a style or a script that stands in the page itself (CSP3 §2.3.1)."""
    import base64
    import hashlib

    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _admitting(policy: str, sources: Iterable[tuple[str, str]]) -> str:
    directives = {name.lower(): said for name, *said in map(str.split, filter(str.strip, policy.split(";")))}
    for kind, source in sources:
        name = f"{kind}-elem" if f"{kind}-elem" in directives else kind
        # What a directive does not say, the default does; and where neither does, all is admitted (§6.8.3).
        said = directives.get(name, directives.get("default-src"))
        # Beside a hash, "anything that stands in the page" counts for nothing (§6.7.3.2).
        if said is not None and not (source.startswith("'sha") and "'unsafe-inline'" in said):
            directives[name] = [*(other for other in said if other.lower() != "'none'"), source]
    return "; ".join(" ".join([name, *said]) for name, said in directives.items())
