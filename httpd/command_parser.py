"""How the commands of their own, such as `httpd show`, read their words: a mistake is one sentence, and status 2."""

from __future__ import annotations

import argparse
from collections.abc import Container, Sequence
from typing import Any, NoReturn

from .nearest import nearest

__all__ = ["CommandParser"]

# How much a word is like an option of a command that takes the server's, too, to be taken for that, misspelt.
_LIKENESS = 0.8


class CommandParser(argparse.ArgumentParser):
    """The words of one command; options are not cut short, as those of the server are not."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help explains it\n")

    def parse_own(
        self, argv: Sequence[str] | None, others_know: Container[str]
    ) -> tuple[argparse.Namespace, list[str]]:
        """(the command's own options, the other words); `others_know` are the options that may be among these."""
        options, others = self.parse_known_args(argv)
        for word in others:
            name = word.partition("=")[0]
            close = "" if name in others_know else nearest(name, self._option_string_actions, _LIKENESS)
            if word.startswith("--") and close:
                self.exit(2, f"{self.prog}: there is no option {word}; did you mean {close}?\n")
        return options, others
