"""5. Producers and short sends

send() takes what fits into the socket's buffer, and returns how many bytes that was.  If it was not all, it was a
short send, and the rest is offered again when there is room.

A producer makes bytes when it is asked: more() gives the next piece, and b"" at the end.  It is asked when all that
it gave before has been sent, and not sooner.  So however slowly a client takes a large file, one piece of it is in
memory.

▸ 05_producers.ndjson #15: a producer joins the queue, behind the head of the answer
▸ 05_producers.ndjson #18: it has given 1,010 bytes, and the kernel takes 300 of them
▸ 05_producers.ndjson #22: the next turn: the rest is offered, and again only a part is taken
▸ 05_producers.ndjson #25: all of it is sent, and only now the producer is asked again

Exercise: Outgoing is the queue of one connection, and right for a client that takes everything at once.  Make it
right for every client.  A law watches: what was sent was given before, each byte once and in order.
"""

from collections import deque

from judge import ask


class Outgoing:
    """What is to be sent on one connection, in order."""

    def __init__(self, send):
        self.send = send  # takes bytes, and returns how many of them were taken: at least one
        self.producers = deque()

    def push(self, producer):
        """Send what this gives: `more()` is its next piece, and b"" its end."""
        self.producers.append(producer)

    def writable(self) -> bool:
        """Whether there is anything left to send, or to ask for."""
        return bool(self.producers)

    def handle_write(self):
        """There is room: call send() once at the most."""
        data = self.producers[0].more()
        if data:
            self.send(data)
        else:
            self.producers.popleft()


if __name__ == "__main__":
    ask(__file__)
