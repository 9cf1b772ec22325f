"""Forms as people declare them: what is understood, and what is said of what is not."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any

import pytest

from httpd.inbox.declared import Declaration, FormError, Rate, declare
from httpd.inbox.targets import Target


def declared(text: str) -> Declaration:
    [(path, table)] = tomllib.loads(text)["forms"].items()
    return declare(path, table)


def field(text: str) -> Any:
    return declared(f'[forms."/contact".fields]\nit = {{ {text} }}').fields[0]


def told(text: str) -> str:
    with pytest.raises(FormError) as why:
        declared(text)
    return str(why.value)


def told_of(text: str) -> str:
    with pytest.raises(FormError) as why:
        field(text)
    assert str(why.value).startswith('forms."/contact".fields.it')
    return str(why.value).removeprefix('forms."/contact".fields.it').removeprefix(".")


def test_a_path_alone_is_a_form_for_a_message() -> None:
    form = declare("/contact", {})
    assert [(each.name, each.kind, each.required) for each in form.fields] == [
        ("name", "text", True),
        ("email", "email", True),
        ("message", "text", True),
    ]
    assert (form.title, form.button, form.page, form.thanks) == ("Contact", "Send", "", "")
    assert form.rate == Rate(10, 600)
    assert form.honeypot == "_website"
    assert [each.autocomplete for each in form.fields] == ["name", "email", ""]
    assert form.fields[2].lines == 8


def test_all_that_can_be_said_of_a_form() -> None:
    form = declared("""
        [forms."/ask/us"]
        title = "Ask us"
        intro = "We answer."
        button = "Ask"
        thanks = "/thanks.html?from=ask"
        rate = "100/2d"
        fill-time = 2.5
        honeypot = "url2"
        origins = ["https://Other.example"]
        token = true
        webhook = "https://hooks.example/x"
        mail = "owner@example.org"
        [forms."/ask/us".fields]
        b = {}
        a = {}
    """)
    assert form.path == "/ask/us"
    assert (form.title, form.intro, form.button) == ("Ask us", "We answer.", "Ask")
    assert form.thanks == "/thanks.html?from=ask"
    assert form.rate == Rate(100, 2 * 86_400)
    assert (form.fill_time, form.honeypot, form.signed) == (2.5, "url2", True)
    assert form.origins == {"https://other.example"}
    assert form.targets == {
        "webhook": (Target("webhook", "https://hooks.example/x"),),
        "mail": (Target("mail", "owner@example.org"),),
    }
    assert [each.name for each in form.fields] == ["b", "a"], "the order is that of the declaration"


def test_all_that_can_be_said_of_a_field() -> None:
    it = field('label = "It", required = true, min = 3, max = 5, lines = 2, message = "No.", help = "Yes."')
    assert (it.kind, it.label, it.required, it.least, it.most, it.lines) == ("text", "It", True, 3, 5, 2)
    assert (it.message, it.help) == ("No.", "Yes.")
    number = field('type = "number", min = -1.5, max = 10')
    assert (number.least, number.most) == (Decimal("-1.5"), 10)
    choice = field('type = "choice", choices = ["a", "b"], multiple = true, max = 2')
    assert (choice.choices, choice.multiple, choice.most) == (("a", "b"), True, 2)
    file = field('type = "file", accept = ["image/*", "Application/PDF"], size = "2M", multiple = true')
    assert (file.accept, file.size, file.most) == (("image/*", "application/pdf"), 2 << 20, 10)
    assert field('autocomplete = "off"').autocomplete == "off"


def test_how_much_is_taken_follows_from_the_files() -> None:
    text = 'a = {type = "file", size = "2M"}\nb = {type = "file", size = 5, multiple = true, max = 3}'
    assert declared(f'[forms."/a".fields]\n{text}').size == (1 << 20) + (2 << 20) + 15


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requird = true", "requird: there is no such key; did you mean required?"),
        ("zzz = 1", "zzz: there is no such key; there are "),
        ('type = "mail"', "type: 'mail' is not one of them; did you mean email?"),
        ('type = "colour"', "type: 'colour' is not one of them; there are text, email, url, number, choice, file"),
        ('required = "yes"', "required: this is true or false, not 'yes'"),
        ("min = 0", "min: this is a whole number from 1 to "),
        ("min = true", "min: this is a whole number from 1 to "),
        ("min = 5, max = 4", "min: 5 is more than 4, which is the most"),
        ('type = "number", min = "1"', "min: this is a number, not '1'"),
        ('type = "number", min = nan', "min: this is a number, not nan"),
        ('type = "choice"', "choices: a choice needs what to choose from"),
        ('type = "choice", choices = []', "choices: this is a list of texts, not []"),
        ('type = "choice", choices = ["a", "a"]', "choices: the same stands there twice"),
        ('type = "choice", choices = [""]', "choices: this is a text, not ''"),
        ('choices = ["a"]', "choices: there is no such key"),
        ('type = "file", accept = [".pdf"]', "accept: '.pdf' is not a media type"),
        ('type = "file", size = "10 MB"', 'size: this is a size, such as "10M"'),
        ('type = "file", min = 2', "min: there is no such key"),
        ("label = 1", "label: this is a text, not 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_field_is_said_with_its_key(text: str, says: str) -> None:
    assert told_of(text).startswith(says)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('thank = "/"', "thank: there is no such key; did you mean thanks?"),
        ('thanks = "https://elsewhere.example/"', "thanks: this is a path of the same site"),
        ('thanks = "//elsewhere.example/"', "thanks: this is a path of the same site"),
        (r"thanks = '/\elsewhere.example/'", "thanks: this is a path of the same site"),
        (r'thanks = "/a\nb"', "thanks: this is a path of the same site"),
        ('rate = "often"', 'rate: this is a rate, such as "10/10m"'),
        ("rate = 10", 'rate: this is a rate, such as "10/10m"'),
        ("fill-time = -1", "fill-time: this is a number of seconds"),
        ("fill-time = 9999", "fill-time: this is a number of seconds"),
        ('honeypot = "name"', "honeypot: name is a field of the form; name another"),
        ('honeypot = "_token"', "honeypot: this is a name that no field has"),
        ('origins = ["*"]', "origins: with * every site would be one's own"),
        ('origins = ["example.org"]', "origins: 'example.org' is not an origin"),
        ('page = "/contact.html"\ntoken = true', "token: nothing of ours is in /contact.html"),
        ('page = "/contact.html"\nfill-time = 1', "fill-time: nothing of ours is in /contact.html"),
        ("fields = {}", "fields: a form has at least one field"),
        ("fields = []", "fields: this is a table, not []"),
        ("fields.name = 5", "fields.name: this is a table, not 5"),
        ('fields."a b" = {}', 'fields."a b": the name of a field has no blanks'),
        ("fields._x = {}", "fields._x: the name of a field"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_form_is_said_with_its_key(line: str, says: str) -> None:
    assert told(f'[forms."/contact"]\n{line}').startswith(f'forms."/contact".{says}')


@pytest.mark.parametrize("path", ["contact", "/", "", "/a/", "/a b", "//a", "/a/../b", "/./a", "/{name}", "/a?b", "/é"])
def test_a_form_has_a_plain_path(path: str) -> None:
    with pytest.raises(FormError, match="the path of a form"):
        declare(path, {})


def test_no_rate_and_no_honeypot_are_said_by_false() -> None:
    form = declared('[forms."/a"]\nrate = false\nhoneypot = false')
    assert form.rate is None
    assert form.honeypot == ""


def test_a_form_is_a_table() -> None:
    with pytest.raises(FormError, match=r'^forms."/a": this is a table, not 5$'):
        declare("/a", 5)  # type: ignore[arg-type]
