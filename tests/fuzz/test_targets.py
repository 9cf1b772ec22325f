"""Every target, without atheris: over its seeds, over what hypothesis makes of its words, and over any bytes."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..strategies import examples
from . import CORPUS, TARGETS
from .__main__ import dictionary

SEEDS = sorted(path for target in TARGETS for path in (CORPUS / target).iterdir())


def target(name: str) -> Any:
    return importlib.import_module(f"{__package__}.{name}")


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed(seed: Any) -> None:
    target(seed.parent.name).one_input(seed.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_its_words_make(name: str) -> None:
    module = target(name)
    word = st.sampled_from(module.WORDS) | st.binary(max_size=4)
    first = st.sampled_from([b"0", b"8", b"@", b"P", b"\x00", b"3\x05\x07\x09", b"\x0d\x01\x01\x14\x05\x03"])

    @settings(max_examples=examples(300))
    @given(st.tuples(first, st.lists(word, max_size=14).map(b"".join)).map(b"".join))
    def run(data: bytes) -> None:
        module.one_input(data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    module = target(name)

    @settings(max_examples=examples(100))
    @given(st.binary(max_size=80))
    def run(data: bytes) -> None:
        module.one_input(data)

    run()


def test_every_target_has_seeds_and_words() -> None:
    for name in TARGETS:
        assert target(name).WORDS
        assert any((CORPUS / name).iterdir())


def test_words_are_written_as_the_fuzzer_reads_them(tmp_path: Any) -> None:
    assert dictionary([b'a"\n'], tmp_path / "words").read_text() == '"\\x61\\x22\\x0a"\n'
