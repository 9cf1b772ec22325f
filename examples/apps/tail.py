"""The end of a log, and what is added to it, as it is added: a route that is a generator.

python examples/apps/tail.py FILE    then open http://127.0.0.1:8000/
curl -N http://127.0.0.1:8000/       the same in a terminal; it ends when one of the two does

A log that is moved away and begun anew is followed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from httpd import HTTPError, Request, Router, Server

# How much of what is there already is shown, and how much is read at once, in bytes.
BEFORE = 4_096
PIECE = 65_536
# How often it is looked whether there is more, in seconds.
PAUSE = 0.25

path = os.environ.get("LOG", "")
site = Router()


@site.get("/")
def tail(request: Request) -> Iterator[bytes | float]:
    """All that comes to the file.  What is raised before the first yield is still an answer."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below, whatever happens
    except OSError as why:
        raise HTTPError(404, f"There is no log to read: {why.strerror}.") from None
    try:
        if file.seek(0, os.SEEK_END) > BEFORE:
            file.seek(-BEFORE, os.SEEK_END)
            file.readline()
        else:
            file.seek(0)
        while True:
            while piece := file.read(PIECE):
                yield piece
            if is_another(file.fileno(), file.tell()):
                file.close()
                file = open(path, "rb")  # noqa: SIM115
            yield PAUSE
    finally:
        file.close()


def is_another(number: int, read: int) -> bool:
    """Whether the file of that name is another now, or was cut."""
    try:
        now, then = os.stat(path), os.fstat(number)
    except FileNotFoundError:
        return False
    return now.st_ino != then.st_ino or now.st_size < read


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else path
    if not path:
        sys.exit("tail.py FILE: which log is to be shown?")
    Server(site, port=8000).run()
