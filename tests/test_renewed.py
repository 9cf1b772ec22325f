"""Certificates that are renewed while the server runs, and the choice between several by their names."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from httpd.certificates import CertificateError, Certificates, from_files
from httpd.certificates.names import first_of, names_in, times_in

from .authority import Authority
from .exchange import get, read_to_end, serving
from .live import LiveServer
from .workbench import until

DAY = 86_400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


class Clock:
    """A time that passes when it is told to.  Files have real times, so it is never behind these for long."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """So much later than everything that has happened."""
        self.now = max(self.now, time.time()) + seconds


class Files:
    """A certificate and its key in two files, and what looks at them."""

    def __init__(self, folder: Path, authority: Authority, *names: str) -> None:
        self.authority = authority
        self.certificate, self.key = folder / "certificate", folder / "key"
        self.serial = self.write(*names)
        self.clock = Clock()
        self.kept = Certificates([(str(self.certificate), str(self.key))], clock=self.clock, wall_clock=self.clock)

    def write(self, *names: str) -> str:
        """New ones in their place; the certificate's own text."""
        certificate, key = self.authority.pem(*(names or ("a.example",)))
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        return certificate.decode()[:200]

    def later(self, seconds: float = 2.0) -> ssl.SSLContext:
        """The context for a connection so much later."""
        self.clock.pass_by(seconds)
        return self.kept()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    return Files(tmp_path, authority)


def shown(context: ssl.SSLContext, name: str | None = None) -> str:
    """The certificate that a client gets who asks for this name, as its text begins in PEM."""
    return ssl.DER_cert_to_PEM_cert(_shake(context, name).getpeercert(True) or b"")[:200]


def _shake(server: ssl.SSLContext, name: str | None) -> ssl.SSLObject:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return ends[0]


# ---- renewed


def test_a_new_pair_is_taken(files: Files) -> None:
    first = files.kept()
    assert shown(first) == files.serial
    assert files.later() is first
    new = files.write()
    second = files.later()
    assert shown(second) == new != files.serial
    assert shown(first) == files.serial, "who began with it goes on with it"


def test_files_are_looked_at_once_a_second(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **more: (looks.append(args), stat(*args, **more))[1])
    for _ in range(100):
        files.clock.now += 0.1
        files.kept()
    assert 2 * 8 <= len(looks) <= 2 * 11


def test_nothing_is_read_that_was_just_changed(files: Files) -> None:
    first = files.later()
    files.write()
    files.clock.now = max(path.stat().st_ctime for path in (files.certificate, files.key)) + 0.9
    files.kept.look()
    assert files.kept() is first
    assert files.later() is not first


