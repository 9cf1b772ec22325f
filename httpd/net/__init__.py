"""Sockets and time.  Knows no HTTP."""
