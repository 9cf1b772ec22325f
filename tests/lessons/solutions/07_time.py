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
        if self.timer is None:
            self.timer = self.timers.call_later(HEAD_TIME, self.give_up)

    def completed(self):
        """The head is whole.  Another one may follow on the same connection, after a while."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def closed(self):
        """The client has gone."""
        self.completed()


if __name__ == "__main__":
    ask(__file__)
