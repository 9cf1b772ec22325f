"""Step 6: all of that, with what was still missing: limits, patience, and a reason for each refusal.

python examples/steps/6_httpd.py [FOLDER [PORT]]

Five lines, and nothing that broke the steps before breaks them.
See it: python examples/steps/break.py 6
"""

import sys

from httpd import Server, StaticFiles

FOLDER = sys.argv[1] if len(sys.argv) > 1 else sys.path[0] + "/../site"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
Server(StaticFiles(FOLDER), port=PORT).run()
