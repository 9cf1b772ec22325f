r"""8. Your own line protocol

You have all that a protocol needs: terminators, limits, a queue, a close.  This one is the harbour's board, for
notes:

    PUT 4\r\nbuoy    keeps a note of 4 bytes     OK 1\r\n          its number: 1, 2, … on this connection
    GET 1\r\n        gives a note                OK 4\r\nbuoy
    QUIT\r\n         says farewell               BYE\r\n           and the board closes
    any other line, or no such note              NO\r\n

▸ 08_line_protocol.ndjson #6: a line's end that was cut, and behind it already the note
▸ 08_line_protocol.ndjson #9: the note, by a number; what follows it in the piece is the next line
▸ 08_line_protocol.ndjson #39: QUIT: the board closes when all that it has said is sent

A line has at most 100 bytes and a note at most 1000; at one byte more, the board says NO and closes.  It does not
wait for the end of a line to find it too long: a line may have none.  A note may hold anything, and may be empty.

What you push() is sent in order, as the client takes it, and close_when_done() closes behind it.

Exercise: Board says NO to everything.  Make it the board.
"""

from judge import ask

from httpd import asynchat

MOST_LINE = 100  # bytes of a line, without its CRLF
MOST_NOTE = 1000  # bytes of a note


class Board(asynchat.async_chat):
    """One connection to the harbour's board."""

    def __init__(self, sock, map=None):
        super().__init__(sock, map)
        self.notes = []
        self.set_terminator(b"\r\n")

    def collect_incoming_data(self, data):
        self.incoming.append(data)

    def found_terminator(self):
        self.incoming.clear()
        self.push(b"NO\r\n")


if __name__ == "__main__":
    ask(__file__)
