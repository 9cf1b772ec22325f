"""Fuzzing: inputs that a machine makes up, guided by the branches that they reach.

A target is a module with `one_input(data)`, which raises AssertionError (or anything else) where something that must
always hold does not; its `WORDS` are what is worth putting into an input.  Seeds of our own stand in `corpus/TARGET/`.

    python -m tests.fuzz TARGET --seconds 600

runs one under atheris, which `pip install '.[fuzz]'` gives.  The suite runs every target too, without it, over its
seeds and over what hypothesis makes of its words: `test_targets.py`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CORPUS", "TARGETS"]

TARGETS = (
    "forms", "handler", "head", "json_content", "multipart", "parts", "paths", "proxies", "representations", "rules",
    "terminators",
)  # fmt: skip

CORPUS = Path(__file__).parent / "corpus"
