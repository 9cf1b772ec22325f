"""What the kernel knows about a server's process, and the ways in which a client can hang up on it."""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path

from .tools import missing

__all__ = [
    "descriptors", "listening_ports", "needs_proc", "processor_time", "read_or_reset", "reset", "resident", "until",
]  # fmt: skip

_TICK = os.sysconf("SC_CLK_TCK")


def needs_proc() -> None:
    """End the test where the kernel does not tell of its processes."""
    if not Path("/proc/self/fd").is_dir():
        missing("/proc")


def descriptors(pid: int, among: str = "") -> list[str]:
    """What the process has open, as far as `among` is part of the name."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            # Closed in the meantime.
            continue
    return sorted(name for name in found if among in name)


def listening_ports(pid: int) -> set[int]:
    """The TCP ports at which it waits for connections."""
    held = descriptors(pid, "socket:")
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


def processor_time(pid: int) -> float:
    """Seconds of processor that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def resident(pid: int, line: str = "VmRSS") -> int:
    """Bytes of it in memory; VmHWM: at the most until now."""
    found = re.search(rf"{line}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return 1024 * int(found[1])


def until(true: Callable[[], bool], patience: float = 10) -> bool:
    """Whether it becomes true before the patience ends."""
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def reset(sock: socket.socket) -> None:
    """Close with a reset instead of an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_or_reset(sock: socket.socket) -> tuple[bytes, bool]:
    """What comes until the peer ends, and whether it ended with a reset (over TLS: without a word)."""
    pieces = []
    try:
        while piece := sock.recv(1 << 20):
            pieces.append(piece)
    except (ConnectionResetError, ssl.SSLEOFError):
        return b"".join(pieces), True
    return b"".join(pieces), False
