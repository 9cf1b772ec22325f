"""httpd.config: what a person sets, by the command line, the environment and httpd.toml, and what is wrong with it."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import cli
from httpd.config.arguments import Asked, read_arguments
from httpd.config.environment import SECRETS
from httpd.config.option import Wrong
from httpd.config.settings import OPTIONS, Settings
from httpd.config.shown import shown
from httpd.config.sources import Sources, read_sources

from .live import LiveServer
from .tools import TOP


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one to be served."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("the index")
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HTTPD_"):
            monkeypatch.delenv(name)
    return tmp_path


def read(*argv: str, toml: str = "", **environ: str) -> Sources:
    if toml:
        Path("httpd.toml").write_text(toml)
    return read_sources(argv, environ)


def wrong(*argv: str, toml: str = "", **environ: str) -> list[str]:
    return [str(one) for one in read(*argv, toml=toml, **environ).wrong]


# ---- who has the last word


def test_an_operators_page_has_a_port_or_a_path_in_a_file_too(here: Path) -> None:
    toml = 'dir = "public"\nauth = "/of=users"\nstatus = "/of/status"\nmetrics = 9000\n'
    sources = read(toml=toml)
    assert not sources.wrong
    assert (sources.settings.status, sources.settings.metrics) == ("/of/status", 9000)
    assert 'status = "/of/status"' in shown(sources.settings)


def test_each_source_goes_before_the_one_below(here: Path) -> None:
    toml = 'dir = "public"\nport = 1\n'
    assert Settings.port.default == "8000"
    assert read(toml=toml).settings.port == 1
    assert read(toml=toml, HTTPD_PORT="2").settings.port == 2
    assert read("--port", "3", toml=toml, HTTPD_PORT="2").settings.port == 3
    assert read("--config=", "--port", "3").settings.port == 3


def test_a_list_takes_the_place_of_a_weaker_one_and_limits_add_up(here: Path) -> None:
    toml = 'dir = "public"\nbind = ["::1", "127.0.0.1"]\nlimits = { head = "1K", body = 5 }\n'
    settings = read("--limit", "body=7", toml=toml, HTTPD_BIND="127.0.0.2 '127.0.0.3'").settings
    assert settings.bind == ("127.0.0.2", "127.0.0.3")
    assert settings.limit == ("head=1K", "body=5", "body=7")


def test_an_empty_variable_says_nothing(here: Path) -> None:
    assert not read(HTTPD_PORT="").settings.is_given(Settings.port)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("off", False), ("Yes", True), ("no", False)])
def test_a_switch_of_the_environment(here: Path, text: str, value: bool) -> None:
    assert read(HTTPD_GZIP=text).settings.gzip is value


def test_a_switch_is_switched_back(here: Path) -> None:
    assert read("--no-gzip", toml='dir = "public"\ngzip = true').settings.gzip is False
    assert read("--listing", toml='dir = "public"\nlisting = false').settings.listing is True


def test_where_a_setting_comes_from_is_known(here: Path) -> None:
    settings = read("--gzip", toml='dir = "public"\n[tls]\ncert = "x"\n', HTTPD_PORT="5").settings
    named = {option: settings.origin(option) for option in (Settings.gzip, Settings.port, Settings.tls_cert)}
    assert [origin and (origin.name, origin.place) for origin in named.values()] == [
        ("--gzip", ""),
        ("HTTPD_PORT", ""),
        ("tls.cert", "httpd.toml:3:1"),
    ]
    assert settings.origin(Settings.bind) is None


def test_every_option_has_all_its_names() -> None:
    for name, option in OPTIONS.items():
        assert option.flag == "--" + name.replace("_", "-")
        assert option.variable == "HTTPD_" + name.upper()
        assert option.key or option is Settings.config
        assert option.meaning
        option.unset()


def test_a_variable_that_is_probably_misspelt_is_told(here: Path) -> None:
    assert read(HTTPD_PROT="80", HTTPD_REAL_SITE="x", HTTPD_FORM_KEY="x").notes == [
        "HTTPD_PROT is no variable of ours; did you mean HTTPD_PORT?"
    ]


def test_words_whose_quotes_do_not_close(here: Path) -> None:
    with pytest.raises(Wrong, match="HTTPD_BIND: No closing quotation; values are words"):
        read(HTTPD_BIND="'a")


def test_every_variable_that_is_read_is_known() -> None:
    read_there = {
        name
        for path in (TOP / "httpd").rglob("*.py")
        for name in re.findall(r"\"(HTTPD_[A-Z_]+)\"", path.read_text(encoding="utf-8"))
    }
    assert read_there <= {*SECRETS, *(option.variable for option in OPTIONS.values())}


WORDS = st.one_of(
    st.sampled_from(
        ["--", "-", "-h", "--help", "--version", "--port", "--port=", "--gzip", "--no-gzip=", "--cors", "x"]
    ),
    st.sampled_from([flag for option in OPTIONS.values() for flag in option.flags]),
    st.text("-=a8 ", max_size=6),
)


@given(st.lists(WORDS, max_size=6))
def test_any_words_are_read_or_told_of(words: list[str]) -> None:
    """Each word counts for something, or a sentence says what is wrong with it."""
    try:
        written = read_arguments(words)
    except Asked as asked:
        assert asked.what in words
    except Wrong as why:
        assert why.status == 2
    else:
        assert len(written) <= len(words)
        assert all(isinstance(one.text, str) for one in written)


# ---- httpd.toml


@pytest.mark.programs
def test_the_example_is_right_with_all_that_is_commented_out(here: Path) -> None:
    example = (TOP / "examples" / "httpd.toml").read_text(encoding="utf-8")
    (here / "site" / "log").mkdir(parents=True)
    (here / "site" / "log" / "one.txt").write_text("of the log")
    (here / "httpd.toml").write_text(example)
    assert cli.main(["check"]) == 0
    with LiveServer(None, cwd=here, env={"PYTHONPATH": str(TOP)}) as live:
        asked = urllib.request.Request(live.url + "one.txt", headers={"Host": "log.localhost"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            assert (answer.read(), answer.headers["Referrer-Policy"]) == (b"of the log", "same-origin")
    (here / "all.toml").write_text(re.sub(r"^#(?=\w)", "", example, flags=re.MULTILINE))
    assert wrong("--config=all.toml") == []


def test_all_kinds_of_values(here: Path) -> None:
    settings = read(
        toml="""
