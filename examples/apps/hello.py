"""A site of three parts: a page from a template, a form that is posted, a folder of files.

python examples/apps/hello.py        then open http://127.0.0.1:8000/
httpd --app hello:site               the same, from this folder
"""

from __future__ import annotations

from pathlib import Path

from httpd import Request, Response, Router, Server, StaticFiles, Templates, redirect

HERE = Path(__file__).resolve().parent
KEPT = 100

site = Router()
templates = Templates(HERE / "templates")
messages: list[str] = []


def save(message: str) -> None:
    """Keep a message, in memory: the newest first, and not for ever."""
    messages.insert(0, message[:500])
    del messages[KEPT:]


@site.get("/hello/{name}")
def hello(request: Request, name: str) -> Response:
    """Greet whoever stands in the address."""
    return templates.response("hello.html", name=name)


@site.get("/guestbook")
def guestbook(request: Request) -> Response:
    """What others have written, and the form."""
    return templates.response("guestbook.html", messages=messages)


@site.post("/guestbook")
def sign(request: Request) -> Response:
    """Take a message.  A redirect answers it, so that reloading the page does not post it again."""
    if message := request.form["message"].strip():
        save(message)
    return redirect("/thanks")


@site.get("/thanks")
def thanks(request: Request) -> Response:
    """Say so."""
    return templates.response("thanks.html", count=len(messages))


site.mount("/", StaticFiles(HERE / "public"))

if __name__ == "__main__":
    Server(site, port=8000).run()
