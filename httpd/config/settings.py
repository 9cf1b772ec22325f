"""The table of options: each stands here once, and all else follows from it.

To add an option, add an attribute to `Settings`: its name is that of the option (`port_auto` is `--port-auto`,
HTTPD_PORT_AUTO, and `port-auto` in httpd.toml), and beside it stand how a text is read (`config.kinds`; ValueError with
a sentence for what is wrong), the default as such a text, what stands for the value in help, the group, and one
sentence of help.  A `Switch` is on or off, `Several` may be repeated; `key=` puts it into a table of httpd.toml, and
`Tables` have tables of their own there.  Whoever needs it takes `settings.NAME`, which mypy knows the type of;
`settings.is_given(Settings.NAME)` says whether a person has set it, `settings.named(Settings.NAME)` how that person
wrote it, and `Wrong(sentence, settings.origin(Settings.NAME))` tells where.  What is wrong only beside other options is
for `config.agreement` to find, what is wrong only on this machine for `cli.check`, too.  A group fits a screen
(tests/test_help.py).  `python -m tests.options` writes the README's table of them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ..site.wrapping import field_line
from . import kinds
from .option import Group, Option, Origin, Several, Switch, Tables, Written

__all__ = ["GROUPS", "OPTIONS", "Place", "Settings", "nowhere"]

REACHING = Group("reaching", "reaching it")
TLS = Group("tls", "TLS")
SITE = Group("site", "the site")
FORMS = Group("forms", "the forms")
ANSWERS = Group("answers", "the answers")
DEVELOPING = Group("developing", "developing")
WATCHING = Group("watching", "watching")
LOGS = Group("logs", "logs and limits")
PROCESSES = Group("processes", "the processes")
SETTINGS = Group("settings", "settings")
GROUPS = (REACHING, TLS, SITE, FORMS, ANSWERS, DEVELOPING, WATCHING, PROCESSES, LOGS, SETTINGS)


Place = Callable[[tuple[str | int, ...]], str]


def nowhere(key: tuple[str | int, ...]) -> str:
    """The place of each key of no file."""
    return ""


class Settings:
    """All that a person has set, and the defaults of the rest.  Values do not change."""

    # ---- reaching it

    bind = Several(
        str,
        "ADDRESS",
        REACHING,
        "the address to listen at (default: 127.0.0.1); :: is every one, IPv4 too; may be repeated",
    )
    port = Option(kinds.port, "8000", "PORT", REACHING, "the port; 0 takes any free one", types=(int,))
    port_auto = Switch(False, REACHING, "when the port is taken, take the next free one")
    unix = Option(str, "", "PATH", REACHING, "listen at a unix socket; at an address too if one is given", path="")
    unix_mode = Option(kinds.file_mode, "660", "MODE", REACHING, "who may connect to it")
    trust_proxy = Several(
        kinds.proxy,
        "[HOW=]ADDRESS",
        REACHING,
        "believe what the proxy at an address, in a network or at the unix socket (unix) says of its clients; HOW is "
        "x-forwarded (default), forwarded, or proxy for the PROXY protocol; may be repeated",
    )
    host = Several(
        kinds.host,
        "NAME=DIR",
        REACHING,
        "serve DIR to who asks for the host NAME (*.NAME: any below it), the DIR above to others; may be repeated",
        key="hosts",
        path="",
        joint="=",
    )

    # ---- TLS

    tls_self_signed = Switch(
        False, TLS, "speak TLS, with a certificate that is made for it and kept", key="tls.self-signed"
    )
    tls_cert = Several(
        str,
        "FILE",
        TLS,
        "speak TLS, with the certificate in a PEM file, which may be renewed; may be repeated, each for its names",
        key="tls.cert",
        path="",
    )
    tls_key = Several(str, "FILE", TLS, "its key (default: in the same file)", key="tls.key", path="")
    redirect_from = Option(
        kinds.perhaps(kinds.port),
        "",
        "PORT",
        TLS,
        "lead who comes without TLS, to this port, to the same address with it",
        key="tls.redirect-from",
        types=(int,),
    )

    # ---- the site

    dir = Option(str, "", "DIR", SITE, "the folder to serve (default: this one)", path="")
    app = Option(str, "", "MODULE:ROUTER", SITE, "serve a site of your own instead of a folder")
    wsgi = Option(str, "", "MODULE:APP", SITE, "serve a WSGI application, as Flask and Django make them")
    spa = Switch(False, SITE, "DIR is a single-page application: its paths get its index.html")
    listing = Switch(True, SITE, "a folder without a page of its own is forbidden")
    auth = Several(
        str,
        "[PATH=]FILE",
        SITE,
        "ask for a password below PATH (default: /); FILE is made with htpasswd -B; may be repeated",
        path="",
        joint="=",
    )
    symlinks: Option[Literal["inside", "none", "all"]] = Option(
        kinds.one_of("inside", "none", "all"),
        "inside",
        "WHICH",
        SITE,
        "which links are followed: those whose target is inside DIR (default), none, or all",
    )

    # ---- the forms

    form = Tables(
        "/PATH",
        FORMS,
        "keep what is sent to a form at /PATH; where httpd.toml says no more, it asks for name, email and message; "
        "may be repeated",
        key="forms",
    )
    inbox = Option(
        kinds.store,
        "sqlite:.inbox.db",
        "URL",
        FORMS,
        "where what comes in by forms is kept, and httpd forms reads it: sqlite:PATH (default: sqlite:.inbox.db) or "
        "postgresql://USER@HOST/NAME",
        path="sqlite:",
    )
    inbox_page = Option(
        kinds.path,
        "",
        "/PATH",
        FORMS,
        "a page for its owner to read it, at a path of the site, which must be one of --auth",
    )
    webhook = Several(
        str,
        "URL",
        FORMS,
        "post what comes in to URL, too, signed with HTTPD_WEBHOOK_SECRET; may be repeated",
    )
    mail_to = Several(str, "ADDRESS", FORMS, "mail what comes in to ADDRESS, too; may be repeated", key="mail.to")
    mail_from = Option(str, "", "ADDRESS", FORMS, "whom this mail is from", key="mail.from")
    mail_server = Option(
        str,
        "smtp://localhost",
        "URL",
        FORMS,
        "who takes it: smtp://HOST, by STARTTLS, or smtps://HOST, with HTTPD_MAIL_USER and HTTPD_MAIL_PASSWORD if they "
        "are set (default: smtp://localhost, without either)",
        key="mail.server",
    )

    # ---- the answers

    header = Several(
        field_line,
        "'NAME: VALUE'",
        ANSWERS,
        "a field line of every answer, errors too, in the place of ours of that name; may be repeated",
        key="headers",
        joint=": ",
    )
    cors = Option(
        kinds.origin,
        "",
        "ORIGIN",
        ANSWERS,
        "let scripts of this origin read the answers; --cors alone lets those of any",
        alone="*",
        follows=lambda word: "://" in word,
    )
    hsts = Option(
        kinds.perhaps(kinds.seconds),
        "",
        "SECONDS",
        ANSWERS,
        "have browsers come with TLS only, for so long; --hsts alone is for a year (Strict-Transport-Security)",
        types=(int,),
        alone="31536000",
        follows=str.isdecimal,
    )
    gzip = Switch(False, ANSWERS, "compress listings and an application's text, as far as it is for everyone")

    # ---- developing

    reload = Switch(
        False,
        DEVELOPING,
        "pages in browsers follow their files: what changes in DIR, for --app in the current folder, is seen at "
        "once, templates too, but not an application's own Python code",
    )
    open = Switch(False, DEVELOPING, "open the site in the browser")

    # ---- watching

    trace = Option(
        str,
        "",
        "FOLDER",
        WATCHING,
        "record every step of every connection: --trace alone shows them here, --trace=FOLDER keeps the newest in a "
        "folder, for httpd show FILE and httpd replay FILE",
        path="",
        alone=kinds.HERE,
    )
    console = Option(
        kinds.console_port,
        "",
        "PORT",
        WATCHING,
        "show connections live, step by step, in a browser on this machine, with a lab to send requests of any "
        "bytes; --console alone is at 8001, or any free port",
        types=(int,),
        alone=kinds.HERE,
        follows=str.isdecimal,
    )
    status = Option(
        kinds.place,
        "",
        "PORT",
        WATCHING,
        "show how the server is, with every live connection and what it waits for, in a browser on this machine; "
        "--status alone is at 8002, or any free port; --status=/PATH is a path of the site, one of --auth",
        types=(int, str),
        alone=kinds.HERE,
        follows=str.isdecimal,
    )
    metrics = Option(
        kinds.place,
        "",
        "PORT",
        WATCHING,
        "numbers for Prometheus at /metrics of a port of this machine; --metrics alone is at 8002, or any free port; "
        "--metrics=/PATH is a path of the site, one of --auth",
        types=(int, str),
        alone=kinds.HERE,
        follows=str.isdecimal,
    )

    # ---- the processes

    workers = Option(
        kinds.workers,
        "0",
        "N",
        PROCESSES,
        "serve with so many processes, auto: one for each processor, under a parent that replaces those that die and "
        "reloads everything at SIGHUP; 0 (default): this process alone",
        types=(int,),
    )
    user = Option(
        str,
        "",
        "NAME[:GROUP]",
        PROCESSES,
        "who the workers become, when root starts the server; the parent binds ports and reads keys before",
    )

    # ---- logs and limits

    access_log = Option(str, "-", "FILE", LOGS, "where requests are logged: a file, - (default) or off", path="")
    log_format: Option[Literal["combined", "timed", "json"]] = Option(
        kinds.one_of("combined", "timed", "json"),
        "combined",
        "FORM",
        LOGS,
        "what its lines are: combined (default), as Apache has it; timed: with milliseconds, seconds taken and the "
        "request's name; or json",
    )
    request_id = Switch(False, LOGS, "tell each client the request's name, in X-Request-Id")
    health = Option(
        kinds.path,
        "",
        "PATH",
        LOGS,
        "a path that answers 200 while the server is well, and 503 while it stops or its store fails",
    )
    log_health = Switch(False, LOGS, "log these answers, too")
    log_level = Option(
        kinds.one_of("debug", "info", "warning", "error", "critical"),
        "warning",
        "LEVEL",
        LOGS,
        "what else is logged, to standard error: debug, info, warning (default), error, critical",
    )
    limit = Several(
        kinds.limit,
        "NAME=VALUE",
        LOGS,
        "set a limit, such as body=10M or idle-time=30; may be repeated; --limits lists them",
        key="limits",
        types=(int, float, str),
        joint="=",
        kept=True,
    )

    # ---- these settings

    config = Option(
        str,
        "",
        "FILE",
        SETTINGS,
        "read settings from a file (default: httpd.toml, if it is in the current folder); --config= reads none",
        key="",
    )

    def __init__(self, taken: Mapping[Option[Any], Sequence[tuple[Written, Any]]], place: Place = nowhere) -> None:
        """Of what was written, with the value that was read of it; `place` tells of a path of keys where it stands."""
        self.values = {option.name: option.value([value for _, value in those]) for option, those in taken.items()}
        self.written = {option.name: [written for written, _ in those] for option, those in taken.items()}
        self.place = place

    def program(self) -> Option[str] | None:
        """The option that names a site of one's own."""
        return next((option for option in (Settings.app, Settings.wsgi) if self.is_given(option)), None)

    @property
    def root(self) -> str | None:
        """The folder for whoever names no other host: the current one, where nothing else is served."""
        if self.is_given(Settings.dir):
            return self.dir
        return None if self.program() or self.host else os.curdir

    @property
    def folders(self) -> list[str]:
        """The folders that are served."""
        return [folder for folder, _ in self.placed_folders()]

    def placed_folders(self) -> list[tuple[str, Origin | None]]:
        """The folders that are served, each with where it is written."""
        root = [] if self.root is None else [(self.root, self.origin(Settings.dir))]
        hosts = zip(self.host, self.written.get(Settings.host.name, ()), strict=True)
        return [*root, *((folder, written.origin) for (_, folder), written in hosts)]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where to listen: nowhere else, if all that was named is a unix socket."""
        if self.bind:
            return self.bind
        return () if self.unix and not self.is_given(Settings.port) else ("127.0.0.1",)

    def is_given(self, option: Option[Any]) -> bool:
        """Whether a person has set it, perhaps to what is the default."""
        return option.name in self.values

    def origin(self, option: Option[Any]) -> Origin | None:
        """Where it is written; None: it has its default."""
        return self.written[option.name][-1].origin if self.is_given(option) else None

    def named(self, option: Option[Any]) -> str:
        """What the person calls it who has set it."""
        origin = self.origin(option)
        return origin.name if origin else option.flag


OPTIONS: dict[str, Option[Any]] = {
    name: option for name, option in vars(Settings).items() if isinstance(option, Option)
}
