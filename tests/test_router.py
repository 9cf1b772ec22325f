"""httpd.site.router: which handler answers which method and path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Request, Response, text
from httpd.site.answers import answer_method
from httpd.site.router import Router

from .factories import request


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def allow(response_or_error: Response | HTTPError) -> str:
    return dict(response_or_error.headers)["Allow"]


def refusal(site: Router, path: str, method: str = "GET") -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        site(request(path, method))
    return caught.value


@pytest.fixture
def site() -> Router:
    site = Router()

    @site.get("/")
    def home(request: Request) -> Response:
        return text("home")

    @site.get("/hello/{name}")
    def hello(request: Request, name: str) -> Response:
        return text(f"hello {name}")

    @site.get("/number/{n:int}")
    def number(request: Request, n: int) -> Response:
        return text(f"{n + 1} {request.params}")

    @site.get("/files/{rest:path}")
    def files(request: Request, rest: str) -> Response:
        return text(rest)

    @site.post("/guestbook")
    def sign(request: Request) -> Response:
        return text("signed")

    @site.route("/thing", methods=["PUT", "DELETE", "PROPFIND"])
    def thing(request: Request) -> Response:
        return text(request.method)

    return site


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", b"home"),
        ("/hello/Ada", b"hello Ada"),
        ("/hello/Ada Lovelace", b"hello Ada Lovelace"),
        ("/hello/a.b", b"hello a.b"),
        ("/hello/日", "hello 日".encode()),
        ("/number/41", b"42 {'n': '41'}"),
        ("/number/007", b"8 {'n': '007'}"),
        ("/files/a/b/c.txt", b"a/b/c.txt"),
        ("/files/", b""),
    ],
)
def test_a_path_finds_its_handler(site: Router, path: str, answer: bytes) -> None:
    assert body(site(request(path))) == answer


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "", "//", "/hello", "/hello/", "/hello/a/b", "/number/", "/number/x", "/number/-1", "/number/1.5",
        "/number/٣", "/number/" + "9" * 5000, "/files", "/hello/\udcff", "/files/\udc80", "*",
    ],
)  # fmt: skip
def test_no_other_path_does(site: Router, path: str) -> None:
    assert refusal(site, path).status == 404


def test_a_path_that_is_known_with_other_methods_is_405_with_allow(site: Router) -> None:
    error = refusal(site, "/guestbook")
    assert (error.status, allow(error)) == (405, "POST, OPTIONS")
    assert allow(refusal(site, "/hello/x", "POST")) == "GET, HEAD, OPTIONS"
    assert allow(refusal(site, "/thing")) == "PUT, DELETE, OPTIONS, PROPFIND"


def test_get_brings_head_and_an_own_head_comes_first(site: Router) -> None:
    assert body(site(request("/hello/x", "HEAD"))) == b"hello x"

    @site.route("/both", methods=["HEAD"])
    def head(request: Request) -> Response:
        return text("of its own")

    @site.get("/both")
    def get(request: Request) -> Response:
        return text("get")

    assert body(site(request("/both", "HEAD"))) == b"of its own"
    assert body(site(request("/both"))) == b"get"


def test_options_says_what_is_allowed(site: Router) -> None:
    response = site(request("/guestbook", "OPTIONS"))
    assert (response.status, allow(response)) == (204, "POST, OPTIONS")
    assert allow(site(request("*", "OPTIONS"))) == "GET, HEAD, POST, PUT, DELETE, OPTIONS, PROPFIND"
    assert refusal(site, "/nothing", "OPTIONS").status == 404


def test_a_handler_may_answer_options_itself(site: Router) -> None:
    site.route("/own", methods=["OPTIONS"])(lambda request: text("mine"))
    assert body(site(request("/own", "OPTIONS"))) == b"mine"


@pytest.mark.parametrize("path", ["/", "/nothing", "/guestbook"])
def test_trace_is_405_and_connect_and_unknown_methods_are_501(site: Router, path: str) -> None:
    assert refusal(site, path, "TRACE").status == 405
    assert "OPTIONS" in allow(refusal(site, path, "TRACE"))
    assert refusal(site, path, "CONNECT").status == 501
    assert refusal(site, path, "BREW").status == 501
    assert refusal(site, path, "get").status == 501


def test_a_method_that_is_known_somewhere_is_not_501(site: Router) -> None:
    assert refusal(site, "/guestbook", "PROPFIND").status == 405
    assert refusal(site, "/nothing", "PROPFIND").status == 404


def test_each_method_has_its_decorator() -> None:
    site = Router()
    for method in ("get", "post", "put", "patch", "delete"):
        getattr(site, method)("/thing")(lambda request: text(request.method))
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert body(site(request("/thing", method))) == method.encode()
    assert allow(site(request("/thing", "OPTIONS"))) == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def test_exact_paths_come_before_patterns_and_patterns_in_their_order() -> None:
    site = Router()
    site.get("/{first}")(lambda request, first: text("pattern"))
    site.get("/{second:path}")(lambda request, second: text("later"))
    site.get("/exact")(lambda request: text("exact"))
    assert body(site(request("/exact"))) == b"exact"
    assert body(site(request("/other"))) == b"pattern"
    assert body(site(request("/a/b"))) == b"later"


def test_two_patterns_may_share_a_path_with_different_methods() -> None:
    site = Router()
    site.get("/x/{a}")(lambda request, a: text("get"))
    site.post("/{b}/y")(lambda request, b: text("post"))
    assert body(site(request("/x/y", "POST"))) == b"post"
    assert allow(refusal(site, "/x/y", "DELETE")) == "GET, HEAD, POST, OPTIONS"


def test_text_around_a_parameter_is_taken_as_it_is() -> None:
    site = Router()
    site.get("/v1.0/{name}.json")(lambda request, name: text(name))
    assert body(site(request("/v1.0/a.json"))) == b"a"
    assert refusal(site, "/v1x0/a.json").status == 404
    assert refusal(site, "/v1.0/aXjson").status == 404


@pytest.mark.parametrize("pattern", ["hello", "", "/{}", "/{a", "/a}", "/{a:float}", "/{a}/{a}", "/{1a}", "/{a-b}"])
def test_a_pattern_that_is_none_is_refused_at_once(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"begins with|parameter|none of|two parameters"):
        Router().get(pattern)(lambda request: text(""))


def test_the_same_method_twice_is_refused() -> None:
    site = Router()
    for pattern in ("/a", "/{a}"):
        site.get(pattern)(lambda request, a="": text(a))
        with pytest.raises(ValueError, match="has a handler already"):
            site.get(pattern)(lambda request, a="": text(a))
    with pytest.raises(TypeError, match="list of methods"):
        site.route("/b", methods="GET")


def test_what_is_no_response_is_named() -> None:
    site = Router()

    @site.get("/text")
    def forgetful(request: Request) -> Response:
        return "hello"  # type: ignore[return-value]

    @site.get("/async")
    async def modern(request: Request) -> Response:
        return text("hello")

    site.mount("/below", lambda request, path: None)  # type: ignore[arg-type,return-value]
    for path, sentence in [
        ("/text", r"forgetful returned str, not a Response: "),
        ("/async", r"modern is async: "),
        ("/below/", r"<lambda> returned NoneType"),
    ]:
        with pytest.raises(TypeError, match=sentence):
            site(request(path))


# ---- mounts


def echo(request: Request, path: str) -> Response:
    """A site that says what it was asked."""
    if path == "/missing":
        raise HTTPError(404)
    if request.method not in ("GET", "HEAD"):
        return answer_method(request.method, ["GET"])
    return text(path)


def test_a_mount_gets_the_path_below_its_prefix() -> None:
    site = Router()
    site.mount("/", echo)
    site.mount("/docs/", lambda request, path: text("docs " + path))
    site.mount("/docs/old", lambda request, path: text("old " + path))
    assert body(site(request("/a/b"))) == b"/a/b"
    assert body(site(request("/docs/a"))) == b"docs /a"
    assert body(site(request("/docs/"))) == b"docs /"
    assert body(site(request("/docs/old/a"))) == b"old /a"
    assert body(site(request("/docsy"))) == b"/docsy"


def test_the_bare_prefix_is_redirected_with_its_query() -> None:
    site = Router()
    site.mount("/my docs", echo)
    response = site(request("/my docs", query="q=1&r=%20"))
    assert (response.status, response.headers[0]) == (308, ("Location", "/my%20docs/?q=1&r=%20"))


def test_routers_nest() -> None:
    inner, outer = Router(), Router()
    inner.get("/hello/{name}")(lambda request, name: text(f"{name} {request.params}"))
    inner.post("/only")(lambda request: text(""))
    outer.mount("/inner", inner)
    assert body(outer(request("/inner/hello/x"))) == b"x {'name': 'x'}"
    assert refusal(outer, "/inner/nothing").status == 404
    assert allow(refusal(outer, "/inner/only")) == "POST, OPTIONS"
    assert allow(outer(request("/inner/only", "OPTIONS"))) == "POST, OPTIONS"
    assert allow(outer(request("*", "OPTIONS"))) == "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize(
    "spelling",
    ["/private/x", "//private/x", "/./private/x", "/private//x", "/private/./x", "//./private/x", "/x/.//", "//x/"],
)
def test_no_spelling_leads_past_a_mount_or_a_route(spelling: str) -> None:
    site = Router()
    site.mount("/", lambda request, path: text("open"))
    site.mount("/private", lambda request, path: text(f"guarded {path}"))
    site.get("/x/")(lambda request: text("guarded /x"))
    assert body(site(request(spelling))).startswith(b"guarded")


def test_a_route_that_takes_a_path_gets_it_as_it_is() -> None:
    site = Router()
    site.get("/to/{rest:path}")(lambda request, rest: text(rest))
    assert body(site(request("/to/http://example.org/./"))) == b"http://example.org/./"


def test_a_route_and_a_mount_share_a_path() -> None:
    """A form's page may be a file while its POST has a handler."""
    site = Router()
    site.post("/contact")(lambda request: text("sent"))
    site.post("/missing")(lambda request: text("sent"))
    site.mount("/", echo)
    assert body(site(request("/contact", "POST"))) == b"sent"
    assert body(site(request("/contact"))) == b"/contact"
    error = refusal(site, "/missing")
    assert (error.status, allow(error)) == (405, "POST, OPTIONS")
    assert refusal(site, "/contact", "DELETE").status == 405
    assert "POST" in allow(refusal(site, "/contact", "DELETE"))
    assert "POST" in allow(site(request("/contact", "OPTIONS")))