def test_a_pair_that_does_not_fit_is_never_taken(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    first = files.kept()
    certificate, key = files.authority.pem("a.example")
    files.key.write_bytes(key)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert files.later() is first
    [told] = caplog.messages
    assert told == (
        "the certificate stays the one from before: "
        f"the key in {files.key} does not belong to the certificate in {files.certificate}; "
        "name the one it was made with"
    )
    files.certificate.write_bytes(certificate)
    assert shown(files.later()) == certificate.decode()[:200]


@pytest.mark.parametrize("fault", ["gone", "empty", "text", "half", "a folder"])
def test_a_broken_one_keeps_the_old_one(files: Files, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    first = files.kept()
    content = files.certificate.read_bytes()
    files.certificate.unlink()
    if fault == "a folder":
        files.certificate.mkdir()
    elif fault != "gone":
        files.certificate.write_bytes({"empty": b"", "text": b"none", "half": content[:300]}[fault])
    with caplog.at_level(logging.WARNING):
        assert files.later() is first
        assert files.later() is first
    assert len(caplog.messages) == 1
    assert str(files.certificate) in caplog.messages[0]
    if fault == "a folder":
        files.certificate.rmdir()
    new = files.write()
    assert shown(files.later()) == new
    # What goes wrong afterwards is told again.
    files.certificate.unlink()
    with caplog.at_level(logging.WARNING):
        files.later()
    assert len(caplog.messages) == 2


def test_what_changes_while_it_is_read_is_read_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    first = files.kept()
    files.write()
    newest = []

    def meddled(certificate: str, key: str = "") -> ssl.SSLContext:
        context = from_files(certificate, key)
        if not newest:
            newest.append(files.write())
        return context

    monkeypatch.setattr("httpd.certificates.renewed.from_files", meddled)
    assert files.later() is first
    assert shown(files.later()) == newest[0]


def test_links_that_are_set_to_another_folder(tmp_path: Path, authority: Authority) -> None:
    """As certbot and Kubernetes do it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, content in zip(("certificate", "key"), authority.pem(f"{name}.example"), strict=True):
            (tmp_path / name / file).write_bytes(content)
    link, clock = tmp_path / "now", Clock()
    link.symlink_to("one")
    kept = Certificates([(str(link / "certificate"), str(link / "key"))], clock=clock, wall_clock=clock)
    assert kept.names == ["one.example"]
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    clock.pass_by(5.0)
    kept()
    assert kept.names == ["two.example"]


def test_one_file_for_both(tmp_path: Path, authority: Authority) -> None:
    both, clock = tmp_path / "both", Clock()
    both.write_bytes(b"".join(authority.pem("a.example")))
    kept = Certificates([(str(both), "")], clock=clock, wall_clock=clock)
    first = kept()
    both.write_bytes(b"".join(authority.pem("b.example")))
    clock.pass_by(5.0)
    assert kept() is not first
    assert kept.names == ["b.example"]


def test_a_key_for_sessions_is_used_for_a_day(files: Files) -> None:
    first = files.kept()
    assert files.later(DAY - 300) is first
    second = files.later(600)
    assert second is not first
    assert shown(second) == files.serial
    assert files.later(20) is second


def test_one_that_cannot_be_used_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot read"):
        Certificates([(str(tmp_path / "absent"), "")])


@pytest.mark.parametrize(("days", "told"), [(40, "has run out on"), (-3, "does not count before"), (10, "")])
def test_one_whose_time_is_not_now_is_told_of(
    files: Files, days: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    files.clock.now += days * DAY
    with caplog.at_level(logging.WARNING):
        Certificates([(str(files.certificate), str(files.key))], wall_clock=files.clock)
    assert [told in message for message in caplog.messages] == [True] * bool(told)


def test_one_that_runs_out_while_it_is_used_is_told_of_once_a_day(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(33):
            files.later(DAY)
            files.later(20)
    assert 3 <= len(caplog.messages) <= 4
    [last] = {message.partition(" has run out on ")[2] for message in caplog.messages}
    assert last.endswith(", and clients refuse it")


@pytest.mark.parametrize(
    ("written", "times"),
    [
        (b"\x17\x0d491231235959Z\x17\x0d500101000000Z", ("20491231235959", "19500101000000")),
        (b"\x17\x0d260101000000Z\x18\x0f20500101000000Z", ("20260101000000", "20500101000000")),
    ],
)
def test_times_are_written_in_two_ways(written: bytes, times: tuple[str, str]) -> None:
    validity = b"\x30" + bytes([len(written)]) + written
    to_be_signed = b"\x02\x01\x01" + b"\x30\x00" * 2 + validity + b"\x30\x00" * 2
    inner = b"\x30" + bytes([len(to_be_signed)]) + to_be_signed
    assert times_in(b"\x30" + bytes([len(inner)]) + inner) == times


# ---- names


@pytest.fixture(scope="module")
def several(authority: Authority) -> tuple[Certificates, dict[str, str]]:
    """Certificates for several names, and how each one's text begins."""
    names = {"first": ("a.example", "www.a.example"), "wild": ("*.b.example",), "closer": ("x.b.example", "A.example")}
    pairs = {what: authority.issue(*given) for what, given in names.items()}
    kept = Certificates([(str(certificate), str(key)) for certificate, key in pairs.values()])
    return kept, {pairs[what][0].read_text()[:200]: what for what in pairs}


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("a.example", "first"),
        ("A.EXAMPLE", "first"),
        ("www.a.example", "first"),
        ("x.b.example", "closer"),
        ("y.b.example", "wild"),
        ("Y.B.Example", "wild"),
        ("z.y.b.example", "first"),
        ("b.example", "first"),
        ("c.example", "first"),
        ("localhost", "first"),
        (None, "first"),
    ],
)
def test_the_name_decides(several: tuple[Certificates, dict[str, str]], name: str | None, which: str) -> None:
    kept, texts = several
    assert texts[shown(kept(), name)] == which


def test_all_names_are_known(several: tuple[Certificates, dict[str, str]]) -> None:
    assert set(several[0].names) == {"a.example", "www.a.example", "*.b.example", "x.b.example"}


