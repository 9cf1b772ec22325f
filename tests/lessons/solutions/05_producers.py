from collections import deque

from judge import ask


class Outgoing:
    """What is to be sent on one connection, in order."""

    def __init__(self, send):
        self.send = send  # takes bytes, and returns how many of them were taken: at least one
        self.producers = deque()
        self.unsent = b""

    def push(self, producer):
        """Send what this gives: `more()` is its next piece, and b"" its end."""
        self.producers.append(producer)

    def writable(self) -> bool:
        """Whether there is anything left to send, or to ask for."""
        return bool(self.unsent or self.producers)

    def handle_write(self):
        """There is room: call send() once at the most."""
        if not self.unsent:
            self.unsent = self.producers[0].more()
        if self.unsent:
            self.unsent = self.unsent[self.send(self.unsent) :]
        else:
            self.producers.popleft()


if __name__ == "__main__":
    ask(__file__)
