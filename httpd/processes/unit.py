"""systemd's units for a server: a service that may do next to nothing, and the sockets that it is handed.

The sockets are systemd's, so a restart refuses nobody: whoever connects meanwhile waits.  The service needs no right to
bind a port, so it has none at all: no capability, no device, no other process to see, nothing of the file system to
write but its own folders.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

__all__ = ["Service", "Sockets", "quoted", "service_unit", "socket_unit"]

_LOCKED = """\
# What it may do: read, answer, and write its own folders.
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""


class Service(NamedTuple):
    """What a service unit says: the command's words, the folder it runs in, who it is ("": a user made for it), the
    files that root reads for it by name, variables that are for nobody else to read, the folders that it writes besides
    its own, and the time it takes to end.
    """

    name: str
    command: Sequence[str]
    folder: str
    user: str
    credentials: Mapping[str, str]
    secrets: Sequence[str]
    writes: Sequence[str]
    sees_home: bool
    stop_time: float


class Sockets(NamedTuple):
    """What a socket unit says: (family, address, port) of each, and the path of a unix socket, its rights and owner."""

    name: str
    addresses: Sequence[tuple[int, str, int]]
    unix: str
    unix_mode: int
    user: str


def service_unit(service: Service) -> str:
    """The text of NAME.service."""
    return "\n".join(_service_lines(service)) + "\n"


def _service_lines(service: Service) -> Iterator[str]:
    name = service.name
    yield f"# /etc/systemd/system/{name}.service; {name}.socket belongs to it"
    yield from ("[Unit]", "Description=asynchat-httpd", f"Requires={name}.socket", "After=network.target", "")
    yield from ("[Service]", "Type=notify", f"ExecStart={' '.join(map(quoted, service.command))}")
    yield from ("ExecReload=/bin/kill -HUP $MAINPID", "KillMode=mixed", "Restart=on-failure", "RestartSec=1")
    yield from ("WatchdogSec=30", "TimeoutStartSec=150", f"TimeoutStopSec={service.stop_time:g}")
    yield f"WorkingDirectory={_escaped(service.folder)}"
    yield from _who(service.user)
    yield from (f"StateDirectory={name}", f"CacheDirectory={name}", f"Environment=XDG_CACHE_HOME=%C/{name}")
    secrets = ", ".join(service.secrets) or "none yet"
    yield f"# Secrets are lines of this file, for root alone to read (0600): {secrets}."
    yield f"EnvironmentFile=-/etc/{name}.env"
    if service.credentials:
        yield "# Keys are copied at the start, and not at a reload: whoever renews one is to say"
        yield f"# systemctl restart {name} (certbot: --deploy-hook); nobody is refused meanwhile."
    yield from (f"LoadCredential={key}:{_escaped(path)}" for key, path in service.credentials.items())
    yield from (f"ReadWritePaths={_escaped(path)}" for path in service.writes)
    yield from ("", f"ProtectHome={'read-only' if service.sees_home else 'yes'}", _LOCKED)
    yield from ("[Install]", "WantedBy=multi-user.target", f"Also={name}.socket")


def _who(user: str) -> Iterable[str]:
    """The lines that say who it is: NAME, NAME:GROUP, or "" for a user made for it."""
    if not user:
        return ["DynamicUser=yes"]
    name, _, group = user.partition(":")
    return [f"User={name}", *([f"Group={group}"] if group else [])]


def socket_unit(sockets: Sockets) -> str:
    """The text of NAME.socket."""
    return "\n".join(_socket_lines(sockets)) + "\n"


def _socket_lines(sockets: Sockets) -> Iterator[str]:
    yield f"# /etc/systemd/system/{sockets.name}.socket"
    yield from ("[Unit]", "Description=asynchat-httpd's addresses", "", "[Socket]")
    for family, address, port in sockets.addresses:
        yield f"ListenStream={f'[{address}]' if family == socket.AF_INET6 else address}:{port}"
    if sockets.addresses:
        families = {family for family, _, _ in sockets.addresses}
        # "::" is every address, unless one of IPv4 is named beside it.
        yield f"BindIPv6Only={'ipv6-only' if socket.AF_INET in families else 'both'}"
        yield "NoDelay=yes"
    if sockets.unix:
        yield from (f"ListenStream={_escaped(sockets.unix)}", f"SocketMode={sockets.unix_mode:04o}")
        name, _, group = sockets.user.partition(":")
        yield from ([f"SocketUser={name}"] if name else []) + ([f"SocketGroup={group}"] if group else [])
    yield from ("Backlog=1024", "", "[Install]", "WantedBy=sockets.target")


def quoted(word: str) -> str:
    """A word of a command line as systemd reads it (systemd.service(5), COMMAND LINES); "%d/" stays its specifier."""
    credential = word.partition("%d/")
    text = f"{_doubled(credential[0])}%d/{_doubled(credential[2])}" if credential[1] else _doubled(word)
    plain = text and not set(text) & set(" \t\"'\\;")
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _doubled(text: str) -> str:
    return text.replace("%", "%%").replace("$", "$$")


def _escaped(path: str) -> str:
    return path.replace("%", "%%")
