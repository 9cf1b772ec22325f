"""httpd.site.templates: templates to responses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from httpd.protocol.message import Response
from httpd.site.templates import BOUND, Templates, bundled

from .tools import TOP

FILES = {
    "hello.html": "<p>Hello, {{ name }}!</p>",
    "hello.html.j2": "<p>{{ name }}</p>",
    "plain.txt": "Hello, {{ name }}!",
    "data.json": '{"a": {{ n }}}',
    "feed.xml": "<a>{{ name }}</a>",
    "picture.svg": "<text>{{ name }}</text>",
    "nameless": "{{ name }}",
    "base.html": "<title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}",
    "child.html": "{% extends 'base.html' %}{% block title %}{{ name }}{% endblock %}",
    "orphan.html": "{% extends 'nowhere.html' %}",
    "broken.html": "{% if %}",
    "long.html": "{% for n in numbers %}{{ n }},{% endfor %}",
    "early.html": "{{ fail() }}",
    "late.html": "{{ 'x' * bound }}{% for n in range(64) %}{{ nobody }}{% endfor %}{{ fail() }}",
    "unknown.html": "[{{ nobody }}]",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture
def templates(folder: Path) -> Templates:
    return Templates(folder)


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def pieces(response: Response) -> list[bytes]:
    assert not isinstance(response.body, bytes)
    found = []
    while piece := response.body.more():
        found.append(piece)
    return found


def fail() -> None:
    raise RuntimeError("half-way")


def test_a_page_is_a_response_with_its_length(templates: Templates) -> None:
    response = templates.response("hello.html", name="Ada")
    assert (response.status, body(response), response.length) == (200, b"<p>Hello, Ada!</p>", 18)
    assert response.headers == [("Content-Type", "text/html; charset=utf-8")]


def test_status_and_field_lines_are_the_callers(templates: Templates) -> None:
    response = templates.response("hello.html", 404, [("X-A", "b")], name="Ada")
    assert response.status == 404
    assert ("X-A", "b") in response.headers
    assert templates.response("hello.html", status=410, headers=[("X-A", "b")], name="Ada").status == 410


@pytest.mark.parametrize(
    ("name", "kind", "escaped"),
    [
        ("hello.html", "text/html; charset=utf-8", True),
        ("hello.html.j2", "text/html; charset=utf-8", True),
        ("nameless", "text/html; charset=utf-8", True),
        ("feed.xml", "application/xml", True),
        ("picture.svg", "image/svg+xml", True),
        ("plain.txt", "text/plain; charset=utf-8", False),
    ],
)
def test_the_name_decides_type_and_escaping(templates: Templates, name: str, kind: str, escaped: bool) -> None:
    response = templates.response(name, name="<b>&")
    assert dict(response.headers)["Content-Type"] == kind
    assert (b"&lt;b&gt;&amp;" in body(response)) == escaped


def test_it_renders_to_text_and_inherits(templates: Templates) -> None:
    assert templates.render("child.html", name="<x>") == "<title>&lt;x&gt;</title>"
    assert templates.render("data.json", n=1) == '{"a": 1}'


class Thing:
    """What a template may come upon: attributes, items, methods, and some that want jinja2's context."""

    name = "attribute"

    def __getitem__(self, name: str) -> str:
        return {"name": "item", "other": "item"}[name]

    @property
    def fails(self) -> str:
        raise AttributeError("inside")

    def method(self, *given: object, **named: object) -> str:
        return f"{given}{named}"

    @jinja2.pass_context
    def knows(self, context: jinja2.runtime.Context) -> object:
        return context.get("n")

    def stops(self) -> None:
        raise StopIteration

    @jinja2.pass_context
    def __call__(self, context: jinja2.runtime.Context, *given: object) -> str:
        return f"{context.name}{given}"


