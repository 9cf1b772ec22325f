from collections.abc import Callable

from judge import ask


def serve(channels: list, wait: Callable) -> None:
    """Serve all these channels until each is closed.

    A channel has `readable()` and `writable()`, what it waits for; `handle_read()` and `handle_write()`, one recv and
    one send; and `closed`.  `wait(to_read, to_write)` waits as select() does until at least one of the channels in the
    two lists is ready, and returns two lists: those that may be read, and those that may be written to.
    """
    while channels := [channel for channel in channels if not channel.closed]:
        to_read = [channel for channel in channels if channel.readable()]
        to_write = [channel for channel in channels if channel.writable()]
        can_read, can_write = wait(to_read, to_write)
        for channel in can_read:
            channel.handle_read()
        for channel in can_write:
            if not channel.closed:
                channel.handle_write()


if __name__ == "__main__":
    ask(__file__)
