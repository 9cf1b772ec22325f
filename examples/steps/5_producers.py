"""Step 5: a producer is asked for the next piece when the one before is sent.

python examples/steps/5_producers.py [FOLDER [PORT]]

However large the file and however slow the client, one piece of it is in memory.  The client that breaks it sends a
head that never ends: it is collected for ever, for nothing says how long a head may be.
See it: python examples/steps/break.py 5
"""

import mimetypes
import socket
import sys
from pathlib import Path

from httpd import asynchat, asyncore

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "site"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
# What may be asked for: the files of the folder by their names, and nothing else.
FILES = {f"/{path.name}": path for path in FOLDER.iterdir() if path.is_file()} | {"/": FOLDER / "index.html"}


class FileProducer:
    """Gives a file, a piece at a time; b"" at its end."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")

    def more(self) -> bytes:
        return self.file.read(65536)

    def close(self) -> None:
        self.file.close()


class Channel(asynchat.async_chat):
    def collect_incoming_data(self, data: bytes) -> None:
        self.incoming.append(data)

    def found_terminator(self) -> None:
        target = b"".join(self.incoming).partition(b" ")[2].partition(b" ")[0].decode("latin-1")
        if target not in FILES:
            self.push(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nNo such file.\n")
        else:
            length = FILES[target].stat().st_size
            kind = mimetypes.guess_type(FILES[target])[0] or "application/octet-stream"
            self.push(f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode())
            self.push_with_producer(FileProducer(FILES[target]))
        self.close_when_done()


class Listener(asyncore.dispatcher):
    def handle_accepted(self, connection: socket.socket, address: object) -> None:
        Channel(connection).set_terminator(b"\r\n\r\n")


listener = socket.create_server(("127.0.0.1", PORT))
Listener(listener).listen(100)
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
asyncore.loop()
