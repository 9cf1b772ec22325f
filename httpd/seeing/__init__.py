"""Seeing what goes on: other forms of the access log, a health path, metrics and the status page.

The server runs without it.
"""
