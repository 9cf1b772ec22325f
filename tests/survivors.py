"""What mutmut changes in `httpd/protocol/head.py` and no test can notice, each with its reason.

    pip install '.[mutation]' && mutmut run

Of 390 changes 375 are noticed; the other 15 are these, some of them at several places.  Whatever else it reports as
survived is a test that is missing.
"""

from __future__ import annotations

__all__ = ["SURVIVORS"]

# (what stands there, what mutmut makes of it, why no verdict differs)
SURVIVORS = [
    ("memory_count: int = 1024", "memory_count: int = 1025", "a generation has half of it, rounded down"),
    ('.decode("latin-1")', '.decode("LATIN-1")', "the name of a codec has no case"),
    ('.decode("utf-8", ', '.decode("UTF-8", ', "the same"),
    ("finished=False)", "finished=None)", "both are false"),
    ("heads.young.get(head)", "heads.young.get(None)", "what is young is found by the call that this saves"),
    (", empty_lines, memory)", ", empty_lines, None)", "what is not remembered is read again, and says the same"),
    (", EMPTY_LINES, memory)", ", EMPTY_LINES, None)", "the same"),
    (", EMPTY_LINES, memory)", ", EMPTY_LINES, )", "the same"),
    ('"content-length" not in', '"CONTENT-LENGTH" not in', "the name of a field has no case either"),
    ('if "%" in path else path', 'if ("%" in path) or True else path', "without escapes nothing is decoded"),
    ('.strip(" \\t")', ".strip(None)", "the pattern before lets no other blank through"),
]
