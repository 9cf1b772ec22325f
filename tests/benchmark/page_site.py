"""One page of a table of 20 rows, values escaped: on this server's templates, and the same template on Flask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from httpd import Request, Response, Router, Templates

if TYPE_CHECKING:
    from flask import Flask

FOLDER = Path(__file__).parent
PAGE = "page.html"
ROWS = [
    {"number": number, "name": f"Row <{number}>", "note": "salt & pepper", "price": f"{number * 1.25:.2f}"}
    for number in range(20)
]

site = Router()
templates = Templates(FOLDER)


@site.get("/page")
def page(request: Request) -> Response:
    return templates.response(PAGE, rows=ROWS, title="A table")


def flask_app() -> Flask:
    from flask import Flask, render_template

    app = Flask(__name__, template_folder=str(FOLDER))

    @app.get("/page")
    def page() -> str:
        return render_template(PAGE, rows=ROWS, title="A table")

    return app
