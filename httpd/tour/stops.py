"""The stops of the tour, in their order: where each is, what is told there, and the code that it shows."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["STOPS", "Stop", "stop_at"]


class Stop(NamedTuple):
    """A stop: the path that leads there, and for pages further down what their paths begin with, "" for none.

    `teaser` is a sentence for the first page, `told` two sentences in the strip; `source` is the file that made the
    page, by its name in the project, and `line` what the line begins with at which to read it.
    """

    path: str
    below: str
    title: str
    teaser: str
    told: str
    source: str
    line: str


STOPS = (
    Stop(
        "/",
        "",
        "The first page",
        "",
        "This page was made from a template when you asked for it, and each page of the tour begins with a strip like"
        " this one. It names the file that made the page, and leads to the recording of the very request that has "
        "fetched it.",
        "httpd/site/templates.py",
        "class Templates",
    ),
    Stop(
        "/pictures",
        "",
        "Pictures and a film",
        "Files from a folder; the film can be sought.",
        "The folder is served as it lies on the disk, and this page is the file pictures.html in it. When you drag "
        "the film, the browser asks for the bytes from there on, and gets them as a part: 206, with a Content-Range.",
        "httpd/site/static.py",
        "class StaticFiles",
    ),
    Stop(
        "/things/",
        "/things/",
        "A listing",
        "A folder without a page of its own.",
        "A folder without a page of its own is listed, and the list sorts and filters without a script, too. A "
        "program that asks for JSON or plain text gets the same as that.",
        "httpd/site/listing.py",
        "def listing",
    ),
    Stop(
        "/hello/stranger",
        "/hello/",
        "A page for you",
        "The address has a name in it, and so has the page.",
        "The router takes the name out of the address and hands it to a function, which puts it into a template. "
        "Whatever you write there is escaped: with a < in it, it stays a name.",
        "httpd/site/router.py",
        "class Router",
    ),
    Stop(
        "/contact",
        "/contact/",
        "A form",
        "What you send is kept before it is acknowledged.",
        "What you send is checked, written to the disk, and only then acknowledged. Leave something out, and the page"
        " comes back with all that you have written.",
        "httpd/inbox/form.py",
        "class FormHandler",
    ),
    Stop(
        "/inbox/",
        "/inbox/",
        "The owner's page",
        "What has come in by the form.",
        "Here the owner of the form reads what has come in. On a site of yours it stands behind a password; here it "
        "is in a temporary folder, which goes when the tour ends.",
        "httpd/inbox/page.py",
        "def owner_page",
    ),
    Stop(
        "/source/",
        "/source/",
        "The source",
        "All that runs here, to be read.",
        "Every file that runs here can be read, with its lines numbered. An address only chooses among their names: "
        "what is not one of them is never looked for on the disk.",
        "httpd/tour/sources.py",
        "class Sources",
    ),
)


def stop_at(path: str) -> Stop | None:
    """The stop that a path belongs to."""
    for stop in STOPS:
        if path == stop.path or (stop.below and path.startswith(stop.below)):
            return stop
    return None
