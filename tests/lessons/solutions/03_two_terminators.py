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
        part = b"".join(self.incoming)
        self.incoming.clear()
        length = content_length(part) if self.get_terminator() == b"\r\n\r\n" else 0
        if length:
            self.set_terminator(length)
            return
        self.posts.append(b"" if self.get_terminator() == b"\r\n\r\n" else part)
        self.set_terminator(b"\r\n\r\n")


def content_length(head: bytes) -> int:
    """The length that the head announces; 0 if it says nothing."""
    found = re.search(rb"^Content-Length: (\d+)", head, re.MULTILINE)
    return int(found[1]) if found else 0


if __name__ == "__main__":
    ask(__file__)
