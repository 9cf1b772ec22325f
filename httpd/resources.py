"""Where the bundled folders are: beside the code once installed, at the top level in a checkout."""

from __future__ import annotations

import os
from typing import Literal

__all__ = ["folder"]

_PACKAGE = os.path.dirname(os.path.realpath(__file__))


def folder(name: Literal["static", "templates"]) -> str:
    """The bundled folder of that name.  Raises FileNotFoundError where the installation lacks it."""
    for parent in (_PACKAGE, os.path.dirname(_PACKAGE)):
        place = os.path.join(parent, name)
        if os.path.isdir(place):
            return place
    raise FileNotFoundError(f"the bundled folder {name!r} is missing beside {_PACKAGE}: the installation is incomplete")
