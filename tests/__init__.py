"""The tests: `test_<module>.py` beside the cross-cutting ones; `python -m pytest` from the top level runs them."""
