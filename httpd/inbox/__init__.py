"""Forms: what is sent to them is checked, kept durably, and then acknowledged."""
