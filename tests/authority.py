"""An authority of our own for tests: it signs certificates for any names, with a certificate of its own in between.

authority = Authority(tmp_path)
certificate, key = authority.issue("a.example", "*.b.example")
context = authority.client()
"""

from __future__ import annotations

import functools
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from .tools import needs_module

__all__ = ["Authority"]


class Authority:
    """Certificates in files of `folder`, each with the chain that leads to `authority.pem`."""

    def __init__(self, folder: Path) -> None:
        needs_module("cryptography")
        self.folder = folder
        self.root, self._root_key = _signed("root", [], None)
        self.between, self._key = _signed("between", [], (self.root, self._root_key))
        self.trusted = folder / "authority.pem"
        self.trusted.write_bytes(_pem(self.root))
        self._issued = 0

    def pem(self, *names: str) -> tuple[bytes, bytes]:
        """A new certificate for these names, with its chain, and its key."""
        certificate, key = _signed(names[0] if names else "nobody", names, (self.between, self._key))
        return _pem(certificate) + _pem(self.between), _pem_of_key(key)

    def issue(self, *names: str) -> tuple[Path, Path]:
        """The same in two files of their own."""
        self._issued += 1
        files = self.folder / f"{self._issued}.pem", self.folder / f"{self._issued}.key"
        for path, content in zip(files, self.pem(*names), strict=True):
            path.write_bytes(content)
        return files

    def client(self) -> ssl.SSLContext:
        """A client's context that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.trusted))


@functools.cache
def _imported() -> Any:
    from cryptography import x509

    return x509


def _signed(title: str, names: Any, issuer: Any) -> tuple[Any, Any]:
    """A certificate and its key; that of an authority, where there are no names."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    x509 = _imported()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=not names and title != "nobody", path_length=None), critical=True)
    )
    # What a strict client asks for, as those of Python 3.13 are (RFC 5280 §4.2.1.1 to §4.2.1.3).
    signer = issuer[1] if issuer else key
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(own, critical=False).add_extension(by, critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    else:
        builder = builder.add_extension(_signs_certificates(), critical=True)
    return builder.sign(signer, hashes.SHA256()), key


def _signs_certificates() -> Any:
    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    unused = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return _imported().KeyUsage(key_cert_sign=True, crl_sign=True, **unused)


def _general(name: str) -> Any:
    x509 = _imported()
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)  # type: ignore[no-any-return]


def _pem_of_key(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    form, lock = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, lock)  # type: ignore[no-any-return]
