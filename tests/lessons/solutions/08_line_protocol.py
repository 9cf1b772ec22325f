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
        if self.get_terminator() == b"\r\n" and sum(map(len, self.incoming)) > MOST_LINE:
            self.refuse_for_good()

    def found_terminator(self):
        said = b"".join(self.incoming)
        self.incoming.clear()
        if self.get_terminator() == b"\r\n":
            self.take_line(said)
        else:
            self.take_note(said)

    def take_line(self, line):
        verb, _, rest = line.partition(b" ")
        number = int(rest) if rest.isdigit() else -1
        if line == b"QUIT":
            self.push(b"BYE\r\n")
            self.close_when_done()
        elif verb == b"PUT" and number > MOST_NOTE:
            self.refuse_for_good()
        elif verb == b"PUT" and number > 0:
            self.set_terminator(number)
        elif verb == b"PUT" and number == 0:
            self.take_note(b"")
        elif verb == b"GET" and 0 < number <= len(self.notes):
            note = self.notes[number - 1]
            self.push(b"OK %d\r\n%s" % (len(note), note))
        else:
            self.push(b"NO\r\n")

    def take_note(self, note):
        self.notes.append(note)
        self.push(b"OK %d\r\n" % len(self.notes))
        self.set_terminator(b"\r\n")

    def refuse_for_good(self):
        self.push(b"NO\r\n")
        self.close_when_done()


if __name__ == "__main__":
    ask(__file__)
