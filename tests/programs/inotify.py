"""pyinotify: its AsyncNotifier is a file_dispatcher on inotify's descriptor, read when the loop says so."""

import asyncore
import sys
import tempfile
from pathlib import Path

import pyinotify

assert asyncore.__name__ == "httpd.net.asyncore"
seen = []


class Events(pyinotify.ProcessEvent):
    def process_IN_CREATE(self, event):  # noqa: N802
        seen.append(("created", event.name))

    def process_IN_DELETE(self, event):  # noqa: N802
        seen.append(("deleted", event.name))


with tempfile.TemporaryDirectory() as folder:
    watches = pyinotify.WatchManager()
    notifier = pyinotify.AsyncNotifier(watches, Events())
    watches.add_watch(folder, pyinotify.IN_CREATE | pyinotify.IN_DELETE)
    (Path(folder) / "first").write_text("x")
    asyncore.loop(timeout=1, count=2)
    assert seen == [("created", "first")], seen
    (Path(folder) / "first").unlink()
    (Path(folder) / "second").write_text("x")
    asyncore.loop(timeout=1, use_poll=True, count=2)
    assert seen[1:] == [("deleted", "first"), ("created", "second")], seen
    notifier.stop()
sys.stdout.write("done\n")
