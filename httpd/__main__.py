"""The command `httpd`, and `python -m httpd`."""

import gc
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command; the exit status.  Raises SystemExit."""
    # Nothing that is imported goes again: to look for it meanwhile takes time.
    gc.disable()
    from .cli import main as command

    gc.enable()
    return command()


if __name__ == "__main__":
    sys.exit(main())