dir = 'public'
unix = "run/site.sock"
unix-mode = "600"
console = true
symlinks = "none"
bind = "::1"
[headers]
X-Frame-Options = "DENY"
Link = ["<a>", "<b>"]
[hosts]
"www.example.org" = "www"
[auth]
"/secret" = "users"
[limits]
body = "10M"
idle-time = 2.5
"""
    ).settings
    assert (settings.unix, settings.unix_mode, settings.console) == ("run/site.sock", 0o600, -1)
    assert (settings.symlinks, settings.bind) == ("none", ("::1",))
    assert settings.header == (("X-Frame-Options", "DENY"), ("Link", "<a>"), ("Link", "<b>"))
    assert settings.host == (("www.example.org", "www"),)
    assert settings.auth == ("/secret=users",)
    assert settings.limit == ("body=10M", "idle-time=2.5")


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("prot = 80", "httpd.toml:1:1: there is no key prot; did you mean port?"),
        ("[tls]\n  certificate = 'x'", "httpd.toml:2:3: there is no key tls.certificate; did you mean tls.cert?"),
        ("tls-cert = 'x'", "httpd.toml:1:1: there is no key tls-cert here; it is tls.cert"),
        ("host = 'x'", "httpd.toml:1:1: there is no key host here; it is hosts"),
        ("[tls]\nport = 80", "httpd.toml:2:1: there is no key tls.port; port stands above the first [table]"),
        ("[nonsense.x]\ny = 1", "httpd.toml:1:2: there is no key nonsense; httpd --help all lists them"),
        ("config = 'x'", "httpd.toml:1:1: there is no key config; httpd --help all lists them"),
        ("tls = true", "httpd.toml:1:1: tls is a table: write [tls], and its keys below"),
        ("gzip = 'yes'", 'httpd.toml:1:1: gzip is true or false, not "yes"'),
        ("port = true", "httpd.toml:1:1: port is a number, not true"),
        ("port = 99999", "httpd.toml:1:1: port: '99999' is not a port: give a number from 0 to 65535"),
        ("unix-mode = 660", "httpd.toml:1:1: unix-mode is a text in quotes, not 660"),
        ("symlinks = 'some'", "httpd.toml:1:1: symlinks: 'some' is none of inside, none, all"),
        ("bind = ['a',\n 5]", "httpd.toml:2:2: bind[1] is a text in quotes, not 5"),
        ("[limits]\nbody = []\nheads = 5", "httpd.toml:3:1: limits.heads: there is no limit 'heads'; did you mean"),
        ("[limits]\nbody = {}", "httpd.toml:2:1: limits.body is a number or a text in quotes, not a table"),
        ("[headers]\n'X Y' = 'x'", "httpd.toml:2:1: headers.\"X Y\": 'X Y: x' is not a field line"),
        ("hosts = { 'a..b' = 'x' }", "httpd.toml:1:11: hosts.\"a..b\": 'a..b' is not a host"),
        ("unix-mode = '600'", "httpd.toml:1:1: unix-mode is for a unix socket; name that with --unix"),
        ("port = ", "httpd.toml:1:8: Invalid value"),
        ("[tls", "httpd.toml:1:5: Expected ']'"),
        ("forms = 5", 'httpd.toml:1:1: forms is a table: write [forms."/PATH"]'),
        ("[limits]\nport = 5", "httpd.toml:2:1: there is no key limits.port; port stands above the first [table]"),
        ("[headers]\ngzip = true", "httpd.toml:2:1: headers.gzip is a text in quotes, not true"),
        ("port = 1\nport = 2", "httpd.toml:2:9: Cannot overwrite a value"),
        ('a = "', "httpd.toml:1:6: Unterminated string"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(here: Path, toml: str, told: str) -> None:
    try:
        [said] = wrong("public", toml=toml)
    except Wrong as why:
        said = str(why)
    assert said.startswith(told)


def test_tables_are_handed_on_with_their_places(here: Path) -> None:
    toml = 'dir = "public"\n[forms."/a"]\nrate = "1/m"\n[forms."/a".fields]\n  name = {}\n'
    settings = read("--form", "/b", toml=toml).settings
    assert settings.form == (("/a", {"rate": "1/m", "fields": {"name": {}}}), ("/b", {}))
    assert settings.place(("forms", "/a", "fields", "name")) == "httpd.toml:5:3"
    assert settings.place(("forms", "/a", "title")) == "httpd.toml:2:8"
    assert settings.place(("nothing",)) == "httpd.toml:1:1"
    assert read("--form", "/b", "--config=").settings.place(("forms",)) == ""


def test_what_may_stand_alone_may_be_switched(here: Path) -> None:
    settings = read(toml='dir = "public"\ncors = true\ntrace = false\nconsole = true\n').settings
    assert (settings.cors, settings.trace, settings.console) == ("*", "", -1)


KEYS = [*filter(None, (option.key for option in OPTIONS.values())), "prot", "tls", '"a b"', "limits.body", "hosts.a"]
SIMPLE = st.one_of(
    st.booleans().map(lambda value: "true" if value else "false"),
    st.integers(-1, 100_000).map(str),
    st.floats().map(repr),
    st.sampled_from(["1979-05-27", "07:32:00", '""', "'x'", '"a=b"', "'10M'", "'none'", "'/a'", "'::1'", "'A: b'"]),
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda values: f"[{', '.join(values)}]"),
        st.dictionaries(st.sampled_from(["a", "body", "'x y'"]), inner, max_size=2).map(
            lambda values: f"{{{', '.join(f'{key} = {value}' for key, value in values.items())}}}"
        ),
    ),
    max_leaves=4,
)


@given(lines=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_whatever_stands_there_is_taken_or_told(
    tmp_path_factory: pytest.TempPathFactory, lines: dict[str, str]
) -> None:
    """With the line that it stands in, and nothing else happens."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    try:
        found = read_sources([f"--config={file}"], {})
    except Wrong as why:
        # A table that was written inline may not be added to.
        assert why.at
        assert why.at.place.startswith(f"{file}:")
        return
    for one in found.wrong:
        assert one.at
        assert 1 <= int(one.at.place.split(":")[1]) <= len(lines)
    shown(found.settings)


