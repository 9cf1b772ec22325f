"""pyftpdlib: an FTP server, with an asyncore event loop of its own, served to ftplib: up, down, list, many at once."""

import asyncore
import io
import logging
import sys
import tempfile
import threading
from ftplib import FTP
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

assert asyncore.__name__ == "httpd.net.asyncore"
logging.disable(logging.CRITICAL)


class Slow(ThrottledDTPHandler):
    read_limit = 0
    write_limit = 400_000


def client(port, number, active):
    data = bytes(range(256)) * 2000 + str(number).encode()
    with FTP() as ftp:
        ftp.connect("127.0.0.1", port, timeout=20)
        ftp.login("user", "secret")
        ftp.storbinary(f"STOR up{number}", io.BytesIO(data))
        back = bytearray()
        ftp.retrbinary(f"RETR up{number}", back.extend)
        assert back == data
        assert f"up{number}" in ftp.nlst()
        lines = []
        ftp.retrlines("LIST", lines.append)
        assert any(line.endswith(f"up{number}") for line in lines)
        if active:
            ftp.set_pasv(False)
            back.clear()
            ftp.retrbinary(f"RETR up{number}", back.extend)
            assert back == data


def serve_and_ask(folder, dtp_handler, clients):
    authorizer = DummyAuthorizer()
    authorizer.add_user("user", "secret", folder, perm="elradfmwMT")

    class Handler(FTPHandler):
        pass

    Handler.authorizer = authorizer
    if dtp_handler is not None:
        Handler.dtp_handler = dtp_handler
    loop = IOLoop()
    server = FTPServer(("127.0.0.1", 0), Handler, ioloop=loop)
    stopping = threading.Event()

    def serve():
        while not stopping.is_set():
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    failed = []

    def one(number):
        try:
            # Active transfers all come from port 20, so there can be only one at a time.
            client(server.address[1], number, active=clients == 1)
        except BaseException as error:
            failed.append(repr(error))

    people = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for person in people:
        person.start()
    for person in people:
        person.join(30)
    stopping.set()
    thread.join(5)
    server.close_all()
    assert not failed, failed


with tempfile.TemporaryDirectory() as folder:
    serve_and_ask(folder, None, 4)
    assert len(list(Path(folder).iterdir())) == 4
    serve_and_ask(folder, Slow, 1)
sys.stdout.write("done\n")
