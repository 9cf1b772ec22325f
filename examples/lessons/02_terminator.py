r"""2. The terminator, and what is held back

A channel searches each piece for its terminator.  Of an HTTP head that is the empty line, b"\r\n\r\n".  What stands
before it is collected, and when it is found, the message is complete.

If the terminator itself is cut, no piece has it whole.  So when a piece ends with bytes that may be the beginning of
the terminator, they are held back: they are not collected, but searched again together with the next piece.

▸ 02_terminator.ndjson #4: the piece ends with \r, which may begin \r\n\r\n: one byte is held back
▸ 02_terminator.ndjson #7: it was only a line's end; but now the last three bytes may begin the terminator
▸ 02_terminator.ndjson #10: one byte more, and with the three it is the terminator

If fewer bytes are held back, a terminator that was cut is never found.  If more are, something waits that could go
on.  It is never the whole terminator, for that would have been found.

Exercise: held_back(data, terminator) says how many bytes at the end of data are held back.  The server's own handler
uses it, on a request that is cut at every place, and its trace must obey the laws.  Then come other terminators.
"""

from judge import ask


def held_back(data: bytes, terminator: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `terminator`, which is not in it as a whole."""
    return 0


if __name__ == "__main__":
    ask(__file__)
