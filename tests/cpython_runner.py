"""Run one of CPython's own test files against a given pair of modules.

A script for any interpreter from 3.11 on, with nothing installed: `cpython_runner.py ours|own FILE ROOT [PATTERN]`
puts the pair into `sys.modules` under the names that the file imports, runs the tests whose name holds PATTERN, and
prints one line of JSON: `{"passed": n, "skipped": [...], "failed": {name: traceback}}`.  `own` leaves the interpreter's
pair in its place.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import sys
import types
import unittest
import warnings
from pathlib import Path


def ours(root: Path) -> dict[str, types.ModuleType]:
    """The house's pair, imported without the house's front door, which may need packages that are not here."""
    house = types.ModuleType("httpd")
    house.__path__ = [str(root / "httpd")]
    sys.modules["httpd"] = house
    return {name: importlib.import_module(f"httpd.net.{name}") for name in ("asyncore", "asynchat")}


def install(pair: dict[str, types.ModuleType]) -> None:
    """Under the old names, and under those that CPython's test support has used for its copies since 3.12."""
    sys.modules.update(pair)
    support = importlib.import_module("test.support")
    for name, module in pair.items():
        sys.modules[f"test.support.{name}"] = module
        setattr(support, name, module)


def load(file: Path) -> types.ModuleType:
    """The test file as a module of CPython's test package, wherever it lies."""
    name = f"test.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        spec.loader.exec_module(module)
    return module


def run(file: Path, pattern: str) -> dict[str, object]:
    """Run the tests of the file whose name holds the pattern, and sum up."""
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{pattern}*"]
    tests = loader.loadTestsFromModule(load(file))
    result = unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(tests)
    bad = {str(test): text for test, text in [*result.failures, *result.errors]}
    skipped = sorted(f"{test}: {why}" for test, why in result.skipped)
    return {"passed": result.testsRun - len(bad) - len(skipped), "skipped": skipped, "failed": bad}


def main(pair: str, file: str, root: str, pattern: str = "") -> None:
    """The script."""
    if pair == "ours":
        install(ours(Path(root)))
    sys.stdout.write("\n" + json.dumps(run(Path(file), pattern)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