def test_all_that_is_wrong_is_found_from_top_to_bottom(here: Path) -> None:
    toml = "port = 'x'\nprot = 1\ngzip = 5\n[tls]\nkey = 'x'\n"
    places = [one.partition(": ")[0] for one in wrong("public", toml=toml, HTTPD_CORS="nobody")]
    assert places == ["httpd.toml:1:1", "httpd.toml:2:1", "httpd.toml:3:1", "httpd.toml:5:1", "HTTPD_CORS"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'port = 1\nx = "\xff"', "httpd.toml:2:6: it is not UTF-8 from here on"),
        (b"#" * 1_048_577, "httpd.toml: it is longer than a megabyte"),
        (b"x = " + b"[" * 5_000, "httpd.toml: it is nested too deep"),
    ],
)
def test_a_file_that_is_none(here: Path, content: bytes, told: str) -> None:
    (here / "httpd.toml").write_bytes(content)
    with pytest.raises(Wrong) as caught:
        read("public")
    assert str(caught.value).startswith(told)
    assert caught.value.status == 2


def test_a_file_as_some_editors_write_it(here: Path) -> None:
    (here / "httpd.toml").write_bytes(b"\xef\xbb\xbfport = 5\r\ngzip = true\r\nprot = 1\r\n")
    sources = read("public")
    assert (sources.settings.port, sources.settings.gzip) == (5, True)
    assert str(sources.wrong[0]).startswith("httpd.toml:3:1: ")


