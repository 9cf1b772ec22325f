"""jinja2 as templates have it here: its rules, and two of its steps made cheaper.

Imported when a template is first rendered, as jinja2 is.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context

__all__ = ["QuickEnvironment"]

_ABSENT = object()
_PLAIN = (FunctionType, MethodType)
# What compiled templates add to a call, for who wants the context.
_JINJAS_OWN = frozenset({"_block_vars", "_loop_vars"})


class _QuickContext(Context):
    """What looks in three places for whether a call wants the context looks in one, where that is enough."""

    def call(self, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What it returns.  Undefined where it raises StopIteration, which would end the page."""
        plain = called.__class__ in _PLAIN and not hasattr(getattr(called, "__func__", called), "jinja_pass_arg")
        if not plain or not kwargs.keys() <= _JINJAS_OWN:
            return super().call(called, *args, **kwargs)
        try:
            return called(*args)
        except StopIteration:
            return self.environment.undefined("what was called raised StopIteration")


class QuickEnvironment(Environment):
    """jinja2's own, in which an attribute that is absent is no exception: that costs more than all else of a value, and
    a dict, as a row mostly is, lacks each that a template names.
    """

    context_class = _QuickContext

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The attribute, else the item of that name, else Undefined."""
        value = getattr(obj, attribute, _ABSENT)
        if value is not _ABSENT:
            return value
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=attribute)
