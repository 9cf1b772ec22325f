"""1. Bytes, not requests

TCP carries a stream of bytes.  recv() gives what has come by now: a piece.  Where two pieces meet is a cut, and cuts
are made by the network, by the kernel, by the client's own writes, but not by messages.  A request may come in three
pieces, and a piece may hold the end of one request and the beginning of the next.

▸ 01_bytes.ndjson #3: the first piece of a request; it ends within the target
▸ 01_bytes.ndjson #9: the third piece; with it the head is complete
▸ 01_bytes.ndjson #13: only now is there a request-line, which came in two pieces

So whoever reads keeps what is not complete until more comes, and a program is right if it is right for every cut.

Exercise: Lines.take(piece) returns the lines of a piece.  That is right for a stream that comes in one piece.  Make
it right wherever the stream is cut: each line is returned once, with the piece that completes it.
"""

from judge import ask


class Lines:
    """The lines of a stream that comes in pieces."""

    def take(self, piece: bytes) -> list[bytes]:
        """The lines that are complete with this piece and were not before, without their CRLF."""
        return piece.split(b"\r\n")[:-1]


if __name__ == "__main__":
    ask(__file__)
