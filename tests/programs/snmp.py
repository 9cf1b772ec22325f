"""pysnmp 4: datagram transports in a socket map that its own dispatcher keeps, with add_channel overridden."""

import asyncore
import sys

from pysnmp.carrier.asyncore.dgram import udp
from pysnmp.carrier.asyncore.dispatch import AsyncoreDispatcher

assert asyncore.__name__ == "httpd.net.asyncore"
DOMAIN = udp.domainName
heard = []


def answer(dispatcher, domain, address, message):
    heard.append(message)
    dispatcher.sendMessage(message.upper(), domain, address)


def receive(dispatcher, domain, address, message):
    heard.append(message)
    dispatcher.jobFinished(1)


agent, manager = AsyncoreDispatcher(), AsyncoreDispatcher()
# Both live in one map, as in a program with several engines.
manager.setSocketMap(agent.getSocketMap())
agent.registerRecvCbFun(answer)
agent.registerTransport(DOMAIN, udp.UdpSocketTransport().openServerMode(("127.0.0.1", 0)))
port = agent.getTransport(DOMAIN).socket.getsockname()[1]
manager.registerRecvCbFun(receive)
manager.registerTransport(DOMAIN, udp.UdpSocketTransport().openClientMode())
manager.sendMessage(b"get", DOMAIN, ("127.0.0.1", port))
manager.jobStarted(1)
manager.runDispatcher()
assert heard == [b"get", b"GET"], heard
agent.closeDispatcher()
manager.closeDispatcher()
assert asyncore.socket_map == {}, asyncore.socket_map
sys.stdout.write("done\n")
