"""Certificates: one of our own, kept for nobody else to read, and those that are brought along, good and bad."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from httpd.certificates import CertificateError, from_files, self_signed, server_context

from .live import LiveServer
from .tools import TOP, needs, needs_module

DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where certificates are kept."""
    needs_module("cryptography")
    return tmp_path / "kept"


def read(folder: Path) -> Any:
    """The one certificate that is kept."""
    from cryptography import x509

    [path] = folder.iterdir()
    return x509.load_pem_x509_certificate(path.read_bytes())


# ---- our own


def test_the_same_one_the_next_time(folder: Path) -> None:
    first = self_signed(["a.example"], folder)
    second = self_signed(["a.example"], folder)
    assert (first.fingerprint, first.kept) == (second.fingerprint, True)
    assert self_signed(["b.example"], folder).fingerprint != first.fingerprint
    assert len(list(folder.iterdir())) == 2


def test_it_is_for_this_machine_and_for_what_was_named(folder: Path) -> None:
    from cryptography import x509

    own = self_signed(["a.example", "*.b.example", "192.0.2.1", "2001:db8::1", "localhost", "", "ü"], folder)
    names = read(folder).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "a.example", "*.b.example"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"]
    assert len(own.fingerprint.split(":")) == 32


def test_browsers_take_how_long_it_lasts(folder: Path) -> None:
    self_signed([], folder)
    certificate = read(folder)
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 366 < lasts.days <= 397
    assert certificate.not_valid_before_utc.timestamp() < time.time()


def test_its_key_is_for_nobody_else_to_read(folder: Path) -> None:
    before = os.umask(0)
    try:
        self_signed([], folder)
    finally:
        os.umask(before)
    [path] = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("fault", ["old", "from the future", "open to others", "broken", "half", "a link", "a folder"])
def test_one_that_is_no_good_is_not_used(folder: Path, fault: str) -> None:
    first = self_signed([], folder)
    [path] = folder.iterdir()
    pem = path.read_bytes()
    if fault == "old":
        os.utime(path, (0, time.time() - 367 * DAY))
    elif fault == "from the future":
        os.utime(path, (0, time.time() + DAY))
    elif fault == "open to others":
        path.chmod(0o640)
    elif fault in ("broken", "half"):
        path.write_bytes(b"" if fault == "broken" else pem[: pem.index(b"-----BEGIN PRIVATE")])
    elif fault == "a link":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    else:
        path.unlink()
        path.mkdir()
    second = self_signed([], folder)
    assert second.fingerprint != first.fingerprint
    assert second.kept is (fault != "a folder")
    assert second.kept is (self_signed([], folder).fingerprint == second.fingerprint)
    assert not [left for left in folder.iterdir() if left.name.startswith("tmp")]


def test_where_nothing_can_be_kept_it_is_for_once(folder: Path) -> None:
    folder.write_text("in the way")
    first, second = self_signed([], folder), self_signed([], folder)
    assert (first.kept, second.kept) == (False, False)
    assert first.fingerprint != second.fingerprint
    assert folder.read_text() == "in the way"


@pytest.mark.parametrize(
    ("env", "kept"),
    [
        ({"XDG_CACHE_HOME": "{}/cache"}, "cache/asynchat-httpd/tls"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "{}"}, ".cache/asynchat-httpd/tls"),
        ({"XDG_CACHE_HOME": "", "HOME": "{}"}, ".cache/asynchat-httpd/tls"),
    ],
)
def test_it_is_kept_in_the_user_s_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], kept: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value.replace("{}", str(folder.parent)))
    assert self_signed([]).kept
    assert len(list((folder.parent / kept).iterdir())) == 1


BEGINS_SLOWLY = """
import sys, time
from pathlib import Path
from httpd.certificates import own
made = own._made
own._made = lambda names: time.sleep(0.3) or made(names)
print("here", flush=True)
sys.stdin.readline()
print(own.self_signed([], Path(sys.argv[1])).fingerprint)
"""


@pytest.mark.programs
def test_two_that_begin_together_have_the_same(folder: Path) -> None:
    command = [sys.executable, "-c", BEGINS_SLOWLY, str(folder)]
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                subprocess.Popen(command, cwd=TOP, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(2)
        ]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
        # Both have imported all that they need: nobody has a start.
        said = list(ThreadPoolExecutor(2).map(lambda process: process.communicate("\n", 20)[0], both))
    assert said[0] == said[1] == f"{self_signed([], folder).fingerprint}\n"


def test_without_the_library_it_is_said_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(CertificateError, match="needs the package cryptography: pip install cryptography"):
        self_signed([], folder)


