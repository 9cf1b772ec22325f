"""`python -m httpd` is the command `httpd`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
