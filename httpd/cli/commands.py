"""The commands of their own, as `httpd check`: where each is, and a sentence of help.

A module has main(argv), and is imported when it is called.  A folder of such a name is ./NAME.
"""

from __future__ import annotations

__all__ = ["COMMANDS"]

COMMANDS: dict[str, tuple[str, str]] = {
    "tour": (".tour", "look around: a small site that shows what the server does, and how"),
    "check": (".check", "say all that is wrong with the settings; --print shows those in force"),
    "compress": ("..compress", "make the encoded forms of a folder's files: .zst, .br, .gz"),
    "forms": (".forms", "list, show, export, mark, delete what came in by forms"),
    "unit": (".unit", "print systemd's units for a server with these options"),
    "show": ("..trace.show", "show a connection that --trace=FOLDER has recorded"),
    "replay": ("..trace.again", "play such a recording to the server's own code again"),
    "trace": ("..trace.commands", "make one page of a recording, or show where two part"),
    "docs": (".docs", "serve the reference: what may be imported, and what it does"),
}
