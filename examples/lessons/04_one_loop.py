"""4. One loop, many channels

A server with one loop waits for nobody in particular.  In each turn it asks every channel what it waits for, waits
until any of them can go on, and has each that can make one step: one recv, or one send.  Then comes the next turn.

▸ 04_one_loop.ndjson #3: turn 1, a client sends half a request and falls silent
▸ 04_one_loop_2.ndjson #3: turn 2, another one has come; nobody holds it up
▸ 04_one_loop_2.ndjson #17: turn 4, it is answered, and in the same turn the first client has sent a little more
▸ 04_one_loop.ndjson #20: turn 6, the first one is answered too

Three mistakes are old friends.  To read where nothing has come is to wait for that one client, and all the others
wait with it.  To wait for room to write with nothing to send is not to wait at all: there is room, so the loop spins.
And a channel may close in its first step of a turn, and be ready for another step in that same turn.

Exercise: serve(channels, wait) serves one channel after the other.  Make it serve all of them at once.
"""

from collections.abc import Callable

from judge import ask


def serve(channels: list, wait: Callable) -> None:
    """Serve all these channels until each is closed.

    A channel has `readable()` and `writable()`, what it waits for; `handle_read()` and `handle_write()`, one recv and
    one send; and `closed`.  `wait(to_read, to_write)` waits as select() does until at least one of the channels in the
    two lists is ready, and returns two lists: those that may be read, and those that may be written to.
    """
    for channel in channels:
        while not channel.closed:
            if channel.writable():
                channel.handle_write()
            else:
                channel.handle_read()


if __name__ == "__main__":
    ask(__file__)