@jinja2.pass_eval_context
def asks(context: jinja2.nodes.EvalContext, *given: object) -> str:
    return f"{context.autoescape}{given}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ row.n }}{{ row.items }}{{ row.nobody }}{{ row['n'] }}{{ none.nobody }}{{ n.real }}{{ n.nobody }}",
        "{{ thing.name }} {{ thing.other }} {{ thing.nobody }} {{ thing.fails }} {{ thing['name'] }}",
        "{{ nobody.nothing }}",
        "{{ row.nobody.nothing }}",
        "{{ thing.method() }}{{ thing.method(1, '<') }}{{ thing.method(1, a=2) }}{{ row.get('n') }}{{ int('3') }}",
        "{% for n in range(3) %}{{ loop.cycle('a', 'b') }}{{ thing.knows() }}{{ thing(n) }}{{ asks(n) }}{% endfor %}",
        "{% block body scoped %}{% set n = 7 %}{{ thing.knows() }}{{ thing.method(n) }}{{ asks() }}{% endblock %}",
        "{% macro cell(x) %}<td>{{ x }}{{ caller() if caller }}</td>{% endmacro %}{{ cell('<') }}"
        "{% call cell(1) %}{{ row.s }}{% endcall %}",
        "[{{ thing.stops() }}]{{ row.s }}{{ plain('&') }}{{ nobody() }}",
        "[{{ thing.stops() }}]",
        "{{ plain(1, 2) }}",
    ],
)
def test_what_a_template_means_is_jinja2s_rule(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.html").write_text(text)
    loader = jinja2.FileSystemLoader(tmp_path)
    values = {"row": {"n": 1, "s": "<&>"}, "thing": Thing(), "asks": asks, "int": int, "n": 5, "none": None}
    values["plain"] = lambda x: x

    def outcome(environment: jinja2.Environment) -> str:
        try:
            return environment.get_template("page.html").render(values)
        except Exception as error:
            return f"{type(error)} {error}"

    assert outcome(Templates(tmp_path).environment) == outcome(jinja2.Environment(loader=loader, autoescape=True))


def test_what_is_not_given_is_empty(templates: Templates) -> None:
    assert templates.render("unknown.html") == "[]"


def test_text_is_utf8_and_never_fails_to_be(templates: Templates) -> None:
    assert body(templates.response("plain.txt", name="日本")) == "Hello, 日本!".encode()
    assert body(templates.response("plain.txt", name="\udcff")) == b"Hello, ?!"


@pytest.mark.parametrize(("asked", "missing"), [("nothing.html", "nothing.html"), ("../secret.html", "secret")])
def test_a_missing_template_is_named_with_the_folder(templates: Templates, asked: str, missing: str) -> None:
    (Path(templates.folders[0]).parent / "secret.html").write_text("secret")
    for call in (templates.response, templates.render):
        with pytest.raises(FileNotFoundError, match=missing) as caught:
            call(asked)
        assert templates.folders[0] in str(caught.value)


def test_an_error_before_the_head_is_the_templates_own(templates: Templates) -> None:
    with pytest.raises(jinja2.TemplateNotFound, match=r"nowhere\.html"):
        templates.response("orphan.html")
    with pytest.raises(jinja2.TemplateSyntaxError):
        templates.response("broken.html")
    with pytest.raises(RuntimeError, match="half-way"):
        templates.response("early.html", fail=fail)
    with pytest.raises(RuntimeError, match="half-way"):
        templates.response("late.html", fail=fail, bound=BOUND - 1)


def test_a_long_page_is_made_while_it_is_sent(templates: Templates) -> None:
    taken: list[int] = []

    def numbers() -> object:
        for number in range(100_000):
            taken.append(number)
            yield number

    response = templates.response("long.html", numbers=numbers())
    assert response.length is None
    assert len(taken) < 20_000
    sent = pieces(response)
    assert b"".join(sent) == b"".join(b"%d," % number for number in range(100_000))
    assert all(16_384 <= len(piece) <= BOUND + 1_000 for piece in sent[:-1])
    response.body.close()  # type: ignore[union-attr]


def test_a_page_of_exactly_the_bound_and_one_less(templates: Templates) -> None:
    templates.environment.globals["fail"] = lambda: ""
    assert templates.response("late.html", bound=BOUND - 1).length == BOUND - 1
    response = templates.response("late.html", bound=BOUND)
    assert b"".join(pieces(response)) == b"x" * BOUND


def test_an_error_after_the_head_is_raised_by_more(templates: Templates) -> None:
    response = templates.response("late.html", fail=fail, bound=BOUND)
    assert not isinstance(response.body, bytes)
    assert response.body.more() == b"x" * BOUND
    with pytest.raises(RuntimeError, match="half-way"):
        response.body.more()


def test_closing_a_page_early_ends_what_feeds_it(templates: Templates) -> None:
    ended: list[bool] = []

    def numbers() -> object:
        try:
            yield from range(100_000)
        finally:
            ended.append(True)

    response = templates.response("long.html", numbers=numbers())
    assert not isinstance(response.body, bytes)
    response.body.more()
    response.body.close()  # type: ignore[attr-defined]
    assert response.body.more() == b""
    assert ended == [True]


def test_a_change_is_seen_where_that_is_wanted(folder: Path) -> None:
    live, settled = Templates(folder, reload=True), Templates(folder)
    for templates in (live, settled):
        assert templates.render("hello.html", name="a") == "<p>Hello, a!</p>"
    import os

    (folder / "hello.html").write_text("new")
    os.utime(folder / "hello.html", (1, 1))
    assert live.render("hello.html", name="a") == "new"
    assert settled.render("hello.html", name="a") == "<p>Hello, a!</p>"


def test_several_folders_are_looked_through_in_order(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = tmp_path_factory.mktemp("first")
    (first / "hello.html").write_text("first")
    templates = Templates([first, str(folder)])
    assert templates.render("hello.html") == "first"
    assert templates.render("plain.txt", name="x") == "Hello, x!"


def test_the_houses_own_templates_include_their_styles() -> None:
    assert "prefers-color-scheme: dark" in bundled().render("error.html", status=404, reason="Not Found")


@pytest.mark.programs
def test_jinja2_is_imported_only_when_a_template_is_rendered(folder: Path) -> None:
    code = f"""
import sys
from httpd.site.templates import Templates
templates = Templates({str(folder)!r})
assert "jinja2" not in sys.modules
templates.render("hello.html", name="x")
assert "jinja2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=TOP, check=True, timeout=60)