def test_the_library_is_not_needed_for_one_that_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = self_signed([], folder)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert self_signed([], folder).fingerprint == first.fingerprint


# ---- brought along


@pytest.fixture
def files(folder: Path) -> dict[str, str]:
    """Files, good and bad, by what they are."""
    self_signed([], folder)
    self_signed(["other.example"], folder)
    both, other = (path.read_text() for path in folder.iterdir())
    at = both.index("-----BEGIN PRIVATE")
    contents = {
        "both": both,
        "certificate": both[:at],
        "key": both[at:],
        "other key": other[other.index("-----BEGIN PRIVATE") :],
        "nothing": "",
        "text": "no certificate",
        "torn": both[:at].replace("MII", "MMM"),
        "binary": ssl.PEM_cert_to_DER_cert(both[:at]).decode("latin-1"),
    }
    for name, content in contents.items():
        (folder / name).write_text(content, "latin-1")
    return {name: str(folder / name) for name in [*contents, "absent"]}


def test_a_certificate_and_its_key(files: dict[str, str]) -> None:
    for context in (from_files(files["both"]), from_files(files["certificate"], files["key"])):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("absent", "", "cannot read {absent}: No such file or directory"),
        ("both", "absent", "cannot read {absent}: No such file or directory"),
        ("certificate", "", "{certificate} has no key in PEM form"),
        ("certificate", "text", "{text} has no key in PEM form"),
        ("certificate", "other key", "the key in {other key} does not belong to the certificate in {certificate}"),
        ("nothing", "", "{nothing} has no certificate in PEM form"),
        ("text", "key", "{text} has no certificate in PEM form"),
        ("key", "", "{key} has no certificate in PEM form"),
        ("binary", "key", "{binary} has no certificate in PEM form"),
        ("torn", "key", "the certificate in {torn} cannot be used: "),
    ],
)
def test_what_is_wrong_is_said(files: dict[str, str], certificate: str, key: str, said: str) -> None:
    with pytest.raises(CertificateError) as caught:
        from_files(files[certificate], files.get(key, ""))
    for name, path in files.items():
        said = said.replace(f"{{{name}}}", path)
    assert str(caught.value).startswith(said)


@pytest.mark.programs
def test_a_locked_key_asks_nobody(files: dict[str, str], folder: Path) -> None:
    locked = folder / "locked"
    command = [needs("openssl"), "pkcs8", "-topk8", "-in", files["key"], "-out", str(locked), "-passout", "pass:secret"]
    subprocess.run(command, check=True, timeout=20)
    with pytest.raises(CertificateError, match="passphrase"):
        from_files(files["certificate"], str(locked))


def test_a_context_without_a_certificate_is_modern() -> None:
    context = server_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not [cipher for cipher in context.get_ciphers() if "RC4" in cipher["name"] or "3DES" in cipher["name"]]


# ---- the command


def says(*options: str) -> str:
    """The one sentence of a command that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "httpd", *options], capture_output=True, text=True, timeout=20, cwd=TOP, stdin=-3
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr.removeprefix("httpd: ").rstrip("\n")


@pytest.mark.programs
def test_mistakes_at_the_command_line(files: dict[str, str]) -> None:
    assert says("--tls-key", files["key"]) == "--tls-key names the key of a certificate; name that with --tls-cert"
    assert says("--tls-cert", files["both"], "--tls-self-signed").startswith("--tls-cert and --tls-self-signed are two")
    assert says("--tls-cert", files["both"], "--unix", "s").startswith("TLS is not spoken at a unix socket")
    line = "name the file that has the line -----BEGIN CERTIFICATE-----"
    assert says("--tls-cert", files["text"]) == f"--tls-cert: {files['text']} has no certificate in PEM form; {line}"
    key = ("--tls-cert", files["certificate"], "--tls-key", files["absent"])
    assert says(*key).startswith(f"--tls-key: cannot read {files['absent']}: No such file or directory; name a file")


@pytest.mark.programs
def test_a_certificate_at_the_command_line(files: dict[str, str], tmp_path: Path) -> None:
    with LiveServer(tmp_path, "--tls-cert", files["certificate"], "--tls-key", files["key"]) as live:
        assert live.url.startswith("https://")
        shown = ssl.get_server_certificate(("127.0.0.1", live.port))
    assert shown.split() == Path(files["certificate"]).read_text().split()


@pytest.mark.programs
def test_a_start_with_a_kept_certificate_does_not_wait_for_the_library(folder: Path, tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(folder)}
    for start in range(2):
        with LiveServer(
            tmp_path, "--tls-self-signed", env=env, command=[sys.executable, "-X", "importtime", "-m", "httpd"]
        ) as live:
            pass
        assert ("cryptography" in live.log) is (start == 0)
