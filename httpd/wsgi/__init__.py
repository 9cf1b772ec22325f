"""A WSGI application as a site (PEP 3333).

The application is called in one of the server's threads (see `blocking`), and so is everything of its: the iteration
over its content, and `close()`.  The loop gets the head with the first of the content, and whatever comes after that as
it comes.  Where a client takes it more slowly than it is made, the thread waits; when the client has gone, it is told
by an error.  So it is with content that is sent to it, if that is not small (see `inflow`).

    site.mount("/shop", WSGI(flask_app))
"""

from __future__ import annotations

from .application import WSGI

__all__ = ["WSGI"]
