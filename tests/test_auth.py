"""httpd.passwords: what is only for some, and that no way leads around that."""

from __future__ import annotations

import base64
import io
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from httpd import HTTPError, Request, Response, Router, StaticFiles, text
from httpd.cli import main
from httpd.net.addresses import client_of
from httpd.net.wake import at_once
from httpd.passwords import htpasswd
from httpd.passwords.htpasswd import Credentials, PasswordFile, parse_credentials, parse_htpasswd
from httpd.passwords.realms import Protected, Realms, parse_realms
from httpd.passwords.tries import wrong_passwords
from httpd.protocol.errors import Later
from httpd.site.cors import Preflight, cors_lines

from .exchange import Answer, Exchange, get, post
from .live import LiveServer
from .strategies import examples
from .tools import needs
from .workbench import run, until


def hashed(password: str) -> str:
    """As htpasswd -B writes it, at the least cost that there is; the same one every time, for names of tests."""
    return bcrypt.hashpw(password.encode()[:72], b"$2b$04$abcdefghijklmnopqrstuu").decode().replace("$2b$", "$2y$", 1)


OPEN_SESAME = hashed("open sesame")


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# What can be encoded at all.
UTF8 = st.characters(codec="utf-8")
ALICE = basic("alice", "open sesame")
WRONG = basic("alice", "open barley")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users"
    lines = ["# who may", "", f"alice:{OPEN_SESAME}", f"bob:{hashed('b')}", "zo\u00eb:" + hashed("\u20ac:\u20ac"), ""]
    file.write_text("\n".join(lines), "utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "www"
    for name in ("index.html", "open.txt", "secret/index.html", "secret/deep/plans.txt", "page.html", "data.json"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "data.json.br").write_bytes(b"brotli")
    for name in ("list/plain.txt", "list/secret/plans.txt", "list/README.md"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    return top


def ask(site: Any, path: str, *fields: str, method: str = "GET", **options: Any) -> Answer:
    [answer] = Exchange([get(path, *fields, method=method)], site, **options).answers(method)
    return answer


def guarded(folder: Path, users: Path, *paths: str) -> Protected:
    realms = Realms([(path, PasswordFile(users)) for path in paths])
    return Protected(StaticFiles(folder, guard=realms), realms)


# ---- what a client gives


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic YTpi", ("a", "b")),
        ("BASIC  YTpi", ("a", "b")),
        ("Basic YTpiOmM=", ("a", "b:c")),
        ("Basic Og==", ("", "")),
        ("Basic w6nDqTrigqw=", ("\u00e9\u00e9", "\u20ac")),
    ],
)
def test_credentials(value: str, given: tuple[str, str]) -> None:
    assert parse_credentials(value) == Credentials(*given)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic ",
        "Basic YWI=",  # no colon
        "Basic YTpi=",  # too much padding
        "Basic YTpiOm",  # too little
        "Basic YT pi",
        "Basic YTpi, Basic YTpi",
        "Basic YTpi\u00e9",
        "Basic /zpi",  # not UTF-8
        "Basic YTpi-_",
        "Basic YQA6Yg==",  # NUL
        "Basic YTpiCg==",  # a line end
        "Bearer YTpi",
        "Digest username=a",
        "YTpi",
        "Basic " + "YTpi" * 300,
    ],
)
def test_no_credentials(value: str) -> None:
    assert parse_credentials(value) is None


@given(st.text(UTF8).filter(lambda user: ":" not in user), st.text(UTF8))
def test_whatever_can_be_said_is_read_back(user: str, password: str) -> None:
    given = parse_credentials(basic(user, password).removeprefix("Authorization: "))
    assert given in (None, Credentials(user, password))
    if (user + password).isprintable() and len(user + password) < 180:
        assert given is not None


@given(st.text(st.characters(max_codepoint=255)))
def test_whatever_comes_is_read_or_not(value: str) -> None:
    for field in (value, f"Basic {value}"):
        given = parse_credentials(field)
        assert given is None or ":" not in given.user


def test_a_password_is_not_for_printing() -> None:
    assert "sesame" not in repr(parse_credentials(ALICE.removeprefix("Authorization: ")))


# ---- the file


