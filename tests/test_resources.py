"""httpd.resources: the bundled folders, in a checkout and installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpd import resources

from .tools import TOP


def test_in_a_checkout_they_stand_at_the_top_level() -> None:
    assert resources.folder("templates") == str(TOP / "templates")
    assert resources.folder("static") == str(TOP / "static")
    assert (TOP / "templates" / "error.html").is_file()


def test_installed_they_stand_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "httpd"
    (package / "templates").mkdir(parents=True)
    (tmp_path / "site-packages" / "templates").mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", str(package))
    assert resources.folder("templates") == str(package / "templates")
    with pytest.raises(FileNotFoundError, match="incomplete"):
        resources.folder("static")
