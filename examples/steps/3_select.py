"""Step 3: one loop waits for all connections at once, with select().

python examples/steps/3_select.py [FOLDER [PORT]]

Each turn reads only where something has come, so a silent client holds up nobody.  The file that breaks it is one
larger than the socket's buffer: send() takes what fits, says how much that was, and nobody listens.
See it: python examples/steps/break.py 3
"""

import mimetypes
import select
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


listener = socket.create_server(("127.0.0.1", PORT))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
incoming: dict[socket.socket, bytes] = {}  # each connection, and what has come of its head
while True:
    readable, _, _ = select.select([listener, *incoming], [], [])
    for ready in readable:
        if ready is listener:
            connection, _ = listener.accept()
            connection.setblocking(False)
            incoming[connection] = b""
            continue
        piece = ready.recv(65536)
        incoming[ready] += piece
        head, blank_line, _ = incoming[ready].partition(b"\r\n\r\n")
        if blank_line:
            ready.send(answer(head))
        if blank_line or not piece:
            del incoming[ready]
            ready.close()