def test_a_file_of_users() -> None:
    text = f"\ufeff# comment\r\n\r\n alice:{OPEN_SESAME} \r\nb o b:{OPEN_SESAME}\n"
    assert parse_htpasswd(text) == {"alice": OPEN_SESAME.encode(), "b o b": OPEN_SESAME.encode()}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "line 2: the password of alice is SHA-1 without a salt"),
        ("alice:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", "is MD5; set it anew with htpasswd -B"),
        ("alice:$1$lZL6V$eIMz", "is MD5"),
        ("alice:$5$abc$def", "SHA-256, which is not read here"),
        ("alice:$6$abc$def", "SHA-512, which is not read here"),
        ("alice:rqXexS6ZhobKA", "is no bcrypt"),
        ("alice:open sesame", "is no bcrypt"),
        ("alice:", "is no bcrypt"),
        (f"alice:{OPEN_SESAME}:more", "cost that is not read here"),
        ("alice:" + OPEN_SESAME.replace("$04$", "$31$"), "cost that is not read here"),
        ("alice:" + OPEN_SESAME[:-1], "form or a cost"),
        ("alice", "line 2 is not a name and a hash"),
        (f":{OPEN_SESAME}", "line 2 is not a name and a hash"),
        (f"a\tb:{OPEN_SESAME}", "line 2 is not a name and a hash"),
        (f"bob:{OPEN_SESAME}", "line 2: bob stands there twice"),
    ],
)
def test_a_line_that_is_not_taken(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_htpasswd(f"bob:{OPEN_SESAME}\n{line}\n")


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"\xff\xfe", b"#" * (1 << 20) + b"\n"])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "users").write_bytes(content)
    with pytest.raises(ValueError, match=r"no user|UTF-8|longer"):
        PasswordFile(tmp_path / "users")


def found_out(file: PasswordFile, field: str, peer: str = "192.0.2.1") -> str:
    """The user, whether that is remembered or takes long."""
    value = field.removeprefix("Authorization: ")
    try:
        return file.user(value, peer)
    except Later as later:
        later.work()
        return file.user(value, peer)


def is_known(file: PasswordFile, field: str) -> bool:
    try:
        file.user(field.removeprefix("Authorization: "), "192.0.2.1")
    except Later:
        return False
    return True


@pytest.mark.parametrize(
    ("user", "password", "right"),
    [
        ("alice", "open sesame", True),
        ("alice", "open barley", False),
        ("alice", "", False),
        ("alice", "open sesame ", False),
        ("Alice", "open sesame", False),
        ("bob", "open sesame", False),
        ("carol", "open sesame", False),
        ("", "open sesame", False),
        ("zo\u00eb", "\u20ac:\u20ac", True),
    ],
)
def test_who_is_who(users: Path, user: str, password: str, right: bool) -> None:
    assert found_out(PasswordFile(users), basic(user, password)) == (user if right else "")


def test_a_password_counts_as_far_as_bcrypt_looks(tmp_path: Path) -> None:
    """htpasswd cuts what is longer, and so must whoever compares."""
    (tmp_path / "users").write_text(f"a:{hashed('x' * 100)}\n")
    file = PasswordFile(tmp_path / "users")
    assert found_out(file, basic("a", "x" * 100)) == "a"
    assert found_out(file, basic("a", "x" * 71)) == ""


