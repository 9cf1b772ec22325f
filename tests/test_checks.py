"""What was sent against what is asked for, field by field."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.inbox.checks import Checked, check
from httpd.inbox.declared import declare
from httpd.protocol.files import File, Files
from httpd.protocol.forms import Form

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
PDF = b"%PDF-1.7\n"


def checked(field: str, *values: str, files: tuple[File, ...] = ()) -> Checked:
    form = declare("/a", tomllib.loads(f"[fields]\nit = {{ {field} }}"))
    return check(form, Form(("it", value) for value in values), Files((file.name, file) for file in files))


def kept(field: str, *values: str) -> list[str]:
    """What is kept of good values."""
    result = checked(field, *values)
    assert result.errors == {}
    return [value for _, value in result.fields]


def told(field: str, *values: str, files: tuple[File, ...] = ()) -> str:
    """What is said of bad ones."""
    result = checked(field, *values, files=files)
    assert result.fields == result.files == []
    return result.errors["it"]


def sent(content: bytes = b"", media_type: str = "text/plain", filename: str = "a.txt") -> File:
    file = File("it", filename, media_type)
    file.write(content)
    file.complete()
    return file


# ---- text


def test_blanks_around_a_value_and_the_kind_of_line_end_are_not_kept() -> None:
    assert kept("", " a b\t") == ["a b"]
    assert kept("lines = 2", "\r\na\r\n b\rc\n\td\r\n") == ["a\n b\nc\n\td"]


def test_what_is_required_is_neither_missing_nor_blank() -> None:
    assert told("required = true") == told("required = true", " \n ") == "Please fill this in."
    assert kept("required = true", "x") == ["x"]
    assert kept("") == []
    assert kept("", "  ") == [""]


def test_lengths_are_counted_in_characters() -> None:
    assert kept("max = 3, min = 3", "üé😀") == ["üé😀"]
    assert told("max = 3", "abcd") == "At most 3 characters, please; these are 4."
    assert told("min = 3", "ab") == "At least 3 characters, please; these are 2."
    assert kept("min = 3", "") == [""], "what is optional may be left out"
    assert told("", "x" * 10_001).startswith("At most 10000 characters")


@pytest.mark.parametrize("control", ["\0", "\x07", "\x1b", "\x7f", "\x85", "\x9b"])
def test_controls_are_refused(control: str) -> None:
    for field in ("", "lines = 3"):
        assert told(field, f"a{control}b") == f"There is a character in it that cannot be seen (U+{ord(control):04X})."


def test_a_text_of_one_line_has_one() -> None:
    assert told("", "a\nb") == "One line only, please."
    assert told("", "a\tb") == "There is a character in it that cannot be seen (U+0009)."


def test_what_is_sent_twice_is_not_guessed_at() -> None:
    assert told("", "a", "b") == "This was sent more than once."


def test_a_message_of_the_owners_is_said_instead_of_ours() -> None:
    assert told('message = "Two words.", required = true') == "Two words."


@given(st.text())
def test_any_text_is_kept_whole_or_refused(text: str) -> None:
    result = checked("lines = 5, max = 1000000", text)
    if not result.errors:
        assert [value for _, value in result.fields] == [text.replace("\r\n", "\n").replace("\r", "\n").strip()]
        assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in result.fields[0][1])


# ---- addresses and numbers

GOOD_ADDRESSES = ["ann@example.org", "a.b+c@sub.example.org", "o'hara@example.co.uk", "x@münchen.example", "1@2.de"]
BAD_ADDRESSES = [
    "ann", "ann@", "@example.org", "ann@example", "ann@example.org.", "a nn@example.org", "ann@exa mple.org",
    "ann@@example.org", "ann@-example.org", "ann@example-.org", ".ann@example.org", "ann.@example.org",
    "ann@exam\u200bple.org", "a..b@example.org",
    "ann@example..org", "<ann@example.org>", "ann@example.org,bob@example.org",
    '"ann"@example.org', "ann@[192.0.2.1]", "mailto:ann@example.org", "ann@example.org\nBcc: bob@example.org",
    "a" * 65 + "@example.org",
    "ann@" + "e" * 64 + ".org", "ann@" + "example." * 40 + "org", "ann@exam_ple.org", "é@example.org",
]  # fmt: skip


@pytest.mark.parametrize("address", GOOD_ADDRESSES)
def test_an_address_is_kept(address: str) -> None:
    assert kept('type = "email"', f" {address} ") == [address]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_what_is_no_address_is_refused(address: str) -> None:
    assert told('type = "email"', address)


@given(st.emails(domains=st.from_regex(r"\A[a-z]{1,10}\.[a-z]{2,5}\Z")))
def test_addresses_as_the_rfcs_have_them_are_kept(address: str) -> None:
    if len(address.partition("@")[0]) <= 64:
        assert kept('type = "email"', address) == [address]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org", "http://example.org/", "HTTPS://Example.ORG:8080/a?b=c#d", "http://[::1]:80/x",
        "https://münchen.example/straße", "http://localhost/", "https://example.org?q", "https://example.org/%20(x)",
    ],
)  # fmt: skip
def test_a_web_address_is_kept(url: str) -> None:
    assert kept('type = "url"', url) == [url]


@pytest.mark.parametrize(
    "url",
    [
        "example.org", "javascript:alert(1)", "data:text/html,x", "ftp://example.org/", "https://", "https:///x",
        "https://user:secret@example.org/", "https://example.org/a b", "https://example.org/<x>", "//example.org/",
        "https://example.org\\@other.example/", "https://-a.org/", "http://example.org:port/", 'https://example.org/"',
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert told('type = "url"', url) == "This is not a web address, such as https://example.org/."


@pytest.mark.parametrize("number", ["0", "-1", "3.5", "007", ".5", "1e3", "2.5E-3", "9" * 30])
def test_a_number_is_kept_as_it_was_written(number: str) -> None:
    assert kept('type = "number"', number) == [number]


@pytest.mark.parametrize(
    "number", ["x", "1,5", "+1", "1 000", "0x10", "1.", "--1", "nan", "inf", "1e9999", "9" * 31, "٣", "1_0", "½"]
)
def test_what_is_no_number_is_refused(number: str) -> None:
    assert told('type = "number"', number) == "This is not a number, such as 12 or 3.5."


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_programs_write_them_are_kept(number: float) -> None:
    assert kept('type = "number"', repr(number).replace("e+", "e")) == [repr(number).replace("e+", "e")]


def test_a_number_has_bounds() -> None:
    bounds = 'type = "number", min = -1.5, max = 10'
    assert kept(bounds, "-1.50") == ["-1.50"]
    assert kept(bounds, "1e1") == ["1e1"]
    assert told(bounds, "-1.51") == "At least -1.5, please."
    assert told(bounds, "10.000000000000000001") == "At most 10, please."


# ---- choices


def test_a_choice_is_one_of_them() -> None:
    choice = 'type = "choice", choices = ["red", "green"]'
    assert kept(choice, "green") == ["green"]
    assert told(choice, "blue") == told(choice, "Red") == "This is not one of the choices."
    assert told(choice + ", required = true") == "Please choose."
    assert told(choice, "red", "green") == "This was sent more than once."


def test_of_several_choices_there_may_be_so_many() -> None:
    several = 'type = "choice", choices = ["a", "b", "c"], multiple = true, min = 2, max = 2'
    assert kept(several, "a", "c") == ["a", "c"]
    assert kept(several) == []
    assert told(several, "a") == "At least 2 choices, please."
    assert told(several, "a", "b", "c") == "At most 2 choices, please."
    assert told(several, "a", "x") == "This is not one of the choices."


# ---- files


def test_a_file_that_fits_is_handed_on_untouched() -> None:
    file = sent(PNG, "image/png", "a.png")
    result = checked('type = "file", accept = ["image/*", "application/pdf"], required = true', files=(file,))
    assert result == ([], [("it", file)], {})
    assert file.file.read() == PNG


def test_a_file_is_of_an_accepted_type_and_of_the_type_that_it_says() -> None:
    picture = 'type = "file", accept = ["image/png", "text/plain", "application/pdf"]'
    assert told(picture, files=(sent(b"x", "text/html", "x.html"),)) == (
        "x.html is text/html; please choose image/png or text/plain or application/pdf."
    )
    assert told(picture, files=(sent(PDF, "image/png", "x.png"),)) == "x.png says that it is image/png, and is not."
    assert told(picture, files=(sent(b"MZ\0\0", "text/plain"),)) == "a.txt says that it is text/plain, and is not."
    assert told(picture, files=(sent(PNG, "application/pdf"),))
    for content, media_type in ((PDF, "application/pdf"), (b"", "text/plain"), ("ä".encode("utf-16"), "text/plain")):
        assert not checked(picture, files=(sent(content, media_type),)).errors


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("image/jpeg", b"\xff\xd8\xff\xe0"), ("image/gif", b"GIF89a"), ("image/webp", b"RIFF\n\0\0\0WEBPVP8 "),
        ("video/mp4", b"\0\0\0\x18ftypisom"), ("application/zip", b"PK\x03\x04"), ("application/gzip", b"\x1f\x8b\x08"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
        ("image/svg+xml", b"<svg/>"), ("application/x-unknown", b"\0\1"),
    ],
)  # fmt: skip
def test_files_are_known_by_their_first_bytes(media_type: str, content: bytes) -> None:
    field = f'type = "file", accept = ["{media_type}"]'
    assert not checked(field, files=(sent(content, media_type),)).errors
    if media_type != "application/x-unknown":
        assert told(field, files=(sent(b"\0" * 600, media_type),))


def test_a_file_has_a_size() -> None:
    small = 'type = "file", size = "1K"'
    assert not checked(small, files=(sent(bytes(1024)),)).errors
    assert told(small, files=(sent(bytes(1025), filename=""),)) == "At most 1 KB, please; The file has a little more."
    assert told(small, files=(sent(bytes(1_600_000)),)) == "At most 1 KB, please; a.txt has 1.5 MB."
    assert told('type = "file", size = 5', files=(sent(b"123456"),)) == "At most 5 bytes, please; a.txt has 6 bytes."


def test_how_many_files_there_may_be() -> None:
    assert told('type = "file"', files=(sent(), sent())) == "At most 1 file, please."
    several = 'type = "file", multiple = true, min = 2, max = 3'
    assert told(several, files=(sent(),)) == "At least 2 files, please."
    assert told(several, files=(sent(),) * 4) == "At most 3 files, please."
    assert len(checked(several, files=(sent(), sent())).files) == 2
    assert told('type = "file", required = true') == "Please choose a file."


def test_text_is_no_file_and_a_file_no_text() -> None:
    assert told('type = "file"', "a.txt") == "This takes a file, and not a text."
    assert not checked('type = "file"', "").errors, "so a browser without parts names a file that nobody chose"
    assert told("", files=(sent(),)) == "This is no place for a file."


# ---- the form


def test_a_field_that_nobody_declared_is_refused_and_what_our_page_sends_is_not() -> None:
    form = declare("/a", {"fields": {"it": {}}, "honeypot": "trap"})
    strange = check(form, Form([("it", "x"), ("mail", "y")]), Files())
    assert strange.errors == {"": "This form has no field 'mail'."}
    ours = check(form, Form([("_token", "x"), ("_charset_", "UTF-8"), ("trap", ""), ("it", "y")]), Files())
    assert ours == ([("it", "y")], [], {})


def test_values_are_kept_in_the_order_of_the_declaration() -> None:
    form = declare("/a", {"fields": {"a": {}, "b": {}}})
    assert check(form, Form([("b", "2"), ("a", "1")]), Files()).fields == [("a", "1"), ("b", "2")]
