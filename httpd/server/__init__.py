"""Puts net, protocol and site together."""