def test_a_name_that_is_not_there_costs_as_much(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    def checkpw(password: bytes, against: bytes) -> bool:
        checked.append(against)
        return True

    monkeypatch.setattr(htpasswd.bcrypt, "checkpw", checkpw)
    file = PasswordFile(users)
    for number in range(9):
        # Although the other's hash fits.
        assert found_out(file, basic(f"nobody{number}", "open sesame"), f"192.0.2.{number}") == ""
    assert len(checked) == 9
    assert set(checked) <= set(parse_htpasswd(users.read_text("utf-8")).values())


def test_an_outcome_is_remembered_for_a_while(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock)
    assert not is_known(file, ALICE)
    found_out(file, ALICE)
    found_out(file, WRONG)
    assert is_known(file, ALICE)
    assert is_known(file, WRONG)
    clock.now += 60
    assert not is_known(file, WRONG)
    # Each use prolongs it.
    for _ in range(5):
        clock.now += 400
        assert is_known(file, ALICE)
    clock.now += 700
    assert not is_known(file, ALICE)


def test_few_outcomes_are_remembered(users: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(htpasswd, "_MOST_KNOWN", 3)
    file = PasswordFile(users, clock=clock)
    found_out(file, ALICE)
    for number in range(3):
        assert is_known(file, ALICE) is (number < 3)
        found_out(file, basic("alice", str(number)))
    assert is_known(file, ALICE)
    assert not is_known(file, basic("alice", "0"))


def test_the_file_is_read_again_when_it_changes(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock)
    assert found_out(file, ALICE) == "alice"
    users.write_text(f"alice:{hashed('another')}\ncarol:{hashed('c')}\n")
    # Not within the same second.
    assert found_out(file, ALICE) == "alice"
    clock.now += 1
    assert found_out(file, ALICE) == ""
    assert found_out(file, basic("carol", "c")) == "carol"
    # Touched, but the same: what is known stays known.
    os.utime(users)
    clock.now += 1
    assert is_known(file, basic("carol", "c"))


def test_a_change_without_a_mark_is_seen_too(users: Path, clock: Clock) -> None:
    """Two changes within one tick of the file system's clock: the file is read once more, a second later."""
    file = PasswordFile(users, clock=clock)
    before = users.stat()
    users.write_bytes(users.read_bytes().replace(b"alice:", b"alien:"))
    os.utime(users, ns=(before.st_atime_ns, before.st_mtime_ns))
    file._state = file._look()
    clock.now += 1
    assert found_out(file, ALICE) == ""


@pytest.mark.parametrize("breaks", ["gone", "weak", "not UTF-8"])
def test_a_file_that_breaks_lets_nobody_in_until_it_is_mended(
    users: Path, clock: Clock, breaks: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = PasswordFile(users, clock=clock)
    assert found_out(file, ALICE) == "alice"
    good = users.read_bytes()
    if breaks == "gone":
        users.unlink()
    else:
        users.write_bytes(b"alice:{SHA}x\n" if breaks == "weak" else b"\xff")
    for _ in range(3):
        clock.now += 1
        with pytest.raises(HTTPError) as raised:
            found_out(file, ALICE)
        assert raised.value.status == 503
    assert caplog.text.count("nobody gets in") == 1
    users.write_bytes(good)
    clock.now += 1
    assert found_out(file, ALICE) == "alice"


# ---- guessing


def test_an_address_that_guesses_has_to_wait(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock)
    for number in range(10):
        assert found_out(file, basic("alice", str(number))) == ""
    with pytest.raises(HTTPError) as raised:
        found_out(file, basic("alice", "one more"))
    assert (raised.value.status, raised.value.headers) == (429, (("Retry-After", "61"),))
    # What was tried before needs no check, and what is right is not even tried.
    assert is_known(file, basic("alice", "3"))
    with pytest.raises(HTTPError):
        found_out(file, ALICE)
    assert found_out(file, ALICE, "192.0.2.2") == "alice"
    assert found_out(file, ALICE) == "alice"
    clock.now += 61
    assert found_out(file, basic("alice", "one more")) == ""


def test_a_network_of_ipv6_is_one_address(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock, client=client_of)
    for number in range(10):
        assert found_out(file, basic("alice", str(number)), f"2001:db8::{number:x}") == ""
    with pytest.raises(HTTPError, match="429"):
        found_out(file, ALICE, "2001:db8::ffff")
    assert found_out(file, ALICE, "2001:db8:0:1::1") == "alice"


def test_who_knows_the_password_does_not_guess(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock)
    for _ in range(30):
        assert found_out(file, ALICE) == "alice"
        clock.now += 0.1
        file._table.__dict__["_known"].clear()  # type: ignore[union-attr]


def test_who_asks_many_workers_at_once_does_not_guess(users: Path, clock: Clock) -> None:
    together = wrong_passwords()
    workers = [PasswordFile(users, clock=clock, tries=together) for _ in range(12)]
    for credentials in (ALICE, basic("alice", "mistyped")):
        checks = []
        for file in workers:
            with pytest.raises(Later) as raised:
                file.user(credentials.removeprefix("Authorization: "), "192.0.2.1")
            checks.append(raised.value.work)
        for check in checks:
            check()
    assert {found_out(file, ALICE) for file in workers} == {"alice"}


def test_few_checks_wait(users: Path, clock: Clock) -> None:
    file = PasswordFile(users, clock=clock)
    waiting = []
    for number in range(64):
        with pytest.raises(Later) as raised:
            file.user(basic("alice", str(number)).removeprefix("Authorization: "), f"peer {number}")
        waiting.append(raised.value.work)
    with pytest.raises(HTTPError, match="503"):
        found_out(file, ALICE)
    waiting[0]()
    assert found_out(file, ALICE) == "alice"


def test_a_check_that_fails_is_over(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PasswordFile(users)
    monkeypatch.setattr(htpasswd.bcrypt, "checkpw", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found_out(file, ALICE)
    assert not file._checked


def test_the_same_credentials_at_once_are_checked_once(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a browser sends them, over six connections."""
    jobs: list[tuple[Callable[[], object], Callable[[Exception | None], object]]] = []
    site = Protected(lambda request: text(request.user), Realms([("/", PasswordFile(users))]))
    exchanges = [Exchange([get("/", ALICE)], site, beside=lambda *job: jobs.append(job)) for _ in range(6)]
    checks = []
    real = bcrypt.checkpw
    monkeypatch.setattr(htpasswd.bcrypt, "checkpw", lambda *given: checks.append(given) or real(*given))
    for work, then in jobs:
        at_once(work, then)
    assert [exchange.answers()[0].body for exchange in exchanges] == [b"alice"] * 6
    assert len(checks) == 1


# ---- the paths


SPELLINGS = [
    "/secret/",
    "/secret",
    "//secret/",
    "/./secret/",
    "/secret//index.html",
    "/secret/./index.html",
    "/%73ecret/",
    "/%2Fsecret/",
    "/secret%2F",
    "/secret/deep/plans.txt",
    "/secret/deep/",
    "/secret/none",
    "/SECRET/",
    "/Secret/",
    "/secret?x",
    "/secret/?download=zip",
    "http://a/secret/",
    "/secret.html",
    "/secret.tar.gz",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_leads_around(folder: Path, users: Path, path: str) -> None:
    site = guarded(folder, users, "/secret")
    for fields in ([], [WRONG], ["Authorization: Bearer x"]):
        answer = ask(site, path, *fields)
        assert (answer.status, answer["www-authenticate"]) == (401, 'Basic realm="/secret", charset="UTF-8"')
        assert b"plans" not in answer.body
    assert ask(site, path, ALICE).status in (200, 308, 404)


def test_what_a_password_opens_is_no_others(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/secret")
    for _ in range(2):
        assert ask(site, "/secret/", ALICE)["vary"] == "Authorization"
        assert ask(site, "/open.txt", ALICE)["vary"] == ""


SEGMENTS = ["secret", "SECRET", "%73ecret", "se%63ret", "secret.html", "", ".", "%2e", "..", "%2E%2e", "deep", "Deep"]
SEGMENTS += ["plans.txt", "plans", "index.html", "list", "*", "\\", "%5c", "%2F", "x", "404", "public", "?download=zip"]


@settings(max_examples=examples(400), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(SEGMENTS), max_size=6), st.sampled_from(["/", "", "%2f"]))
def test_nothing_protected_leaks_by_any_path(folder: Path, users: Path, segments: list[str], end: str) -> None:
    rules = ["/public/* /secret/:splat 200", "/x/* /:splat 200!", "/404/* /secret/deep/plans.txt 404", ""]
    (folder / "_redirects").write_text("\n".join(rules))
    (folder / "secret" / "deep" / "hidden treasure.txt").write_text("SESAME")
    (folder / "secret" / "deep" / "plans.txt").write_text("SESAME")
    site = guarded(folder, users, "/secret")
    answer = ask(site, "/" + "/".join(segments) + end, WRONG)
    assert b"SESAME" not in answer.body
    assert b"treasure" not in answer.body


@pytest.mark.parametrize("path", ["/secret/../secret/", "/list/../secret/", "/secret/..%2fsecret/", "/..", "/%2e%2e/x"])
def test_no_path_goes_up(folder: Path, users: Path, path: str) -> None:
    assert ask(guarded(folder, users, "/secret"), path).status == 404
    router = Router()
    router.get("/{rest:path}")(lambda request, rest: text(rest))
    assert ask(Protected(router, Realms([("/secret", PasswordFile(users))])), path).status == 404


@pytest.mark.parametrize(
    "path", ["/", "/open.txt", "/secrets", "/secretly/", "/sec", "/list/", "/list/secret/plans.txt", "/page", "/none"]
)
def test_another_path_is_open(folder: Path, users: Path, path: str) -> None:
    assert ask(guarded(folder, users, "/secret"), path).status in (200, 404)


@pytest.mark.parametrize("path", ["/", "/open.txt", "/none", "/secret/deep/plans.txt", "*"])
def test_all_may_be_protected(folder: Path, users: Path, path: str) -> None:
    method = "OPTIONS" if path == "*" else "GET"
    site = guarded(folder, users, "/")
    answer = ask(site, path, method=method)
    assert (answer.status, answer["www-authenticate"]) == (401, 'Basic realm="/", charset="UTF-8"')
    assert ask(site, path, ALICE, method=method).status in (200, 204, 404)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "BREW"])
def test_every_method_is_asked(folder: Path, users: Path, method: str) -> None:
    site = guarded(folder, users, "/secret")
    assert ask(site, "/secret/", "Content-Length: 0", method=method).status == 401
    assert ask(site, "/secret/", "Content-Length: 0", ALICE, method=method).status != 401


def test_a_name_beyond_ascii_in_any_form(folder: Path, users: Path) -> None:
    (folder / "Stra\u00dfe").mkdir()
    site = guarded(folder, users, "/Stra\u00dfe", "/caf\u00e9")
    for path in ("/Stra%C3%9Fe/", "/STRASSE/", "/caf%C3%A9", "/cafe%CC%81", "/CAF%C3%89"):
        assert ask(site, path).status == 401
    assert ask(site, "/caf%E9").status == 404


def test_the_innermost_realm_counts(folder: Path, users: Path, tmp_path: Path) -> None:
    other = tmp_path / "others"
    other.write_text(f"carol:{hashed('c')}\n")
    realms = Realms([("/secret/", PasswordFile(users)), ("/secret/deep", PasswordFile(other))])
    site = Protected(StaticFiles(folder, guard=realms), realms)
    carol = basic("carol", "c")
    assert [ask(site, "/secret/", who).status for who in (ALICE, carol)] == [200, 401]
    assert [ask(site, "/secret/deep/plans.txt", who).status for who in (ALICE, carol)] == [401, 200]
    assert ask(site, "/secret/deep/plans.txt")["www-authenticate"] == 'Basic realm="/secret/deep", charset="UTF-8"'


@pytest.mark.parametrize("paths", [["secret"], ["/a", "/A/"], ["/a/../b"], [""]])
def test_what_is_no_path_to_protect(users: Path, paths: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not a path|twice"):
        Realms([(path, PasswordFile(users)) for path in paths])


# ---- files under other names


def test_a_page_by_its_short_address(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/page.html")
    for _ in range(2):
        assert [ask(site, path).status for path in ("/page", "/page.html")] == [401, 401]
        assert [ask(site, path, ALICE).body for path in ("/page", "/page.html")] == [b"page.html"] * 2


def test_the_page_of_a_folder(folder: Path, users: Path) -> None:
    for page, path in (("/index.html", "/"), ("/secret/index.html", "/secret/")):
        site = guarded(folder, users, page)
        assert ask(site, path, ALICE).body.decode() == page[1:]
        assert ask(site, path).status == 401


def test_the_page_of_a_folder_under_another_name(folder: Path, users: Path) -> None:
    """It must not be remembered as what everybody may have, either."""
    realms = Realms([("/secret/plan.htm", PasswordFile(users))])
    (folder / "secret" / "plan.htm").write_text("plan")
    site = Protected(StaticFiles(folder, guard=realms, index="plan.htm"), realms)
    for _ in range(3):
        assert ask(site, "/secret/", ALICE).body == b"plan"
        assert ask(site, "/secret/").status == 401


def test_the_encoded_forms_of_a_file(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/data.json")
    for path in ("/data.json", "/data.json.br", "/data.json.gz"):
        assert ask(site, path, "Accept-Encoding: br").status == 401
    assert ask(site, "/data.json", "Accept-Encoding: br", ALICE).body == b"brotli"


@pytest.mark.parametrize("rule", ["/public /secret/deep/plans.txt 200", "/public/* /secret/:splat 200!"])
def test_rules_that_lead_in(folder: Path, users: Path, rule: str) -> None:
    (folder / "_redirects").write_text(rule + "\n")
    site = guarded(folder, users, "/secret")
    path = "/public" if rule.startswith("/public ") else "/public/deep/plans.txt"
    for _ in range(2):
        assert ask(site, path).status == 401
        answer = ask(site, path, ALICE)
        assert (answer.body, answer["vary"]) == (b"secret/deep/plans.txt", "Authorization")


def test_a_protected_404_page_is_not_shown(folder: Path, users: Path) -> None:
    (folder / "404.html").write_text("plans")
    site = guarded(folder, users, "/404.html")
    answer = ask(site, "/none", "Accept: text/html")
    assert answer.status == 404
    assert b"plans" not in answer.body


@pytest.mark.parametrize("accept", ["text/html", "application/json", "text/plain"])
def test_listings_leave_out_what_is_for_others(folder: Path, users: Path, accept: str) -> None:
    site = guarded(folder, users, "/list/secret", "/list/README.md")
    page = ask(site, "/list/", f"Accept: {accept}").body
    assert b"plain.txt" in page
    assert b"secret" not in page
    assert b"README" not in page
    assert b"plans.txt" in ask(site, "/list/secret/", f"Accept: {accept}", ALICE).body


def archived(answer: Answer) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        return {name.rpartition("/")[2] for name in archive.getnames()}


def test_archives_leave_out_what_is_for_others(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/list/secret")
    for fields in ([], [ALICE]):
        assert archived(ask(site, "/list/?download=tar.gz", *fields)) == {"list", "plain.txt", "README.md"}
    assert ask(site, "/list/secret/?download=tar.gz").status == 401
    assert "plans.txt" in archived(ask(site, "/list/secret/?download=tar.gz", ALICE))
    whole = guarded(folder, users, "/")
    assert "plans.txt" in archived(ask(whole, "/list/?download=tar.gz", ALICE))


# ---- along with the rest


def test_content_is_not_asked_for_in_vain(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/secret")
    head = get("/secret/x", "Content-Length: 5", "Expect: 100-continue", method="POST")
    [answer] = Exchange([head], site).answers("POST")
    assert (answer.status, answer.interim) == (401, [])
    router = Router()
    router.post("/secret/x")(lambda request: text(request.user))
    protected = Protected(router, site.realms)
    head = get("/secret/x", "Content-Length: 5", "Expect: 100-continue", ALICE, method="POST")
    exchange = Exchange([head], protected).feed(b"hello")
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.interim, answer.body) == (200, [100], b"alice")


def test_what_the_site_refuses_beforehand_is_refused_still(folder: Path, users: Path) -> None:
    site = guarded(folder, users, "/secret")
    ask(site, "/secret/", ALICE)
    head = get("/secret/", "Content-Length: 5", "Expect: 100-continue", ALICE, method="PUT")
    assert Exchange([head], site).answers("PUT")[0].status == 405
    bare = Protected(lambda request: text("taken"), site.realms)
    [answer] = Exchange([head], bare).feed(b"hello").answers("PUT")
    assert answer.body == b"taken"


def test_a_preflight_needs_no_password(folder: Path, users: Path) -> None:
    site, lines = Preflight(guarded(folder, users, "/")), cors_lines("*")
    fields = ("Origin: https://a.example", "Access-Control-Request-Method: GET")
    assert ask(site, "/", *fields, method="OPTIONS", headers=lines).status == 204
    answer = ask(site, "/", fields[0], headers=lines)
    assert (answer.status, answer["access-control-allow-origin"]) == (401, "*")
    assert ask(site, "/", fields[0], ALICE, headers=lines).status == 200


def test_an_application_knows_the_user(users: Path) -> None:
    def who(request: Request) -> Response:
        return text(f"<{request.user}>")

    site = Protected(who, Realms([("/in", PasswordFile(users))]))
    for path, fields, body in (("/in", [ALICE], b"<alice>"), ("/out", [ALICE], b"<>"), ("/out", [], b"<>")):
        assert ask(site, path, *fields).body == body


def test_one_connection_may_be_of_several_users(folder: Path, users: Path) -> None:
    site = Protected(lambda request: text(request.user), Realms([("/", PasswordFile(users))]))
    wire = get("/", ALICE) + get("/", basic("bob", "b")) + get("/") + get("/", ALICE) + post(b"x", ALICE)
    answers = Exchange([wire], site).answers("GET", "GET", "GET", "GET", "POST")
    assert [answer.status for answer in answers] == [200, 200, 401, 200, 200]
    assert [answer.body for answer in answers if answer.status == 200] == [b"alice", b"bob", b"alice", b"alice"]


# ---- the command


def test_specs_as_a_person_writes_them(folder: Path, users: Path) -> None:
    (folder / ".users").write_text(users.read_text("utf-8"), "utf-8")
    realms = parse_realms([str(users), f"/secret={users}", f"/list={folder / '.users'}"], [str(folder)])
    assert [realm.path for realm in realms._realms] == ["/secret", "/list", ""]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("/secret={none}", "cannot read"),
        ("{none}", "cannot read .*No such file"),
        ("/secret={folder}", "cannot read"),
        ("{weak}", r"weak: line 1: the password of alice is SHA-1 .*htpasswd -B"),
        ("{folder}/open.txt", "would be served itself"),
        ("/a/../b={users}", "is not a path"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    folder: Path, users: Path, tmp_path: Path, spec: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weak").write_text("alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    spec = spec.format(none=tmp_path / "none", weak=tmp_path / "weak", folder=folder, users=users)
    assert main([str(folder), "--auth", spec, "--port", "0"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(why, told)


@pytest.mark.programs
def test_without_the_package_it_is_named(folder: Path, users: Path, tmp_path: Path) -> None:
    (tmp_path / "bcrypt.py").write_text("raise ImportError")
    why = "--auth needs the package bcrypt: pip install bcrypt"
    with (
        pytest.raises(RuntimeError, match=why),
        LiveServer(folder, "--auth", str(users), env={"PYTHONPATH": str(tmp_path)}),
    ):
        pass


@pytest.mark.tools
def test_curl_htpasswd_and_the_log(folder: Path, tmp_path: Path) -> None:
    curl, htpasswd, users = needs("curl"), needs("htpasswd"), tmp_path / "htpasswd"
    run(htpasswd, "-B", "-C", "6", "-b", "-c", users, "alice", "open sesame")
    run(htpasswd, "-B", "-b", users, "b ob", "b")
    with LiveServer(folder, "--auth", f"/secret={users}") as server:

        def status(path: str, *options: str) -> str:
            return run(curl, "-s", "-o", os.devnull, "-w", "%{http_code}", *options, server.url + path)

        assert status("open.txt") == "200"
        assert status("secret/") == "401"
        assert status("secret/", "-u", "alice:open sesame") == "200"
        assert status("secret/", "-u", "alice:open barley") == "401"
        assert status("secret/", "--anyauth", "-u", "b ob:b") == "200"
        assert status("secret/index.html", "-u", "alice:open sesame", "-T", __file__) == "405"
        assert status("secret/", "-u", "alice:no", "-H", "Expect: 100-continue", "-T", __file__) == "401"
        assert server.wait_for("- alice [")
        assert server.wait_for("- b\\x20ob [")
        assert "- - [" in server.log
        assert "unencrypted" not in server.log
        run(htpasswd, "-D", users, "alice")
        assert until(lambda: status("secret/", "-u", "alice:open sesame") == "401")


@pytest.mark.programs
@pytest.mark.parametrize(
    ("options", "warned"),
    [(["--bind", "0.0.0.0"], True), (["--bind", "127.0.0.2"], False), (["--bind", "::1"], False)],
)
def test_unencrypted_passwords_are_warned_of(folder: Path, users: Path, options: list[str], warned: bool) -> None:
    with LiveServer(folder, "--auth", str(users), *options) as server:
        assert ("passwords are sent unencrypted" in server.log) is warned
