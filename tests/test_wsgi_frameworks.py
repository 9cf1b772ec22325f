"""Small real sites made with Flask, Django and Bottle, each by `httpd --wsgi`, asked over real connections."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .live import LiveServer
from .tools import TOP, needs_module

DJANGO = '''
"""A site in one file: pages, a form with its token, sessions in cookies, uploads, files, a stream, a redirect."""

import os, time
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.core.wsgi import get_wsgi_application
from django.urls import path, reverse

HERE = Path(__file__).parent
settings.configure(
    DEBUG=False, SECRET_KEY="x" * 50, ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    LOGGING={
        "version": 1, "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["console"]},
    },
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
    ],
)

def page(request):
    return HttpResponse(f"token={get_token(request)} visits={request.session.get('visits', 0)}")

def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + int(request.POST["by"])
    return redirect("page")

def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": file.size, "head": file.read(5).decode()})
upload.csrf_exempt = True

def ticks(request):
    def lines():
        for number in range(4):
            yield f"{number}\\n"
            time.sleep(0.15)
    return StreamingHttpResponse(lines(), content_type="text/plain")

def about(request, name):
    return JsonResponse({"name": name, "uri": request.build_absolute_uri(), "script": request.META["SCRIPT_NAME"]})

def fails(request):
    raise LookupError("in the view")

urlpatterns = [
    path("", page, name="page"), path("visit", visit), path("upload", upload), path("ticks", ticks),
    path("download", lambda request: FileResponse((HERE / "data.bin").open("rb"), as_attachment=True)),
    path("about/<name>/", about), path("fails", fails),
]
app = get_wsgi_application()
'''

BOTTLE = '''
"""A site: routes, a form, a signed cookie, static files, an upload, a stream, an error page."""

import time
from pathlib import Path

from bottle import Bottle, abort, redirect, request, response, static_file

HERE = str(Path(__file__).parent)
app = Bottle()

@app.get("/")
def page():
    return f"visits={request.get_cookie('visits', secret='s') or 0}"

@app.post("/visit")
def visit():
    seen = int(request.get_cookie("visits", secret="s") or 0) + int(request.forms["by"])
    response.set_cookie("visits", seen, secret="s")
    redirect("/")

@app.post("/upload")
def upload():
    file = request.files["file"]
    data = file.file.read()
    return {"name": file.filename, "size": len(data), "head": data[:5].decode()}

@app.get("/static/<name>")
def static(name):
    return static_file(name, root=HERE)

@app.get("/ticks")
def ticks():
    response.content_type = "text/plain"
    for number in range(4):
        yield f"{number}\\n"
        time.sleep(0.15)

@app.get("/about/<name>")
def about(name):
    return {"name": name, "uri": request.url}

@app.get("/tea")
def tea():
    abort(418, "Only tea.")

@app.get("/fails")
def fails():
    raise LookupError("in the view")
'''

DATA = bytes(range(256)) * 1_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sites")
    (folder / "with_django.py").write_text(DJANGO)
    (folder / "with_bottle.py").write_text(BOTTLE)
    (folder / "data.bin").write_bytes(DATA)
    return folder


@pytest.mark.programs
def test_an_application_is_told_that_other_processes_have_it(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(environ['wsgi.multiprocess']).encode()]\n"
    )
    for options, told in (((), b"False"), (("--workers", "2"), b"True")):
        with LiveServer(None, "--wsgi", "told:app", *options, cwd=tmp_path, env={"PYTHONPATH": str(TOP)}) as server:
            assert requests.get(server.url, timeout=10).content == told


def served(module: str, cwd: Path, *options: str) -> Iterator[LiveServer]:
    needs_module(module)
    site = f"with_{module}:app" if module != "flask" else "flask_app:app"
    with LiveServer(None, "--wsgi", site, *options, cwd=cwd, env={"PYTHONPATH": str(TOP)}) as server:
        yield server


@pytest.fixture(scope="module")
def flask() -> Iterator[LiveServer]:
    yield from served("flask", TOP / "examples/apps")


@pytest.fixture(scope="module")
def django(folder: Path) -> Iterator[LiveServer]:
    yield from served("django", folder)


@pytest.fixture(scope="module")
def bottle(folder: Path) -> Iterator[LiveServer]:
    yield from served("bottle", folder)


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    """A client that keeps its cookies and its connection."""
    with requests.Session() as session:
        yield session


def arrivals(browser: requests.Session, url: str) -> tuple[list[str], float]:
    """The lines of a stream, and the seconds from the first to the last."""
    with browser.get(url, stream=True, timeout=10) as answer:
        lines, times = [], []
        for line in answer.iter_lines(chunk_size=1):
            lines.append(line.decode())
            times.append(time.monotonic())
    return lines, times[-1] - times[0]


# ---- Flask: the example


@pytest.mark.programs
def test_flask_keeps_notes_in_a_session(flask: LiveServer, browser: requests.Session) -> None:
    assert "None yet." in browser.get(flask.url, timeout=10).text
    for note in ("one", "<b>ü</b>"):
        answer = browser.post(flask.url, {"note": note}, timeout=10)
        assert ([one.status_code for one in answer.history], answer.url) == ([302], flask.url)
    assert "<li>one<li>&lt;b&gt;ü&lt;/b&gt;</ul>" in browser.get(flask.url, timeout=10).text
    assert browser.post(flask.url, {}, timeout=10).status_code == 400
    assert browser.get(flask.url + "nowhere", timeout=10).status_code == 404
    assert browser.put(flask.url, timeout=10).headers["Allow"].count(", ") == 3


@pytest.mark.programs
def test_flask_sends_a_file_and_parts_of_it(flask: LiveServer, browser: requests.Session) -> None:
    content = (TOP / "examples/apps/flask_app.py").read_bytes()
    whole = browser.get(flask.url + "source", timeout=10)
    assert (whole.content, whole.headers["Content-Length"]) == (content, str(len(content)))
    assert "attachment; filename=flask_app.py" in whole.headers["Content-Disposition"]
    part = browser.get(flask.url + "source", headers={"Range": "bytes=10-19"}, timeout=10)
    assert (part.status_code, part.content) == (206, content[10:20])
    tag = {"If-None-Match": whole.headers["ETag"]}
    assert browser.get(flask.url + "source", headers=tag, timeout=10).status_code == 304
    head = browser.head(flask.url + "source", timeout=10)
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(content)))


@pytest.mark.programs
def test_flask_streams(flask: LiveServer, browser: requests.Session) -> None:
    lines, took = arrivals(browser, flask.url + "count")
    assert lines == [str(number) for number in range(1, 11)]
    assert took > 1


# ---- Django


@pytest.mark.programs
def test_django_takes_a_form_with_its_token(django: LiveServer, browser: requests.Session) -> None:
    found = re.search(r"token=(\w+) visits=0", browser.get(django.url, timeout=10).text)
    assert found is not None
    assert browser.post(django.url + "visit", {"by": "2"}, timeout=10).status_code == 403
    form = {"by": "2", "csrfmiddlewaretoken": found[1]}
    for visits in (2, 4):
        answer = browser.post(django.url + "visit", form, timeout=10)
        assert answer.history[0].status_code == 302
        assert answer.text.endswith(f"visits={visits}")


@pytest.mark.programs
def test_django_takes_an_upload_and_sends_a_file(django: LiveServer, browser: requests.Session) -> None:
    upload = browser.post(django.url + "upload", files={"file": ("ä.txt", b"hello" * 60_000)}, timeout=10)
    assert upload.json() == {"name": "ä.txt", "size": 300_000, "head": "hello"}
    download = browser.get(django.url + "download", timeout=10)
    assert (download.content, download.headers["Content-Length"]) == (DATA, str(len(DATA)))
    assert browser.head(django.url + "download", timeout=10).headers["Content-Length"] == str(len(DATA))


@pytest.mark.programs
def test_django_streams_and_knows_where_it_is(django: LiveServer, browser: requests.Session) -> None:
    lines, took = arrivals(browser, django.url + "ticks")
    assert (lines, took > 0.3) == (["0", "1", "2", "3"], True)
    about = browser.get(django.url + "about/n%C3%A4/?x=1", timeout=10).json()
    assert about == {"name": "nä", "uri": django.url + "about/n%C3%A4/?x=1", "script": ""}
    # The framework's own redirect to the slash.
    assert browser.get(django.url + "about/a", timeout=10).history[0].status_code == 301


@pytest.mark.programs
def test_django_tells_its_failures(django: LiveServer, browser: requests.Session) -> None:
    assert browser.get(django.url + "fails", timeout=10).status_code == 500
    assert django.wait_for("LookupError: in the view")


# ---- Bottle


@pytest.mark.programs
def test_bottle_takes_a_form_and_an_upload(bottle: LiveServer, browser: requests.Session) -> None:
    for visits in (3, 6):
        answer = browser.post(bottle.url + "visit", {"by": "3"}, timeout=10)
        assert (answer.history[0].status_code, answer.text) == (303, f"visits={visits}")
    upload = browser.post(bottle.url + "upload", files={"file": ("a.txt", b"hello" * 60_000)}, timeout=10)
    assert upload.json() == {"name": "a.txt", "size": 300_000, "head": "hello"}


@pytest.mark.programs
def test_bottle_sends_files_and_parts_of_them(bottle: LiveServer, browser: requests.Session) -> None:
    url = bottle.url + "static/data.bin"
    whole = browser.get(url, timeout=10)
    assert whole.content == DATA
    part = browser.get(url, headers={"Range": "bytes=1000-1999"}, timeout=10)
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    since = {"If-Modified-Since": whole.headers["Last-Modified"]}
    assert browser.get(url, headers=since, timeout=10).status_code == 304
    assert browser.head(url, timeout=10).headers["Content-Length"] == str(len(DATA))
    assert browser.get(bottle.url + "static/..%2fsecret", timeout=10).status_code in (403, 404)


@pytest.mark.programs
def test_bottle_streams_and_fails(bottle: LiveServer, browser: requests.Session) -> None:
    lines, took = arrivals(browser, bottle.url + "ticks")
    assert (lines, took > 0.3) == (["0", "1", "2", "3"], True)
    assert browser.get(bottle.url + "about/n%C3%A4", timeout=10).json() == {
        "name": "nä", "uri": bottle.url + "about/n%C3%A4",
    }  # fmt: skip
    assert browser.get(bottle.url + "tea", timeout=10).status_code == 418
    assert browser.get(bottle.url + "fails", timeout=10).status_code == 500
    assert bottle.wait_for("LookupError: in the view")


# ---- the command


@pytest.mark.programs
@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
def test_over_tls_an_application_knows_so(folder: Path, browser: requests.Session) -> None:
    needs_module("cryptography")
    for server in served("bottle", folder, "--tls-self-signed"):
        about = browser.get(server.url + "about/me", timeout=10, verify=False).json()
        assert about["uri"] == server.url + "about/me"
        assert about["uri"].startswith("https://")


@pytest.mark.programs
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wsgi", "nothing"], "--wsgi takes MODULE:APP, such as flask_app:app, not 'nothing'"),
        (["--wsgi", "no_such_module:app"], "there is no module no_such_module here"),
        (["--wsgi", "json:app"], "json has no application app"),
        (["--wsgi", "json:loads", "--app", "json:loads"], "--app and --wsgi are two sites; leave one of them out"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(options: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "httpd", *options, "--port", "0"], capture_output=True, text=True, timeout=20, cwd=TOP
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr
