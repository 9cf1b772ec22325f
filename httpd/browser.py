"""Opening the person's browser."""

from __future__ import annotations

import sys
import threading

__all__ = ["open_browser"]


def open_browser(url: str) -> None:
    """Show a page in the browser that the person prefers; where there is none, say so on standard error.

    Comes back at once: a thread looks for the browser and waits for it, as one in the terminal may run for long.
    """
    threading.Thread(target=_open, args=(url,), name="browser", daemon=True).start()


def _open(url: str) -> None:
    # What it finds out on import takes its time.
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        # In one piece, as it comes from a thread.
        sys.stderr.write(f"httpd: there is no browser to open here; visit {url}\n")
