"""From the port without TLS to the same address with it, and nowhere else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import Request, Response, StaticFiles, text
from httpd.server.server import Server
from httpd.site.to_https import ToHttps

from .authority import Authority
from .exchange import Answer, Exchange, get, post, read_answers, read_to_end, serving
from .live import LiveServer
from .test_certificates import says
from .tools import needs

NAMES = ["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"]


def site(request: Request) -> Response:
    return text(f"the site has {request.path}")


def asked(
    host: str, target: str = "/page?q=1", *, method: str = "GET", port: int = 443, version: str = "1.1"
) -> Answer:
    lines = [f"Host: {host}"] * bool(host)
    wire = "\r\n".join([f"{method} {target} HTTP/{version}", *lines, "", ""]).encode()
    [answer] = Exchange([wire], ToHttps(site, lambda: NAMES, lambda: port)).answers(method)
    return answer


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("a.example", "a.example"),
        ("A.Example.:80", "a.example"),
        ("a.example:", "a.example"),
        ("x.b.example", "x.b.example"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("[2001:DB8:0::1]:80", "[2001:db8::1]"),
    ],
)
def test_the_host_is_kept(host: str, named: str) -> None:
    answer = asked(host)
    assert (answer.status, answer["location"], answer.body) == (308, f"https://{named}/page?q=1", b"")
    assert asked(host, port=8443)["location"] == f"https://{named}:8443/page?q=1"


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/", "/"),
        ("/%41/..//x?y", "/%41/..//x?y"),
        ("//evil.example/", "//evil.example/"),
        ("/?", "/?"),
        ("http://a.example", "/"),
        ("http://a.example/x?y=/z", "/x?y=/z"),
        ("http://a.example?y=/z", "/?y=/z"),
        ("HTTPS://a.example:80//x", "//x"),
    ],
)
def test_the_target_is_kept(target: str, place: str) -> None:
    assert asked("a.example", target)["location"] == f"https://a.example{place}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "a.example.evil.example", "evil.example:443", "b.example", "x.y.b.example", "*.b.example",
        "192.0.2.2", "[::1]", "localhost", "a,b.b.example", "evil%2f.b.example", "-.b.example", "evil..b.example",
    ],
)  # fmt: skip
def test_no_other_host_is_ever_named(host: str) -> None:
    answer = asked(host)
    assert (answer.status, answer["location"]) == (421, "")
    answer = asked("a.example", f"http://{host}/")
    assert (answer.status, answer["location"]) == (421, "")


def test_a_client_that_names_no_host() -> None:
    assert asked("", version="1.0")["location"] == "https://a.example/page?q=1"
    [answer] = Exchange([get(version="1.0")], ToHttps(site, lambda: ["*.b.example"], lambda: 443)).answers()
    assert answer.status == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_every_method_is_kept(method: str) -> None:
    wire = post(b"content") if method == "POST" else get(method=method)
    answer = Exchange([wire.replace(b"Host: a\r\n", b"Host: a.example\r\n")], ToHttps(site, lambda: NAMES, lambda: 443))
    assert answer.answers(method)[0].status == 308


def test_options_of_the_server_is_no_address() -> None:
    assert asked("a.example", "*", method="OPTIONS").status == 204


def test_an_authority_gets_its_challenge_answered_for_any_host() -> None:
    """There is no certificate for it yet; that is why it asks."""
    for host in ("new.example", "a.example"):
        answer = asked(host, "/.well-known/acme-challenge/token")
        assert (answer.status, answer.body) == (200, b"the site has /.well-known/acme-challenge/token")
    assert asked("a.example", "/.well-known/acme-challenge/x", method="POST").status == 411
    assert asked("a.example", "/.well-known/acme-challenges").status == 308


# ---- a server with both


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def both(authority: Authority) -> Iterator[Server]:
    from httpd.certificates import Certificates

    kept = Certificates([tuple(map(str, authority.issue("localhost")))])  # type: ignore[list-item]
    leading = ToHttps(site, lambda: kept.names, lambda: both.port)
    with serving(site, tls=kept, passing=(0, leading), headers=[("Strict-Transport-Security", "max-age=5")]) as both:
        yield both


def ask(port: int, wire: bytes, context: ssl.SSLContext | None = None) -> Answer:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(wire)
        [answer] = read_answers(read_to_end(sock))
        sock.close()
    return answer


def test_from_one_port_to_the_other(both: Server, authority: Authority) -> None:
    assert both.passing_port != both.port
    answer = ask(both.passing_port, get("/x").replace(b"Host: a", b"Host: localhost"))
    assert (answer.status, answer.keeps_alive) == (308, False)
    assert answer["location"] == f"https://localhost:{both.port}/x"
    # RFC 6797 §7.2: it is never said without TLS.
    assert answer["strict-transport-security"] == ""
    there = ask(both.port, get("/x", "Connection: close"), authority.client())
    assert (there.status, there["strict-transport-security"]) == (200, "max-age=5")


def test_what_goes_wrong_there_has_an_answer_too(both: Server) -> None:
    for wire in (b"NONE\r\n\r\n", get("/x")):
        answer = ask(both.passing_port, wire)
        assert answer.status in (400, 421)
        assert answer["strict-transport-security"] == ""


@pytest.mark.tools
def test_curl_is_led_there(tmp_path: Path, authority: Authority) -> None:
    import subprocess

    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page.html").write_text("here")
    certificate, key = authority.issue("localhost", "127.0.0.1")
    other, other_key = authority.issue("other.example")
    certificates = ["--tls-cert", certificate, "--tls-cert", other, "--tls-key", key, "--tls-key", other_key]
    options = [*map(str, certificates), "--redirect-from", "0", "--hsts"]
    with LiveServer(tmp_path / "www", *options) as live:
        assert live.wait_for("leading there from port ")
        port = live.log.partition("leading there from port ")[2].split()[0]
        for host in ("localhost", "other.example"):
            resolve = ["--resolve", f"{host}:{port}:127.0.0.1", "--resolve", f"{host}:{live.port}:127.0.0.1"]
            command = [needs("curl"), "-sSLi", "--cacert", str(authority.trusted), "--noproxy", "*", *resolve]
            done = subprocess.run([*command, f"http://{host}:{port}/page"], capture_output=True, text=True, timeout=30)
            assert "HTTP/1.0 308" in done.stdout, done.stderr
            assert done.stdout.endswith("here")
            assert done.stdout.count("Strict-Transport-Security: max-age=31536000") == 1


@pytest.mark.programs
def test_mistakes_at_the_command_line(tmp_path: Path) -> None:
    assert says("--redirect-from", "80").startswith("--redirect-from leads to TLS, which is not spoken")
    assert says("--hsts").startswith("--hsts counts over TLS only")
    assert says("--tls-cert", "a", "--tls-key", "b", "--tls-key", "c").startswith("--tls-key names a key for each")
    told = says("--tls-cert", "a", "--redirect-from", "8000")
    assert told.startswith("--redirect-from is another port than that where TLS is spoken")


@pytest.mark.programs
def test_a_port_that_is_taken(tmp_path: Path, authority: Authority) -> None:
    certificate, key = map(str, authority.issue("localhost"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = says("--tls-cert", certificate, "--tls-key", key, "--port", "0", "--redirect-from", port)
    assert told == f"cannot listen at port {port}: Address already in use; check --redirect-from"


def test_a_folder_s_challenges(tmp_path: Path) -> None:
    """Its hidden folders are not served, this one is."""
    (tmp_path / ".well-known" / "acme-challenge").mkdir(parents=True)
    (tmp_path / ".well-known" / "acme-challenge" / "token").write_text("token.thumbprint")
    leading = ToHttps(StaticFiles(tmp_path), lambda: NAMES, lambda: 443)
    [answer] = Exchange([get("/.well-known/acme-challenge/token")], leading).answers()
    assert answer.body == b"token.thumbprint"
