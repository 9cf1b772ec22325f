"""7. Time

A client that sends half a head and falls silent holds a socket and some memory, and a thousand of them hold a
thousand.  So patience ends, with 408.  When, is the question: if each byte bought more time, a byte now and then
would buy all of it.  A head has its time from its first byte to its last.

▸ 07_time.ndjson #3: the first piece of a head; from here on it has 20 seconds
▸ 07_time.ndjson #12: a byte every 6 seconds buys no time
▸ 07_time.ndjson #15: the 20 seconds are over, 2 seconds after the last byte

A timer is a call that the loop makes later.  One that is not needed any more is cancelled: it would end a connection
that has done nothing wrong, and until then holds on to it.

Exercise: Patience begins anew with each piece.  Make it give up a head that has taken too long, and nothing else: not
one that was complete in time, nor a client that waits before its next request, nor one that has gone.
"""

from judge import ask

HEAD_TIME = 20.0  # seconds that a head may take, from its first byte to its last


class Patience:
    """How long a connection is waited for.

    `timers.call_later(seconds, call)` has `call()` made later, and returns a timer that has a method `cancel()`.
    `give_up()` answers 408 and closes.
    """

    def __init__(self, timers, give_up):
        self.timers = timers
        self.give_up = give_up
        self.timer = None

    def received(self):
        """Bytes of a head have come: its first ones, or more of it."""
        if self.timer:
            self.timer.cancel()
        self.timer = self.timers.call_later(HEAD_TIME, self.give_up)

    def completed(self):
        """The head is whole.  Another one may follow on the same connection, after a while."""

    def closed(self):
        """The client has gone."""


if __name__ == "__main__":
    ask(__file__)
