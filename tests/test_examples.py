"""The examples: each runs, and every link on their pages leads somewhere."""

from __future__ import annotations

import importlib.util
import re
from html import unescape
from types import ModuleType
from urllib.parse import unquote, urljoin

import pytest

from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Request, Response
from httpd.site.static import StaticFiles

from .factories import request
from .tools import TOP

EXAMPLES = TOP / "examples"
PAGES = ["/", "/about/", "/keeper", "/log/", "/log/drawings/", "/adrift.html"]
MOVED = {"/lamp": (301, "/keeper"), "/journal/": (302, "/log/")}


def load(name: str) -> ModuleType:
    """An example as a module of its own, fresh."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "apps" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def form(path: str, body: bytes) -> Request:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return request(path, "POST", headers=headers, body=body)


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_the_site_leads_somewhere(path: str) -> None:
    site = StaticFiles(EXAMPLES / "site")
    response = site(request(path))
    for link in re.findall(r'(?:href|src)="([^"#:?]+)"', page(response)):
        target = unquote(urljoin(path, link))
        answer = site(request(target))
        if target in MOVED:
            assert (answer.status, dict(answer.headers)["Location"]) == MOVED[target]
        else:
            assert answer.status == (404 if target == "/adrift.html" else 200)


def test_the_site_s_rules_are_taken() -> None:
    site = StaticFiles(EXAMPLES / "site")
    for path, kept in [("/", "no-cache"), ("/harbour.svg", "max-age=86400"), ("/style.css", "max-age=3600")]:
        fields = dict(site(request(path)).headers)
        assert (fields["Cache-Control"], fields["X-Frame-Options"]) == (kept, "DENY")
    assert "What a folder's README says" in unescape(page(site(request("/log/"))))


def test_hello_greets_takes_a_message_and_shows_it_escaped() -> None:
    site = load("hello").site
    assert "Hello, &lt;Ada&gt;!" in page(site(request("/hello/<Ada>")))
    assert "Nobody has signed yet" in page(site(request("/guestbook")))
    answer = site(form("/guestbook", b"message=%3Cb%3Ehi%3C%2Fb%3E"))
    assert (answer.status, dict(answer.headers)["Location"]) == (303, "/thanks")
    assert "one message" in page(site(request("/thanks")))
    assert "&lt;b&gt;hi&lt;/b&gt;" in page(site(request("/guestbook")))


def test_hello_refuses_a_form_without_a_message_and_keeps_no_blank_one() -> None:
    module = load("hello")
    with pytest.raises(HTTPError) as caught:
        module.site(form("/guestbook", b"other=1"))
    assert caught.value.status == 400
    module.site(form("/guestbook", b"message=+++"))
    assert module.messages == []


def test_hello_serves_its_folder() -> None:
    site = load("hello").site
    for path in ("/", "/style.css"):
        assert site(request(path)).status == 200
    with pytest.raises(HTTPError, match="404"):
        site(request("/nothing"))


def test_hello_does_not_grow_for_ever() -> None:
    module = load("hello")
    for number in range(module.KEPT + 20):
        module.site(form("/guestbook", b"message=%d" % number))
    assert len(module.messages) == module.KEPT
    assert module.messages[0] == str(module.KEPT + 19)
