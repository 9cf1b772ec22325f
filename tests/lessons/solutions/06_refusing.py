import re

from judge import ask

from httpd import Refusal


def field_line(line: bytes) -> tuple[str, str] | Refusal:
    """The (name, value) of a field line, which has no CRLF any more; or the Refusal that it deserves.

    Refusal(status, reason, rule, start, length): the reason is one sentence for a person, the rule a section as in
    "RFC 9112 §5", and start and length say which bytes of the line are at fault.
    """
    name, colon, value = line.decode("latin-1").partition(":")
    good = len(re.match(r"[!#-'*+.^_`|~0-9A-Za-z-]*", name)[0])
    bad = re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
    if not colon:
        return Refusal(400, "There is no colon.", "RFC 9112 §5", 0, len(line))
    if not name:
        return Refusal(400, "There is no name.", "RFC 9112 §5", 0, 1)
    if good < len(name) and not name[good:].strip(" \t"):
        return Refusal(400, "There are blanks before the colon.", "RFC 9112 §5.1", good, len(name) - good)
    if good < len(name):
        return Refusal(400, "No name has such a byte.", "RFC 9110 §5.1", good, 1)
    if bad:
        return Refusal(400, "No value has such a byte.", "RFC 9110 §5.5", len(name) + 1 + bad.start(), 1)
    return name, value.strip(" \t")


if __name__ == "__main__":
    ask(__file__)
