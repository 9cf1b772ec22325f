"""Several processes as one server: a parent that holds the listening sockets, and workers that it replaces."""
