"""Several sites at one address: whose a request is, however its host is written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from httpd import Hosts, HTTPError, Request, Response, StaticFiles, text
from httpd.site.hosts import host_name

from .exchange import Exchange, get, post
from .live import LiveServer
from .tools import needs


def page(name: str) -> Callable[[Request], Response]:
    return lambda request: text(name)


SITES = [
    ("example.org", page("itself")),
    ("www.example.org", page("www")),
    ("*.example.org", page("below")),
    ("*.deep.example.org", page("deep")),
    ("bücher.example", page("books")),
    ("192.0.2.7", page("four")),
    ("[2001:DB8::0:7]", page("six")),
    ("::1", page("home")),
]


def ask(sites: Hosts, host: str) -> str:
    """Who answers a request for this host; the status where nobody does."""
    [answer] = Exchange([f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")], sites).answers()
    return answer.body.decode() if answer.status == 200 else str(answer.status)


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("example.org", "itself"),
        ("EXAMPLE.org:8080", "itself"),
        ("example.org.", "itself"),
        ("example.org.:80", "itself"),
        ("example.org:", "itself"),
        ("www.Example.Org", "www"),
        ("a.example.org", "below"),
        ("b.a.example.org", "below"),
        ("x.www.example.org", "below"),
        ("deep.example.org", "below"),
        ("a.deep.example.org:1", "deep"),
        ("b.a.deep.example.org", "deep"),
        ("xn--bcher-kva.example", "books"),
        ("XN--BCHER-KVA.example:80", "books"),
        ("192.0.2.7", "four"),
        ("192.0.2.7:8080", "four"),
        ("[2001:db8::7]", "six"),
        ("[2001:0DB8:0:0::7]:443", "six"),
        ("[::1]:8000", "home"),
        ("", "421"),
        ("org", "421"),
        ("other.org", "421"),
        ("notexample.org", "421"),
        ("example.org..", "421"),
        (".example.org", "below"),
        ("[::2]", "421"),
        ("[v1.x]", "421"),
        ("192.0.2.8", "421"),
    ],
)
def test_whose_it_is(host: str, who: str) -> None:
    assert ask(Hosts(SITES), host) == who
    assert ask(Hosts(SITES, page("default")), host) == who.replace("421", "default")


def test_the_authority_of_the_target_wins_over_host() -> None:
    wire = b"GET http://www.example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n"
    assert Exchange([wire], Hosts(SITES)).answers()[0].body == b"www"


def test_http_1_0_without_a_host_gets_the_default_or_nothing() -> None:
    assert Exchange([get(version="1.0")], Hosts(SITES)).answers()[0].status == 421
    assert Exchange([get(version="1.0")], Hosts(SITES, page("default"))).answers()[0].body == b"default"


def test_each_request_of_a_connection_for_itself() -> None:
    wire = b"".join(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for host in ("example.org", "x", "[::1]"))
    assert [answer.status for answer in Exchange([wire], Hosts(SITES)).answers()] == [200, 421, 200]


def test_what_is_wrong_is_told_before_the_content() -> None:
    def ask(host: str) -> int:
        wire = post(b"x", "Expect: 100-continue").replace(b"Host: a", b"Host: " + host.encode())[:-1]
        [answer] = Exchange([wire], Hosts([("files.example", StaticFiles("/")), ("own.example", page("x"))])).answers()
        return answer.status

    assert [ask(host) for host in ("files.example", "other.example")] == [405, 421]
    talk = Exchange([post(b"x", "Expect: 100-continue").replace(b"Host: a", b"Host: own.example")], Hosts(SITES[:1]))
    assert talk.answers("POST")[0].status == 421


def test_a_site_that_has_no_check_is_asked_with_the_content() -> None:
    wire = post(b"x", "Expect: 100-continue").replace(b"Host: a", b"Host: example.org")
    [answer] = Exchange([wire], Hosts(SITES)).answers("POST")
    assert (answer.interim, answer.body) == ([100], b"itself")


def test_a_known_spelling_costs_one_look() -> None:
    """And there are never more of them than so many."""
    sites = Hosts(SITES)
    site = sites.site_for("WWW.example.org:80")
    sites._sites = {}
    assert sites.site_for("WWW.example.org:80") is site
    sites = Hosts(SITES, page("default"))
    for number in range(5_000):
        sites.site_for(f"x{number}.example.org")
        assert len(sites._known) <= 1_000
    with pytest.raises(HTTPError):
        Hosts(SITES).site_for("x")


def test_an_endless_host_is_neither_searched_for_nor_remembered() -> None:
    sites = Hosts([("*.example", page("below"))], page("default"))
    longest = "a." * 122 + "a.example.:65535"
    assert sites.site_for(longest) is sites.site_for("a.example")
    assert sites.site_for("a." * 15_000 + "example") is sites.default
    assert len(sites._known) == 2


# ---- names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        ("localhost", "localhost"),
        ("my_host", "my_host"),
        ("*.Example.org", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        # As browsers have it since they follow RFC 5891: not as "strasse".
        ("straße.example", "xn--strae-oqa.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_name(written: str, name: str) -> None:
    assert host_name(written) == name


@pytest.mark.parametrize(
    "written",
    [
        "", ".", "..", "a..b", ".a", "*", "*.", "a.*", "*a.example", "a.*.example", "**.example", "a b", "a/b", "a=b",
        "-a", "a-", "example.org:80", "[::1]:80", "http://example.org", "1:2", ":", "[]", "a@b", "a\0", "a\n",
        "a" * 64, "ü" * 80, ".".join(["abcdefg"] * 40),
    ],
)  # fmt: skip
def test_what_is_no_name(written: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        host_name(written)


@pytest.mark.parametrize("other", ["EXAMPLE.org", "example.org."])
def test_a_name_is_there_once(other: str) -> None:
    with pytest.raises(ValueError, match="has two sites"):
        Hosts([("example.org", page("one")), (other, page("two"))])


# ---- the command


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("one", "two", "rest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    return tmp_path


def curl(live: LiveServer, host: str) -> str:
    command = [
        needs("curl"),
        "--disable",
        "-sk",
        "--noproxy",
        "*",
        "-H",
        f"Host: {host}",
        "-w",
        "%{http_code}",
        live.url,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout[-9:]


@pytest.mark.tools
@pytest.mark.parametrize("rest", [True, False])
def test_several_folders(folders: Path, rest: bool) -> None:
    options = [str(folders / "rest")] * rest
    options += [f"--host=one.example={folders / 'one'}", f"--host=*.two.example={folders / 'two'}"]
    with LiveServer(*options) as live:
        assert curl(live, "one.example") == "one200"
        assert curl(live, "a.two.example:80") == "two200"
        assert curl(live, "three.example").endswith("rest200" if rest else "421")


@pytest.mark.tools
def test_the_hosts_are_in_the_certificate(folders: Path) -> None:
    host = f"--host=one.example={folders / 'one'}"
    with LiveServer(host, "--tls-self-signed", env={"XDG_CACHE_HOME": str(folders / "cache")}) as live:
        [pem] = (folders / "cache").rglob("*.pem")
        at = f"one.example:{live.port}"
        command = [needs("curl"), "--disable", "-s", "--noproxy", "*", "--cacert", str(pem), f"https://{at}/"]
        to_us = ["--connect-to", f"{at}:127.0.0.1:{live.port}"]
        assert subprocess.run([*command, *to_us], capture_output=True, text=True, timeout=20).stdout == "one"


@pytest.mark.programs
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host=a"], "'a' is not NAME=DIR, such as www.example.org=public"),
        (["--host==one"], "'' is not a host: give a name or an address, without a port"),
        (["--host=a:80=one"], "'a:80' is not a host: give a name or an address, without a port"),
        (["--host=a=nowhere"], "there is no folder nowhere; name one that exists"),
        (["--host=a="], "the name of the folder is empty; a dot is the current one"),
        (["--host=a=.", "--host=A=.."], "--host: the host a has two sites; name each host once"),
        ([""], "the name of the folder is empty; a dot is the current one"),
    ],
)
def test_mistakes(options: list[str], said: str) -> None:
    with pytest.raises(RuntimeError) as caught, LiveServer(*options):
        pass
    assert str(caught.value).endswith(f": {said}\n")
