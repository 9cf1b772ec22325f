"""The public names, each from its module: what `import httpd` gives."""

from .net import asynchat, asyncore
from .protocol.content import Bell
from .protocol.errors import HTTPError, Refusal
from .protocol.files import File
from .protocol.forms import Form
from .protocol.message import Content, Headers, Request, Response, html, json, redirect, text
from .server.handler import http_request_handler
from .server.limits import Limits
from .server.server import Server
from .site.blocking import blocking
from .site.events import comment, event, event_stream, last_event_id
from .site.gzipped import Gzipped
from .site.hosts import Hosts
from .site.router import Router
from .site.sessions import Session, Sessions
from .site.static import StaticFiles
from .site.templates import Templates
from .site.uploads import Body

__all__ = [
    "Bell",
    "Body",
    "Content",
    "File",
    "Form",
    "Gzipped",
    "HTTPError",
    "Headers",
    "Hosts",
    "Limits",
    "Refusal",
    "Request",
    "Response",
    "Router",
    "Server",
    "Session",
    "Sessions",
    "StaticFiles",
    "Templates",
    "asynchat",
    "asyncore",
    "blocking",
    "comment",
    "event",
    "event_stream",
    "html",
    "http_request_handler",
    "json",
    "last_event_id",
    "redirect",
    "text",
]
