"""Live reload: what a browser shows follows the files.  The server runs without this room."""
