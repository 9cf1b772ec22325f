"""The lessons' solutions, and what records their traces."""
