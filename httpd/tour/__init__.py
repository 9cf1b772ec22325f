"""The tour: a small site that shows the server at work, each page with what made it.  The server runs without it."""
