"""The server: listeners, limits on connections, start, drain, stop."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..net import asyncore
from ..net.addresses import WILDCARDS, client_of, in_url, unbracketed
from ..net.channel_map import ChannelMap
from ..net.hello import INTERNAL_ERROR, fatal_alert
from ..net.interest import interests_of
from ..net.listening import listen_at, listen_at_path
from ..net.report import tell
from ..net.wake import Worker, call
from .handler import State, http_request_handler
from .limits import Limits
from .listener import Listener, Spare
from .log import AccessLog, Log
from .rounds import InRounds
from .service import BUSY, Service, Site

if TYPE_CHECKING:
    import ssl

    from .proxies import Proxies

__all__ = ["Server"]

# How many that were turned away may linger at once: the next ones just close.
_MOST_TURNED_AWAY = 64
# Descriptors that are not connections: listeners, epoll, logs, the files being sent.
_OTHER_DESCRIPTORS = 512


class Server:
    """Serves a site: any callable that takes a Request and returns a Response.

    `bind` is the address to listen at, or several ("" for every one there is), `port` 0 for any free one.  `unix` is
    the path of a unix socket to listen at, too, with the rights `unix_mode`.  `tls` has TLS spoken at the addresses:
    it is a context, or a call that gives the one for the next connection.  At a unix socket TLS is not spoken, as who
    comes there is on this machine.  `passing` is a port of the same addresses where TLS is never spoken, and the site
    that sends who comes there elsewhere.  `proxies` are those that are believed, each as `listed_proxy` gives it (see
    `proxies`).  `sessions` is handed to every handler; one that is given holds a session for each client (see
    `HeldSessions`).
    `access_log` is a path, "-" for standard output, or "off", and `log_class` writes its lines.  `handler_class` makes
    the channels; another one may be set at any time, for the connections that come then.  `headers` are field lines of
    every answer, in the place of those that the site gives the same names.
    """

    def __init__(
        self,
        site: Site,
        bind: str | Iterable[str] = "127.0.0.1",
        port: int = 8000,
        *,
        unix: str = "",
        unix_mode: int = 0o660,
        tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None,
        passing: tuple[int, Site] | None = None,
        proxies: Iterable[tuple[str, str]] = (),
        limits: Limits | None = None,
        access_log: str = "-",
        log_class: type[AccessLog] = AccessLog,
        sessions: MutableMapping[str, Any] | None = None,
        handler_class: type[http_request_handler] = http_request_handler,
        server_name: str = "httpd",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.bind = (bind,) if isinstance(bind, str) else tuple(bind)
        if not self.bind and not unix:
            raise ValueError("a server without an address and without a unix socket")
        self.port = port
        self.unix = unix
        self.unix_mode = unix_mode
        self.tls = tls
        self.limits = limits or Limits()
        self.sessions = {} if sessions is None else sessions
        if sessions is not None:
            # What they take to be made and read is a good part of a small server's time to start.
            from ..site.held import HeldSessions

            site = HeldSessions(site, sessions)
        self.map = ChannelMap()
        self._interests = interests_of(self.map)
        self.timers = self._interests.timers
        self._worker = Worker(self.map)
        self._pool = Worker(self.map, threads=self.limits.threads, waiting=self.limits.waiting)
        self.service = Service(
            site,
            limits=self.limits,
            timers=self.timers,
            server_name=server_name,
            headers=headers,
            beside=self._worker.do,
            pool=self._pool.do,
            call=partial(call, map=self.map),
            rounds=InRounds(self._interests),
            streams=self.limits.threads // 2,
        )
        self.passing_port, self._passing = _passing(passing, self.service)
        self.proxies = _believed(proxies, self.service)
        self.log: Log = log_class(access_log, self.timers)
        self.handler_class = handler_class
        # What is open for the site's sake, and closed at the end.
        self.beside = contextlib.ExitStack()
        self._listeners: list[Listener] = []
        self._spare = Spare(self.timers)
        self._most_connections = self.limits.connections
        self._connections = 0
        self._turned_away = 0
        self.connections_refused = 0  # until now, as there were too many
        self._per_client: dict[str | bytes, int] = {}
        self._stopping = 0
        self._closed = False
        # A thread may say stop while the loop's thread closes; a signal comes in the loop's own.
        self._ending = threading.RLock()

    # ---- start

    def start(self, listening: Iterable[socket.socket] = ()) -> None:
        """Bind and listen; `port` is then the real one.  Or listen at these sockets, and nowhere else: they are the
        server's from then on, and other processes may have them, too.

        Raises OSError when an address or the path cannot be had, its `filename` the host, the path, or "port" and the
        number of that for passing; RuntimeError on a server that was closed.
        """
        if self._closed:
            raise RuntimeError("a closed server does not start again: make another")
        if self._listeners:
            return
        self._most_connections = min(self.limits.connections, _descriptor_room())
        given = list(listening)
        for sock in given or self._bound():
            sock.setblocking(False)
            self._listen(sock, shared=bool(given))
        self._spare.take()

    def _bound(self) -> list[socket.socket]:
        with contextlib.ExitStack() as undo:
            sockets = [undo.enter_context(sock) for sock in listen_at(self.bind, self.port)]
            if self._passing is not None:
                passing = [undo.enter_context(sock) for sock in self._bound_for_passing()]
                self.passing_port = passing[0].getsockname()[1]
                sockets += passing
            if self.unix:
                self._listen(*listen_at_path(self.unix, self.unix_mode))
            undo.pop_all()
        return sockets

    def _bound_for_passing(self) -> list[socket.socket]:
        try:
            return listen_at(self.bind, self.passing_port)
        except OSError as why:
            raise OSError(why.errno, why.strerror, f"port {self.passing_port}") from None

    def _listen(self, sock: socket.socket, on_close: Callable[[], None] | None = None, shared: bool = False) -> None:
        port = sock.getsockname()[1] if sock.family != socket.AF_UNIX else None
        passing = self._passing is not None and port == self.passing_port
        tls = self.tls is not None and port is not None and not passing
        if port is not None and not passing:
            self.port = port
        # Most have nothing to be said with each connection.
        welcome = partial(self.welcome, tls=tls, passing=passing) if tls or passing else self.welcome
        turn_away = partial(self.turn_away, tls=tls)
        if self.proxies is not None:
            welcome = partial(self.proxies.greet, welcome, self.limits.handshake_time, self.timers, self.map)
        self._listeners.append(
            Listener(sock, welcome, turn_away, self._spare, map=self.map, on_close=on_close, shared=shared)
        )

    def also_listen(self, sock: socket.socket, welcome: Callable[[socket.socket, Any], None]) -> None:
        """Accept connections at a socket that listens already, too, until the server stops; `welcome(sock, addr)` takes
        each.  `self.welcome` makes them the site's.
        """
        self._listeners.append(Listener(sock, welcome, socket.socket.close, self._spare, map=self.map))

    @property
    def url(self) -> str:
        """Where the server answers, as a person would type it; of several addresses the first."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Where the server answers, for each address that it was given; "unix:" and its path for a unix socket."""
        hosts = map(unbracketed, self.bind)
        scheme = "http" if self.tls is None else "https"
        urls = [f"{scheme}://{in_url(WILDCARDS.get(host, host))}:{self.port}/" for host in hosts]
        return [*urls, f"unix:{self.unix}"] if self.unix else urls

    @property
    def accept_failures(self) -> int:
        """How often no connection could be accepted, until now."""
        return self._spare.failures

    @property
    def pool_queue(self) -> int:
        """How many requests wait for a thread, or have one."""
        return self._pool.pieces

    def run(self) -> None:
        """Start, say where, and serve until SIGINT or SIGTERM: then answers under way are finished."""
        self.start()
        with self._signals():
            tell(f"serving at {self.greeting} (Ctrl-C stops)")
            self.serve()

    @property
    def greeting(self) -> str:
        """All of `urls`, for a person who starts the server."""
        all_addresses = not WILDCARDS.keys().isdisjoint(map(unbracketed, self.bind))
        places = " and ".join(self.urls + ["every address of this machine"] * all_addresses)
        return places if self._passing is None else f"{places}, and leading there from port {self.passing_port}"

    def serve(self) -> None:
        """Serve until `stop()` or `close()`."""
        try:
            asyncore.loop(map=self.map)
        finally:
            self.close()

    # ---- connections

    def welcome(
        self,
        sock: socket.socket,
        addr: Any,
        *,
        tls: bool = False,
        passing: bool = False,
        addition: type[http_request_handler] | None = None,
    ) -> None:
        """Make a channel of an accepted connection, or turn it away.  `passing` ones are led elsewhere; the steps of
        `addition` come behind those of `handler_class`.

        Connections to a unix socket are those of a program in front: they count together, but as nobody's.
        """
        client = "" if addition is not None and addition.speaks_for_others else _client(addr)
        before = self._per_client.get(client, 0)
        if self._connections >= self._most_connections or (client and before >= self.limits.connections_per_address):
            self._refuse(sock, addr, tls)
            return
        service = self._passing if passing else None
        channel = self._channel(sock, addr, self._farewell, tls, service, addition)
        self._connections += 1
        self._per_client[client] = before + 1
        channel.client = client
        # Its first request has often come along with it.
        asyncore.read(channel)

    def _channel(
        self,
        sock: Any,
        addr: Any,
        on_close: Callable[[http_request_handler], None],
        tls: bool = False,
        service: Service | None = None,
        addition: type[http_request_handler] | None = None,
    ) -> http_request_handler:
        sock.setblocking(False)
        make = self.handler_class
        if tls and self.tls is not None:
            from .secure import over_tls, tls_socket

            context = self.tls() if callable(self.tls) else self.tls
            sock, make = tls_socket(sock, context), over_tls(make)
        if addition is not None:
            from .mixing import mixed

            # What a proxy says of its client counts more than how it has come here itself.
            make = mixed(make, addition)
        return make(sock, addr, self.sessions, self.log, service or self.service, map=self.map, on_close=on_close)

    def _farewell(self, channel: http_request_handler) -> None:
        self._connections -= 1
        left = self._per_client[channel.client] - 1
        if left:
            self._per_client[channel.client] = left
        else:
            del self._per_client[channel.client]

    def _refuse(self, sock: socket.socket, addr: Any, tls: bool) -> None:
        """Answer 503, and linger so that it is seen; of too many at once the others are only answered."""
        self.connections_refused += 1
        if tls or self._turned_away >= _MOST_TURNED_AWAY:
            self.turn_away(sock, tls=tls)
        else:
            channel = self._channel(sock, addr, self._refused)
            self._turned_away += 1
            channel.turn_away()

    def _refused(self, channel: http_request_handler) -> None:
        self._turned_away -= 1

    def turn_away(self, sock: socket.socket, *, tls: bool = False) -> None:
        """Answer 503 and close, without reading, as well as one can without waiting.

        Over TLS there is an alert instead: before an answer comes the handshake, which is what costs most.
        """
        with contextlib.suppress(OSError):
            sock.setblocking(False)
            sock.send(fatal_alert(INTERNAL_ERROR) if tls else self._busy())
            sock.shutdown(socket.SHUT_WR)
            # What has come already must not turn the close into a reset.
            sock.recv(65_536)
        sock.close()

    def _busy(self) -> bytes:
        return self.service.opening(503, False) + self.service.busy.fields + BUSY

    # ---- stop

    def stop(self) -> None:
        """Stop: finish the answers under way, close idle connections; a second call closes everything at once.

        May be called from any thread and from a signal handler.
        """
        self._end(self._drain)

    def retire(self, replaced: bool = True) -> None:
        """Stop, in the midst of requests: an idle connection may still send one, which its client may have done before
        it could know.  `replaced` says whether others go on in this server's place.  A call of `stop()` closes
        everything at once.

        May be called from any thread and from a signal handler.
        """
        self._end(partial(self._drain, self.limits.reuse_time, replaced))

    def _end(self, drain: Callable[[], None]) -> None:
        with self._ending:
            if self._closed:
                return
            self._stopping += 1
            self._interests.call(drain if self._stopping == 1 else self._close_channels)
            self._interests.wake()

    def reopen_log(self) -> None:
        """Open the access log anew, after its file was moved away.

        May be called from any thread and from a signal handler.
        """
        with self._ending:
            if not self._closed:
                self._interests.call(self.log.reopen)
                self._interests.wake()

    def _drain(self, reuse_time: float = 0.0, replaced: bool = False) -> None:
        self.service.draining, self.service.replaced = True, replaced
        self.timers.call_later(self.limits.drain_time, self._close_channels)
        for listener in self._listeners:
            listener.leave()
        for channel in self._handlers():
            channel.make_way() if reuse_time else channel.finish()
        if reuse_time:
            self.timers.call_later(reuse_time, self._take_leave, reuse_time)
        elif self.proxies is not None:
            self.proxies.stop(self.map)

    def _take_leave(self, reuse_time: float) -> None:
        """Let those go that have had their time; whoever ends an answer or a handshake now has as much."""
        for channel in self._handlers():
            channel.take_leave(self.timers.now - reuse_time)
        self.timers.call_later(reuse_time / 4, self._take_leave, reuse_time)

    def _handlers(self) -> list[http_request_handler]:
        return [channel for channel in self.map.values() if isinstance(channel, http_request_handler)]

    def _close_channels(self) -> None:
        for channel in self._handlers():
            if channel.state is State.SEND_RESPONSE:
                # An answer that ends with its connection must not look whole.
                channel.cut()
        asyncore.close_all(self.map, ignore_all=True)

    def close(self) -> None:
        """Close every connection and listener, and write the log to its end."""
        with self._ending:
            if self._closed:
                return
            self._closed = True
        self._close_channels()
        self._worker.close()
        self._pool.close()
        self._spare.close()
        self.beside.close()
        self.log.close()
        self._interests.close()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop, SIGUSR1 and SIGHUP reopen the log; only the main thread may say so."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        meanings = {signal.SIGINT: self.stop, signal.SIGTERM: self.stop}
        if hasattr(signal, "SIGHUP"):
            meanings[signal.SIGUSR1] = self.reopen_log
            # Ignored, as nohup has it, it stays so; a terminal that is gone takes its programs along.
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                meanings[signal.SIGHUP] = self.stop if _on_terminal() else self.reopen_log
        before = {kind: signal.signal(kind, _without_arguments(meaning)) for kind, meaning in meanings.items()}
        self._interests.signals_wake(True)
        try:
            yield
        finally:
            self._interests.signals_wake(False)
            for kind, old in before.items():
                signal.signal(kind, old)


def _client(addr: Any) -> str | bytes:
    """Whose connection it counts as; "" for nobody's."""
    host: str = addr[0] if isinstance(addr, tuple) else ""
    # An IPv4 address counts as itself.
    return client_of(host) if ":" in host else host


def _passing(passing: tuple[int, Site] | None, service: Service) -> tuple[int, Service | None]:
    """The port that only leads elsewhere, and what its connections share."""
    return (0, None) if passing is None else (passing[0], service.for_passing(passing[1]))


def _believed(listed: Iterable[tuple[str, str]], service: Service) -> Proxies | None:
    """The proxies that are listed, if there are any; they may name requests, too."""
    listed = tuple(listed)
    if not listed:
        return None
    from .proxies import Proxies

    proxies = Proxies(listed)
    service.ids.believes = proxies.is_believed
    return proxies


def _without_arguments(call: Callable[[], None]) -> Callable[[int, Any], None]:
    """A call as a signal handler."""
    return lambda number, frame: call()


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _descriptor_room() -> int:
    """Raise the soft limit on descriptors to the hard one; how many connections fit."""
    try:
        import resource
    except ImportError:
        return 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(16, soft - _OTHER_DESCRIPTORS) if soft != resource.RLIM_INFINITY else sys.maxsize
