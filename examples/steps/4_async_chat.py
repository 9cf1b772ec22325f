"""Step 4: async_chat reads up to a terminator, and sends as fast as the client takes it.

python examples/steps/4_async_chat.py [FOLDER [PORT]]

What step 3 did by hand is a class now: a channel.  The loop asks it, it collects, and what is pushed waits in a queue
until all of it is sent.  The clients that break it ask for a large file and do not read: all of it waits in memory,
once for each of them.
See it: python examples/steps/break.py 4
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


class Channel(asynchat.async_chat):
    """One connection: its head is collected, its answer pushed."""

    def collect_incoming_data(self, data: bytes) -> None:
        self.incoming.append(data)

    def found_terminator(self) -> None:
        target = b"".join(self.incoming).partition(b" ")[2].partition(b" ")[0].decode("latin-1")
        if target not in FILES:
            self.push(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nNo such file.\n")
        else:
            content = FILES[target].read_bytes()
            kind = mimetypes.guess_type(FILES[target])[0] or "application/octet-stream"
            self.push(f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode())
            self.push(content)
        self.close_when_done()


class Listener(asyncore.dispatcher):
    """Makes a channel of every connection."""

    def handle_accepted(self, connection: socket.socket, address: object) -> None:
        Channel(connection).set_terminator(b"\r\n\r\n")


listener = socket.create_server(("127.0.0.1", PORT))
Listener(listener).listen(100)
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
asyncore.loop()
