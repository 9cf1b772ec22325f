"""3. Two terminators

A head ends with an empty line.  Content may hold anything, an empty line too, so its end cannot be a mark in it: the
head announces how long it is.  To async_chat a terminator may be a number as well: set_terminator(21) says that the
next 21 bytes are the message, and found_terminator() is called when they have been collected.

▸ 03_two_terminators.ndjson #6: the end of the head; its piece goes on
▸ 03_two_terminators.ndjson #12: 21 bytes of content are announced, and the rest of the piece is taken by that number
▸ 03_two_terminators.ndjson #15: the content holds an empty line, even a cut one, and it means nothing
▸ 03_two_terminators.ndjson #26: the next head ends with an empty line again, and it has begun in the same piece

The number counts down as the bytes come: when found_terminator() runs, get_terminator() is 0.  But set_terminator(0)
does not announce a message of no bytes.  It means the same as None: no terminator at all, collect without end.

Exercise: Posts reads requests one after the other.  Let it append the content of each to posts, and b"" for a request
that has none.
"""

import re

from judge import ask

from httpd import asynchat


class Posts(asynchat.async_chat):
    """Reads one request after the other, and keeps their contents in `posts`."""

    def __init__(self, sock, map=None):
        super().__init__(sock, map)
        self.posts = []
        self.set_terminator(b"\r\n\r\n")

    def collect_incoming_data(self, data):
        self.incoming.append(data)

    def found_terminator(self):
        head = b"".join(self.incoming)
        self.incoming.clear()
        if content_length(head) == 0:
            self.posts.append(b"")
        # And if it is not?  So far the content is taken for the beginning of the next head.


def content_length(head: bytes) -> int:
    """The length that the head announces; 0 if it says nothing."""
    found = re.search(rb"^Content-Length: (\d+)", head, re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    ask(__file__)
