"""Python 3.11's smtpd, whose lines are async_chat's, talking to smtplib; the library's folder is the argument."""

import asyncore
import importlib.util
import sys
import threading
import warnings
from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTP

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    spec = importlib.util.spec_from_file_location("smtpd", Path(sys.argv[1]) / "smtpd.py")
    smtpd = importlib.util.module_from_spec(spec)
    # It says at its import that it is to be removed, which a later Python takes for a mistake.
    warnings._deprecated = lambda *arguments, **more: None
    spec.loader.exec_module(smtpd)

assert asyncore.__name__ == "httpd.net.asyncore"
mails = []


class Server(smtpd.SMTPServer):
    def process_message(self, peer, mailfrom, rcpttos, data, **more):
        mails.append((mailfrom, rcpttos, data))


server = Server(("127.0.0.1", 0), None)
port = server.socket.getsockname()[1]
stop = threading.Event()


def serve():
    while not stop.is_set():
        asyncore.loop(timeout=0.05, count=1)


thread = threading.Thread(target=serve)
thread.start()
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Hello"
message.set_content("\n".join(f"line {n}" for n in range(5000)) + "\n.\n..dots\n")
try:
    for _ in range(3):
        with SMTP("127.0.0.1", port, timeout=10) as client:
            client.send_message(message)
finally:
    stop.set()
    thread.join(5)
assert len(mails) == 3, mails
for sender, recipients, data in mails:
    assert (sender, recipients) == ("a@example.org", ["b@example.org"])
    assert b"line 4999" in data
    assert b"\n.\n..dots" in data.replace(b"\r\n", b"\n")
asyncore.close_all()
sys.stdout.write("done\n")
