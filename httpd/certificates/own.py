"""A certificate of our own, for TLS at once.

It is trusted by nobody until a person has compared its fingerprint, or told a browser to take it.  So that this need be
done once only, it is kept for a year in the user's cache folder, with its key, for the user's eyes alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import ssl
import stat
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

from ..packages import needs
from .contexts import CertificateError, from_files, read_pem
from .names import first_of

__all__ = ["SelfSigned", "self_signed"]

_DAY = 86_400
# How long ours is good: as long as a public one might be for years, which some clients ask of every one.  And how long
# it is used for a start: it should not end while that server runs.
_VALID_DAYS = 397
_KEPT_DAYS = 366

# What every certificate of our own is for, besides the machine's name.
_LOCAL = ("localhost", "127.0.0.1", "::1")


class SelfSigned(NamedTuple):
    """A context with a certificate of our own, its SHA-256 fingerprint, whether it will be the same next time, and the
    names and addresses that it is for.
    """

    context: ssl.SSLContext
    fingerprint: str
    kept: bool
    names: list[str]


def self_signed(names: Iterable[str], folder: Path | None = None) -> SelfSigned:
    """A certificate of our own for this machine and for these names and addresses, that of last time if there is one.

    `folder` is where it is kept, by default in the user's cache.  Raises CertificateError where it cannot be made.
    """
    names = [name for name in dict.fromkeys([*_LOCAL, socket.gethostname(), *names]) if name and name.isascii()]
    path = (folder or _cache()) / f"{hashlib.sha256(' '.join(names).encode()).hexdigest()[:16]}.pem"
    try:
        context = _kept(path) or _kept_now(path, names)
        return SelfSigned(context, _fingerprint(path), True, names)
    except OSError:
        pem = _made(names)
        # A context is made from files only.
        with tempfile.TemporaryDirectory() as passing:
            path = Path(passing, "own.pem")
            _keep(path, pem)
            return SelfSigned(from_files(str(path)), _fingerprint(path), False, names)


def _cache() -> Path:
    # A relative one counts for nothing, says the XDG Base Directory Specification.
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "asynchat-httpd", "tls")


def _kept(path: Path) -> ssl.SSLContext | None:
    """The context of what was kept, if it is young enough, ours, and nobody else's to read or change."""
    try:
        status = path.lstat()
        age = time.time() - status.st_mtime
        private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077 and status.st_uid == os.getuid()
        return from_files(str(path)) if private and 0 <= age < _KEPT_DAYS * _DAY else None
    except (OSError, CertificateError):
        return None


def _kept_now(path: Path, names: list[str]) -> ssl.SSLContext:
    """The context of a new one, which is kept.  Of servers that begin together the first makes it, for all of them.

    Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    alone = os.open(path.parent, os.O_RDONLY)
    try:
        # Some network's file systems lock no folder; there they take their chances.
        with contextlib.suppress(OSError):
            fcntl.flock(alone, fcntl.LOCK_EX)
        context = _kept(path)
        if context is None:
            _keep(path, _made(names))
            context = from_files(str(path))
        return context
    finally:
        os.close(alone)


def _keep(path: Path, pem: bytes) -> None:
    """Write a file that only we can read, in one step, so that no other server reads half of it."""
    # Made with a mode of 0600.
    fd, passing = tempfile.mkstemp(dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(pem)
        os.replace(passing, path)
    except BaseException:
        os.unlink(passing)
        raise


def _fingerprint(path: Path) -> str:
    """The SHA-256 of the first certificate in a file, as browsers show it."""
    return hashlib.sha256(first_of(read_pem(str(path)))).digest().hex(":").upper()


def _made(names: list[str]) -> bytes:
    """A new certificate and its key, in PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise CertificateError(needs("a certificate of one's own", "cryptography")) from None
    from datetime import datetime, timedelta
    from ipaddress import ip_address

    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    # Any clock of the clients' is a little off.
    begin = datetime.now(UTC) - timedelta(days=1)
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "httpd, self-signed")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(title)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, lock = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem) + key.private_bytes(pem, form, lock)