def test_a_mount_is_refused_where_there_is_one_or_no_path() -> None:
    site = Router()
    site.mount("/a/", echo)
    with pytest.raises(ValueError, match="already"):
        site.mount("/a", echo)
    with pytest.raises(ValueError, match="begins with"):
        site.mount("a", echo)


# ---- the match as a value


def test_a_match_tells_who_and_what_was_tried(site: Router) -> None:
    site.mount("/", echo)
    match = site.match("GET", "/number/5")
    assert (match.pattern, match.params, match.arguments) == ("/number/{n:int}", {"n": "5"}, {"n": 5})
    assert match.tried == [("/hello/{name}", "path"), ("/number/{n:int}", "matched")]
    assert site.match("GET", "/guestbook").tried == [
        ("/guestbook", "method"),
        ("/hello/{name}", "path"),
        ("/number/{n:int}", "path"),
        ("/files/{rest:path}", "path"),
        ("/*", "matched"),
    ]
    assert site.match("GET", "/guestbook").rest == "/guestbook"


def test_what_was_tried_in_vain_can_be_asked(site: Router) -> None:
    assert [outcome for _, outcome in site.tried("GET", "/guestbook")] == ["method", "path", "path", "path"]


@given(path=st.text(st.characters(), max_size=20).map(lambda rest: "/" + rest), method=st.sampled_from(["GET", "POST"]))
def test_tried_agrees_with_match(path: str, method: str) -> None:
    site = Router()
    site.get("/a")(lambda request: text(""))
    site.get("/{name}")(lambda request, name: text(""))
    site.post("/{name}/{n:int}")(lambda request, name, n: text(""))
    tried = site.tried(method, path)
    try:
        outcome = site.match(method, path).pattern, "matched"
    except HTTPError as error:
        outcome = "", {404: "path", 405: "method"}[error.status]
    outcomes = [found for _, found in tried]
    assert outcome[1] == next((each for each in ("matched", "method") if each in outcomes), "path")
    assert outcome in tried or not outcome[0]
