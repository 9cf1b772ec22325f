"""Run one target under atheris: `python -m tests.fuzz TARGET --seconds N`.

What is found worth keeping goes to `--corpus`, an input that fails to `--found`; both folders are made.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import CORPUS, TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--most", type=int, default=1_024, help="longest input, in bytes (default: %(default)s)")
    parser.add_argument("--corpus", type=Path, help="a folder for what reaches new branches (default: a temporary one)")
    parser.add_argument(
        "--found", type=Path, default=Path("found"), help="a folder for what fails (default: %(default)s)"
    )
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Fuzz until the time is over or an input fails; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not here: pip install '.[fuzz]'")
    # Only ours is watched: the branches of h11 or of urllib would lead it elsewhere.
    with atheris.instrument_imports(include=["httpd"]):
        target = importlib.import_module(f"tests.fuzz.{options.target}")
    logging.disable()
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="fuzz-"))
    for folder in (corpus, options.found):
        folder.mkdir(parents=True, exist_ok=True)
    words = dictionary(target.WORDS, corpus.parent / f"{options.target}.words")
    settings = {
        "max_total_time": options.seconds,
        "max_len": options.most,
        "timeout": 20,
        "artifact_prefix": f"{options.found}/{options.target}-",
        "dict": words,
        "print_final_stats": 1,
    }
    arguments = [f"-{name}={value}" for name, value in settings.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus), str(CORPUS / options.target)], target.one_input)
    atheris.Fuzz()


def dictionary(words: Iterable[bytes], path: Path) -> Path:
    """Write the words as libFuzzer reads them."""
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words]
    path.write_text("".join(lines), encoding="ascii")
    return path


if __name__ == "__main__":
    main()
