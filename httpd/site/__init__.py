"""A Request becomes a Response.  Knows no socket."""
