"""Contexts for TLS as this server speaks it, and those of certificates that are brought along, in files.

What is spoken is TLS 1.2 and 1.3, with suites that agree on a key of their own for each connection, and that encrypt
and authenticate in one step (AEAD): others have been broken, or leave the past open to whoever gets the server's key
one day (RFC 9325 §4.2).  Which of them is the client's to say: all are good, and it knows what its machine does fast.
Curves are those of the OpenSSL at hand, in its order.  Nothing is compressed, or negotiated anew.

A session may be resumed by a ticket, which spares the signature, and in 1.2 a round trip.  The ticket's key is the
context's, and in 1.2 whoever has it can read what was resumed with it.  So contexts that are kept up to date are made
anew each day (see `renewed`), and their keys with them.
"""

from __future__ import annotations

import ssl
from typing import NoReturn

__all__ = ["PROTOCOLS", "CertificateError", "from_files", "read_pem", "server_context"]

# What may be spoken in TLS, by its names in ALPN (RFC 7301 §6); curl -0 offers the second one alone.
PROTOCOLS = ("http/1.1", "http/1.0")
# Of TLS 1.2; all suites that 1.3 has are good.
_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK"

_BEGIN = "-----BEGIN CERTIFICATE-----"
_KEY_ENDS = "PRIVATE KEY-----"


class CertificateError(Exception):
    """There is no certificate to be had; one sentence says why, and what to do.

    `file` is the one at fault, as it was named, "" where it is none.
    """

    def __init__(self, told: str, file: str = "") -> None:
        super().__init__(told)
        self.file = file


def server_context() -> ssl.SSLContext:
    """A context for an HTTP server, without a certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(PROTOCOLS)
    return context


def from_files(certificate: str, key: str = "") -> ssl.SSLContext:
    """The context of a certificate with its chain and of its key, files in PEM; one file may hold all.

    Raises CertificateError.
    """
    context = server_context()
    try:
        context.load_cert_chain(certificate, key or None, password=_no_passphrase)
    except ssl.SSLError as why:
        raise _complaint(certificate, key or certificate, why) from None
    except OSError as why:
        # It does not say which of the two.
        read_pem(certificate)
        read_pem(key or certificate)
        raise _unreadable(certificate, why) from None
    return context


def _no_passphrase() -> NoReturn:
    raise CertificateError("the key is locked with a passphrase; a server that starts by itself needs one without")


def _complaint(certificate: str, key: str, why: ssl.SSLError) -> CertificateError:
    if why.reason == "KEY_VALUES_MISMATCH":
        told = f"the key in {key} does not belong to the certificate in {certificate}; name the one it was made with"
        return CertificateError(told, key)
    if _BEGIN not in read_pem(certificate):
        told = f"{certificate} has no certificate in PEM form; name the file that has the line {_BEGIN}"
        return CertificateError(told, certificate)
    if _KEY_ENDS not in read_pem(key):
        return CertificateError(f"{key} has no key in PEM form; --tls-key names the file of the key", key)
    told = f"the certificate in {certificate} cannot be used: {why.reason or why}; have it issued anew"
    return CertificateError(told, certificate)


def _unreadable(path: str, why: OSError) -> CertificateError:
    return CertificateError(f"cannot read {path}: {why.strerror or why}; name a file that this user may read", path)


def read_pem(path: str) -> str:
    """A file's text.  Raises CertificateError."""
    try:
        with open(path, encoding="latin-1") as file:
            return file.read()
    except OSError as why:
        raise _unreadable(path, why) from None
