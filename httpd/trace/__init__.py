"""Record what a connection's channel does, check it, play it again, show it.  The server runs without this room."""
