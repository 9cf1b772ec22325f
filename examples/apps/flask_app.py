"""A small shop of notes, made with Flask: sessions, a form, a download, a stream.

pip install flask
httpd --wsgi flask_app:app             in this folder
"""

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, redirect, render_template_string, request, send_file, session, url_for

app = Flask(__name__)
# Whoever knows it can forge sessions; made anew at each start, it ends them all.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Notes</title>
<style>body { max-width: 32rem; margin: 3rem auto; padding: 0 1rem; font: 1.1rem/1.5 system-ui, sans-serif }</style>
<h1>Notes</h1>
<form method="post"><input name="note" aria-label="a note" required autofocus> <button>Keep it</button></form>
<ul>{% for note in session.get("notes", []) %}<li>{{ note }}{% else %}<li>None yet.{% endfor %}</ul>
<p><a href="{{ url_for('source') }}">How this is made</a> ·
<a href="{{ url_for('count') }}">A page that takes its time</a>
"""


@app.get("/")
def notes() -> str:
    """All notes of this session."""
    return render_template_string(PAGE)


@app.post("/")
def keep() -> object:
    """Take a note.  A redirect answers it, so that reloading the page does not keep it again."""
    session["notes"] = [*session.get("notes", []), request.form["note"]][-20:]
    return redirect(url_for("notes"))


@app.get("/source")
def source() -> Response:
    """This file; it is sent without passing through Python."""
    return send_file(Path(__file__), as_attachment=True, mimetype="text/x-python")


@app.get("/count")
def count() -> Response:
    """Ten lines, one every fifth of a second: each is sent when it is made."""

    def lines() -> Iterator[str]:
        for number in range(1, 11):
            yield f"{number}\n"
            time.sleep(0.2)

    return Response(lines(), mimetype="text/plain")