def test_one_of_several_is_renewed(tmp_path: Path, authority: Authority) -> None:
    clock = Clock()
    (one, key), (other, other_key) = authority.issue("a.example"), authority.issue("b.example")
    kept = Certificates([(str(one), str(key)), (str(other), str(other_key))], clock=clock, wall_clock=clock)
    before = shown(kept(), "a.example"), shown(kept(), "b.example")
    for path, content in zip((other, other_key), authority.pem("b.example", "c.example"), strict=True):
        path.write_bytes(content)
    clock.pass_by(5.0)
    after = shown(kept(), "a.example"), shown(kept(), "b.example")
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    assert shown(kept(), "c.example") == after[1]


def test_names_are_read_from_the_certificate(authority: Authority) -> None:
    given = ["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"]
    pem, _ = authority.pem(*given)
    der = first_of(pem.decode())
    assert names_in(der) == given
    assert names_in(first_of(authority.pem()[0].decode())) == []


def test_what_is_no_certificate_has_no_names(authority: Authority) -> None:
    der = first_of(authority.pem("a.example")[0].decode())
    for end in range(len(der)):
        with pytest.raises(ValueError):
            names_in(der[:end])
        with pytest.raises(ValueError):
            times_in(der[:end])
    for at in range(0, len(der), 3):
        for byte in (0x00, 0x80, 0xFF):
            # It may still be one.  It is read, or refused.
            for read in (names_in, times_in):
                with contextlib.suppress(ValueError):
                    read(der[:at] + bytes([byte]) + der[at + 1 :])


# ---- under load


@pytest.mark.slow
def test_a_rotation_under_load_fails_no_handshake(tmp_path: Path, authority: Authority) -> None:
    """Three rotations, the key a good while after its certificate, while four clients connect as fast as they can."""
    files = Files(tmp_path, authority, "localhost")
    kept = Certificates([(str(files.certificate), str(files.key))])
    seen: Counter[bytes | None] = Counter()
    failed: list[Exception] = []
    over = threading.Event()

    def connect(port: int) -> None:
        context = authority.client()
        while not over.is_set():
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), 10) as sock,
                    context.wrap_socket(sock, server_hostname="localhost") as secure,
                ):
                    secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    assert secure.recv(100).startswith(b"HTTP/1.0 200")
                    seen[secure.getpeercert(True)] += 1
            except (OSError, AssertionError) as why:
                failed.append(why)

    def reached(number: int) -> None:
        end = time.monotonic() + 30
        while len(seen) < number and time.monotonic() < end:
            time.sleep(0.02)
        assert len(seen) == number

    with serving(tls=kept) as server:
        threads = [threading.Thread(target=connect, args=[server.port]) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 4):
                reached(number)
                certificate, key = authority.pem("localhost")
                files.certificate.write_bytes(certificate)
                time.sleep(0.3)
                files.key.write_bytes(key)
            reached(4)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert not failed
    print(f"{seen.total()} handshakes, {len(failed)} failed, {len(seen)} certificates")


@pytest.mark.slow
def test_every_worker_takes_it(tmp_path: Path, authority: Authority) -> None:
    """And each leads who comes without TLS there, and believes the proxy that is listed."""
    (tmp_path / "page").write_text("here")
    certificate, key = authority.issue("localhost")
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key), "--redirect-from", "0"]
    preamble = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n"

    def shown_to(source: str, before: bytes = b"") -> bytes | None:
        with socket.create_connection(("127.0.0.1", live.port), 20, source_address=(source, 0)) as sock:
            sock.sendall(before)
            with authority.client().wrap_socket(sock, server_hostname="localhost") as secure:
                secure.sendall(get("/page", "Connection: close"))
                assert b"\r\n\r\nhere" in read_to_end(secure)
                return secure.getpeercert(True)

    with LiveServer(tmp_path, "--workers", "2", *tls, "--trust-proxy", "proxy=127.0.0.2") as live:
        first = shown_to("127.0.0.1")
        for path, content in zip((certificate, key), authority.pem("localhost"), strict=True):
            path.write_bytes(content)
        assert until(lambda: first not in {shown_to("127.0.0.1") for _ in range(8)}, 30)
        shown_to("127.0.0.2", preamble)
        assert live.wait_for("192.0.2.1 - - ")
        passing = int(live.log.partition("leading there from port ")[2].split()[0])
        with socket.create_connection(("127.0.0.1", passing), 20) as sock:
            sock.sendall(get("/page").replace(b"Host: a", b"Host: localhost"))
            assert f"Location: https://localhost:{live.port}/page\r\n".encode() in read_to_end(sock)