def test_paths_are_meant_from_the_file_s_folder(here: Path) -> None:
    (here / "etc").mkdir()
    (here / "etc" / "site.toml").write_text(
        'dir = "public"\naccess-log = "-"\nhosts = { b = "/b" }\nauth = "users"\n[tls]\ncert = "../cert.pem"\n'
    )
    settings = read("--config", "etc/site.toml").settings
    assert settings.dir == "etc/public"
    assert settings.access_log == "-"
    assert settings.host == (("b", "/b"),)
    assert settings.auth == ("etc/users",)
    assert settings.tls_cert == ("etc/../cert.pem",)
    (here / "etc" / "site.toml").write_text('inbox = "sqlite:inbox.db"')
    assert read("--config", "etc/site.toml").settings.inbox == "sqlite:etc/inbox.db"


# ---- where the file is looked for


@pytest.mark.programs
def test_the_file_here_is_read_unasked_and_said_so(here: Path) -> None:
    (here / "httpd.toml").write_text('dir = "public"\naccess-log = "off"\n')
    with LiveServer(None, cwd=here, env={"PYTHONPATH": str(TOP)}) as live:
        assert live.log.startswith("httpd: settings are read from httpd.toml\nhttpd: serving at ")


@pytest.mark.parametrize("served", [".", "..", "public/.."])
def test_in_a_folder_that_is_served_it_is_not_read(here: Path, served: str) -> None:
    sources = read(served, toml="port = 5")
    assert not sources.settings.is_given(Settings.port)
    assert sources.notes == ["httpd.toml is in the folder that is served, and is not read: see --config"]


@pytest.mark.parametrize("toml", ["port = 5", 'dir = "."', 'hosts = { a = "." }', "dir = 'link'"])
def test_it_cannot_have_itself_served(here: Path, toml: str) -> None:
    (here / "link").symlink_to(".")
    assert wrong(toml=toml)[0].startswith("httpd.toml: it is in the folder that is served")


def test_one_that_is_named_is_read_wherever_it_is(here: Path) -> None:
    (here / "httpd.toml").write_text("port = 5")
    for sources in (read(".", "--config", "httpd.toml"), read(".", HTTPD_CONFIG="httpd.toml")):
        assert (sources.settings.port, sources.wrong) == (5, [])


def test_one_that_is_named_would_be_served(here: Path) -> None:
    for name in ("site.toml", "public/site.toml", "public/httpd.toml", "public/.httpd.toml"):
        (here / name).write_text("port = 5")
    told = "site.toml: it would be served itself; keep it outside of ., or hide it with a dot"
    assert wrong(".", "--config", "site.toml") == [told]
    assert wrong(".", "--config", "public/site.toml")
    assert not wrong(".", "--config", "public/httpd.toml")
    assert not wrong(".", "--config", "public/.httpd.toml")
    assert not wrong("public", "--config", "public/httpd.toml")


@pytest.mark.programs
def test_settings_in_the_folder_are_never_served(here: Path) -> None:
    (here / "public" / "index.html").unlink()
    (here / "public" / "httpd.toml").write_text('access-log = "off"')
    with LiveServer(None, "--config=public/httpd.toml", "public", cwd=here, env={"PYTHONPATH": str(TOP)}) as live:
        with urllib.request.urlopen(live.url, timeout=5) as listing:
            assert b"toml" not in listing.read()
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(live.url + "httpd.toml", timeout=5)
        caught.value.close()


def test_one_that_is_not_there(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", "none.toml"]) == 1
    told = "httpd: cannot read none.toml: No such file or directory; name another file with --config\n"
    assert capfd.readouterr().err == told


def test_a_file_whose_name_has_colons(here: Path) -> None:
    (here / "a:b").mkdir()
    (here / "a:b" / "c:d").write_text("prot = 5\nport = 'x'\n")
    assert [one[:12] for one in wrong("--config=a:b/c:d", "a:b")] == ["a:b/c:d: it ", "a:b/c:d:1:1:", "a:b/c:d:2:1:"]


def test_one_that_somebody_else_can_write_is_not_read_unasked(here: Path) -> None:
    (here / "httpd.toml").write_text('dir = "public"')
    (here / "httpd.toml").chmod(0o666)
    with pytest.raises(Wrong, match="somebody else can write it"):
        read()
    assert read("--config", "httpd.toml").settings.dir == "public"
