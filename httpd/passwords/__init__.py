"""Paths that need a password: who is in an htpasswd file, and how often somebody may guess."""
