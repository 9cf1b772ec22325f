"""6. Refusing, with the rule

A server that takes a broken request for what it may have meant will one day disagree with a proxy before it, and
somebody uses that.  So it refuses, and says why: a status, a reason, the rule that was broken, and which bytes broke
it.

▸ 06_refusing.ndjson #3: "Host " has come, with a blank at its end; half a line is not judged
▸ 06_refusing.ndjson #9: the line is complete, and refused: the blank before the colon is byte 44
▸ 06_refusing.ndjson #16: the answer is sent; what still comes is read and thrown away, or the client might lose it

The span of a refusal is counted in the stream, so it does not depend on where the bytes were cut.

A field line is refused with status 400.  If it breaks several of these rules, the first of them counts:

    what is wrong                                             rule            the bytes at fault
    there is no colon                                         RFC 9112 §5     the whole line
    there is no name before the colon                         RFC 9112 §5     the colon
    between a good name and the colon stand spaces or tabs    RFC 9112 §5.1   those
    the name has a byte that no name may have                 RFC 9110 §5.1   the first such byte
    the value has a control character                         RFC 9110 §5.5   the first such byte

A name is made of the letters A to Z and a to z, digits, and the signs !#$%&'*+-.^_`|~ only.  Its end is the first
colon.  The value is what follows, without the spaces and tabs around it.  Control characters are the bytes 0 to 31
but for the tab, and 127.

Exercise: field_line(line) takes everything.  Let it refuse as the server does; the judge asks the server.
"""

from judge import ask

from httpd import Refusal


def field_line(line: bytes) -> tuple[str, str] | Refusal:
    """The (name, value) of a field line, which has no CRLF any more; or the Refusal that it deserves.

    Refusal(status, reason, rule, start, length): the reason is one sentence for a person, the rule a section as in
    "RFC 9112 §5", and start and length say which bytes of the line are at fault.
    """
    name, _, value = line.partition(b":")
    return name.decode("latin-1"), value.strip().decode("latin-1")


if __name__ == "__main__":
    ask(__file__)
