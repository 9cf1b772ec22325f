"""Step 1: one recv() is one request, or so it seems.

python examples/steps/1_one_recv.py [FOLDER [PORT]]

It works as long as a request comes in one piece.  The cut that breaks it is any within the request-line: TCP carries
bytes, and recv() gives as many as there are by now.
See it: python examples/steps/break.py 1
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


listener = socket.create_server(("127.0.0.1", PORT))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
while True:
    connection, _ = listener.accept()
    with connection:
        head = connection.recv(65536)
        connection.sendall(answer(head))
