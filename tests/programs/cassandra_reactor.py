"""The Cassandra driver's reactor: a loop in a thread of its own, on a map of its own, woken by a pipe in that map."""

import asyncore
import logging
import socket
import sys
import threading
import time

from cassandra.io import asyncorereactor
from cassandra.io.asyncorereactor import AsyncoreConnection

assert asyncore.__name__ == "httpd.net.asyncore"
logging.basicConfig(level=logging.ERROR)


class Plain(asyncore.dispatcher):
    """A connection in the reactor's map that is made by the main thread, as the driver makes its own."""

    def __init__(self, sock):
        asyncore.dispatcher.__init__(self, map=asyncorereactor._dispatcher_map)
        self.got = threading.Event()
        self.set_socket(sock)

    def writable(self):
        return False

    def handle_read(self):
        if self.recv(100):
            self.got.set()


AsyncoreConnection.initialize_reactor()
reactor = asyncorereactor._global_loop
# It falls back to a busy loop where it finds that the pipe does not wake it.
assert isinstance(reactor._loop_dispatcher, asyncorereactor._AsyncorePipeDispatcher), reactor._loop_dispatcher
reactor.timer_resolution = 5
reactor.maybe_start()
fired = []
began = time.monotonic()
done = threading.Event()
AsyncoreConnection.create_timer(0.05, lambda: (fired.append(time.monotonic() - began), done.set()))
reactor.timer_resolution = 0.1
reactor.wake_loop()
assert done.wait(3), "the timer did not fire"
ours, theirs = socket.socketpair()
channel = Plain(ours)
reactor.wake_loop()
theirs.sendall(b"rows")
assert channel.got.wait(3), "a channel made in another thread was not heard"
theirs.close()
reactor._cleanup()
sys.stdout.write("done\n")
