"""The Python peers, each as its documentation starts it: `python apps.py NAME FOLDER PORT LOG`.

All write an access log; waitress has none of its own, so it gets one here.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def waitress_whitenoise(folder: str, port: int, log: str) -> None:
    """WhiteNoise keeps each file's head ready and hands the file to waitress, which runs its four threads."""
    import waitress
    from whitenoise import WhiteNoise

    def not_found(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]

    waitress.serve(logged(WhiteNoise(not_found, root=folder), log), host="127.0.0.1", port=port)


def flask_in_httpd(folder: str, port: int, log: str) -> None:
    """The same application here, as `httpd --wsgi` serves it."""
    from httpd import Server
    from httpd.wsgi import WSGI
    from tests.benchmark.page_site import flask_app

    Server(WSGI(flask_app()), port=port, access_log=log).run()


def flask_in_waitress(folder: str, port: int, log: str) -> None:
    """The page of the template workload, on waitress's four threads."""
    import waitress

    from tests.benchmark.page_site import flask_app

    waitress.serve(logged(flask_app(), log), host="127.0.0.1", port=port)


def flask_form(folder: str, port: int, log: str) -> None:
    """A form as Flask's documentation keeps it in SQLite, a connection a thread, synced as ours; on waitress."""
    import waitress

    from tests.benchmark.form_in_flask import flask_app

    waitress.serve(logged(flask_app(Path(folder, "inbox.db")), log), host="127.0.0.1", port=port)


def logged(app: Callable[..., Iterable[bytes]], log: str) -> Callable[..., Iterable[bytes]]:
    """The WSGI application with a line of access log for each request."""
    out = Path(log).open("a", buffering=1 << 16, encoding="utf-8")  # noqa: SIM115 - open until the end

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            size = dict(headers).get("Content-Length", "-")
            moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            line = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['SERVER_PROTOCOL']}"
            agent = environ.get("HTTP_USER_AGENT", "-")
            out.write(f'{environ["REMOTE_ADDR"]} - - [{moment}] "{line}" {status[:3]} {size} "-" "{agent}"\n')
            return start_response(status, headers, *rest)

        return app(environ, start)

    return application


def uvicorn_starlette(folder: str, port: int, log: str) -> None:
    """With uvloop and httptools where they are installed, as `uvicorn[standard]` would be."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    to_file = {"class": "logging.FileHandler", "filename": log, "formatter": "access"}
    config = {
        "version": 1,
        "formatters": {
            "access": {
                "()": "uvicorn.logging.AccessFormatter",
                "fmt": '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s',
                "use_colors": False,
            }
        },
        "handlers": {"access": to_file},
        "loggers": {"uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False}},
    }
    app = Starlette(routes=[Mount("/", StaticFiles(directory=folder))])
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=config)


def aiohttp_static(folder: str, port: int, log: str) -> None:
    """aiohttp's own static route."""
    from aiohttp import web

    access = logging.getLogger("aiohttp.access")
    access.addHandler(logging.FileHandler(log))
    access.setLevel(logging.INFO)
    app = web.Application()
    app.router.add_static("/", folder)
    web.run_app(app, host="127.0.0.1", port=port, access_log=access, print=lambda *_: None)


if __name__ == "__main__":
    # Started as a file, this one's own folder is on the path and not the checkout.
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)
    name, folder, port, log = sys.argv[1:]
    globals()[name](folder, int(port), log)
