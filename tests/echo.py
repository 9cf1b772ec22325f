"""A site that answers any method on any path, and gives content back as it came: a target for other people's requests.

    python -m httpd --app tests.echo:site
"""

from __future__ import annotations

from httpd import Request, Response, Router

site = Router()


@site.route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def echo(request: Request, path: str) -> Response:
    """The content of the request, or a line of text where it has none."""
    return Response(request.body or b"here\n", content_type="application/octet-stream")
