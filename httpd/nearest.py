"""What a person may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["meant", "nearest"]


def nearest(word: str, words: Iterable[str], likeness: float = 0.6) -> str:
    """The word that is most like another, "" where none is so much like it: 1 is the same."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, [*words], 1, likeness)), "")


def meant(word: str, words: Sequence[str]) -> str:
    """What to say of a word that is none of these."""
    close = nearest(word, words)
    return f"did you mean {close}?" if close else f"there are {', '.join(words)}"
