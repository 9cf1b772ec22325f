"""Durable storage: what it says is stored outlives the program, the machine's fall and a full disk."""
