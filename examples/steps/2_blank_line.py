"""Step 2: read until the blank line that ends a head.

python examples/steps/2_blank_line.py [FOLDER [PORT]]

Now it does not matter where the bytes are cut.  The client that breaks it sends half a request and falls silent:
recv() waits for the other half, and everybody else waits with it.
See it: python examples/steps/break.py 2
"""

import mimetypes
import socket
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "site"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
# What may be asked for: the files of the folder by their names, and nothing else.
FILES = {f"/{path.name}": path for path in FOLDER.iterdir() if path.is_file()} | {"/": FOLDER / "index.html"}


def answer(head: bytes) -> bytes:
    """The response to a head: the file that the request-line names."""
    target = head.partition(b" ")[2].partition(b" ")[0].decode("latin-1")
    if target not in FILES:
        return b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nNo such file.\n"
    content = FILES[target].read_bytes()
    kind = mimetypes.guess_type(FILES[target])[0] or "application/octet-stream"
    return f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def read_head(connection: socket.socket) -> bytes:
    """Everything up to the blank line; b"" if the client hangs up before."""
    incoming = b""
    while b"\r\n\r\n" not in incoming:
        piece = connection.recv(65536)
        if not piece:
            return b""
        incoming += piece
    return incoming.partition(b"\r\n\r\n")[0]


listener = socket.create_server(("127.0.0.1", PORT))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
while True:
    connection, _ = listener.accept()
    with connection:
        if head := read_head(connection):
            connection.sendall(answer(head))
