"""A minimal HTTP/1.0 web server on the asynchat model.

    from httpd import Router, Server, text

    site = Router()

    @site.get("/")
    def hello(request):
        return text("Hello")

    Server(site, port=8000).run()

`asyncore` and `asynchat` here are our own; they keep the documented API of the modules that left the standard library.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .public import *  # noqa: F403
else:

    def __getattr__(name):
        """The public names are read when something is first asked for: the command does without most of them."""
        public = importlib.import_module(".public", __name__)
        names = globals()
        names.update({each: getattr(public, each) for each in ("__all__", *public.__all__)})
        if name in names:
            return names[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
