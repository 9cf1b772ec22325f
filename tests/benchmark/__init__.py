"""The benchmark: this server beside others, on this machine.  `python -m tests.benchmark --help`.

Its rules: every server does the same work, access log included; the servers take turns within each round, so that what
else the machine does falls on all alike; what is compared is the ratio within a round.  The figure that counts is the
server's own processor time for a request; requests a second also measure the load's side.
"""
