"""Forms in parts: read or refused, the same wherever the content is cut, and what is read was sent."""

from __future__ import annotations

from httpd.protocol.errors import HTTPError
from httpd.protocol.multipart import MultipartReader, PartLimits

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"--XyZ\r\n", b"\r\n--XyZ\r\n", b"\r\n--XyZ--\r\n", b"--XyZ--", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"--",
    b'Content-Disposition: form-data; name="a"\r\n\r\n', b'Content-Disposition: form-data; name="b"; ',
    b'filename="c.txt"\r\n',
    b"Content-Type: text/plain\r\n", b"Content-Type: text/plain; charset=latin-1\r\n",
    b"Content-Type: multipart/mixed; boundary=q\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\xc3\xa9", b"\xff",
    b"%22", b'"', b";", b": ", b"name=", b"filename*=utf-8''x", b"\0", b"value",
]  # fmt: skip

TYPE = "multipart/form-data; boundary=XyZ"
LIMITS = PartLimits(parts=6, files=3, name=20, text=60, file=40)


def one_input(data: bytes) -> None:
    """The first byte says where the content is cut, the rest is the content."""
    step, body = data[:1], data[1:]
    whole = read([body])
    size = (step or b"\0")[0] % 16 + 1
    assert read([body[at : at + size] for at in range(0, len(body), size)]) == whole
    if isinstance(whole, list):
        assert len(whole) <= LIMITS.parts
        for name, value, filename in whole:
            assert value in body
            assert len(name.encode()) <= LIMITS.name
            assert filename is None or not set("/\\\0") & set(filename)


def read(pieces: list[bytes]) -> list[tuple[str, bytes, str | None]] | tuple[int, str]:
    """(name, content, file name) of each part; or the status and what it says."""
    reader = MultipartReader(TYPE, LIMITS)
    try:
        for piece in pieces:
            reader.feed(piece)
        form, files = reader.finish()
        kept = [(name, file.file.read(), file.filename) for name, file in files.items()]
        return [*((name, value.encode(), None) for name, value in form.items()), *kept]
    except HTTPError as error:
        assert error.status in (400, 413, 415)
        assert error.detail
        return error.status, error.detail
    finally:
        reader.close()
