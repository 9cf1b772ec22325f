"""Settings from the environment: HTTPD_PORT=8080 is --port 8080.

A switch is on, off, yes, no, true, false, 1 or 0.  Several values are words, quoted as in a shell.  An empty variable
says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .option import Origin, Several, Written, Wrong
from .settings import OPTIONS

__all__ = ["SECRETS", "doubts", "read_environment"]

# What is nowhere but in the environment: a command line is for everybody on the machine to read.
SECRETS = {
    "HTTPD_FORM_KEY": "signs the tokens of forms; the same on all machines that share an inbox",
    "HTTPD_WEBHOOK_SECRET": "signs what --webhook sends",
    "HTTPD_MAIL_USER": "who sends mail by --mail-server",
    "HTTPD_MAIL_PASSWORD": "and that user's password",
}

_PREFIX = "HTTPD_"
# More than for what a person has just typed: others may have variables of such names, too.
_LIKENESS = 0.75


def read_environment(environ: Mapping[str, str]) -> list[Written]:
    """What the variables set.  Raises Wrong for words whose quotes do not close."""
    found = [(option, environ[option.variable]) for option in OPTIONS.values() if environ.get(option.variable)]
    return [
        Written(option, text, Origin(option.variable))
        for option, value in found
        for text in (_words(option.variable, value) if isinstance(option, Several) else [value])
    ]


def doubts(environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that was probably meant as one of ours, and is none."""
    known = {*SECRETS, *(option.variable for option in OPTIONS.values())}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            from ..nearest import nearest

            close = nearest(name.removeprefix(_PREFIX), [one.removeprefix(_PREFIX) for one in known], _LIKENESS)
            if close:
                yield f"{name} is no variable of ours; did you mean {_PREFIX}{close}?"


def _words(variable: str, value: str) -> list[str]:
    import shlex

    try:
        return shlex.split(value)
    except ValueError as why:
        raise Wrong(f"{variable}: {why}; values are words, quoted as in a shell", Origin(variable), 2) from None
