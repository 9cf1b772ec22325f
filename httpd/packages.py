"""Packages that only a part of the server takes: what to say where one is missing.

It names the package itself: that can be installed from wherever this one has come.
"""

from __future__ import annotations

__all__ = ["needs"]


def needs(what: str, package: str) -> str:
    """A sentence with the command that mends it: `--auth needs the package bcrypt: pip install bcrypt`.

    `package` is what pip is to be told, as `psycopg[binary,pool]`.
    """
    from shlex import quote

    return f"{what} needs the package {package.partition('[')[0]}: pip install {quote(package)}"
