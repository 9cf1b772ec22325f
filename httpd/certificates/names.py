"""The names that a certificate is for and the time that it is for, read from its DER: the subjectAltName of RFC 5280
§4.2.1.6 and the validity of §4.1.2.5, and nothing else.

The standard library shows these only for a certificate that it has found to be trusted, which a server's own need not
be.  DER is values of tag, length and content, one after the other and one within the other (X.690 §8.1).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

__all__ = ["first_of", "names_in", "times_in"]

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

# Tags (RFC 5280 §4.1, §4.2.1.6): extensions [3] of a TBSCertificate; dNSName [2] and iPAddress [7] of a GeneralName.
_EXTENSIONS, _DNS_NAME, _IP_ADDRESS = 0xA3, 0x82, 0x87
# A SEQUENCE, and a time whose year has two digits.
_SEQUENCE, _UTC_TIME = 0x30, 0x17
# id-ce-subjectAltName, 2.5.29.17.
_ALT_NAME = b"\x55\x1d\x11"


def first_of(pem: str) -> bytes:
    """The first certificate in a PEM file, in DER: the server's own, before its chain.

    Raises ValueError where there is none.
    """
    begin = pem.index(_BEGIN)
    return ssl.PEM_cert_to_DER_cert(pem[begin : pem.index(_END, begin) + len(_END)])


def names_in(certificate: bytes) -> list[str]:
    """The names and addresses that a certificate in DER is for, names in lower case; "*." stands for any one label.

    Raises ValueError where it cannot be read.
    """
    ((_, whole),) = _values(certificate)
    (_, tbs), *_ = _values(whole)
    for tag, content in _values(tbs):
        if tag == _EXTENSIONS:
            ((_, extensions),) = _values(content)
            for _, extension in _values(extensions):
                (_, kind), *_, (_, value) = _values(extension)
                if kind == _ALT_NAME:
                    ((_, names),) = _values(value)
                    return [text for tag, name in _values(names) if (text := _text(tag, name))]
    return []


def times_in(certificate: bytes) -> tuple[str, str]:
    """The first and the last second that a certificate in DER is for, as YYYYMMDDHHMMSS, in UTC.

    Raises ValueError where they cannot be read.
    """
    ((_, whole),) = _values(certificate)
    (_, tbs), *_ = _values(whole)
    # Before it are the algorithm and the issuer, behind it the subject and the key.
    _, _, validity, *_ = (content for tag, content in _values(tbs) if tag == _SEQUENCE)
    first, last = (_time(tag, content.decode("ascii")) for tag, content in _values(validity))
    return first, last


def _time(tag: int, text: str) -> str:
    century = ("20" if text < "5" else "19") if tag == _UTC_TIME else ""
    return century + text.removesuffix("Z")


def _text(tag: int, name: bytes) -> str:
    if tag == _DNS_NAME:
        return name.decode("ascii").lower()
    if tag == _IP_ADDRESS:
        from ipaddress import ip_address

        return str(ip_address(name))
    return ""


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each value in DER."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1] if at + 1 < len(data) else 0x80, at + 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
            if not size:
                raise ValueError("a length that DER does not have")
        if at + length > len(data):
            raise ValueError("a value that is not whole")
        yield tag, data[at : at + length]
        at += length
