"""Run an old program on a new Python: `stand_in.py PROGRAM [ARGUMENT …]`.  Two lines are all that it takes."""

import runpy
import sys

from httpd.net import asynchat, asyncore

sys.modules["asyncore"], sys.modules["asynchat"] = asyncore, asynchat

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
