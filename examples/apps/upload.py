"""An upload box: a page with a form, a folder that the files go to, a list of what is there.

python examples/apps/upload.py       then open http://127.0.0.1:8000/
curl -F file=@film.mp4 http://127.0.0.1:8000/

The files go to the folder "uploads" where it is started; UPLOADS names another.  A file is on disk while it comes, and
gets its name when all of it is there: there are no halves in the folder, and none is written over.
"""

from __future__ import annotations

import os
from pathlib import Path

from httpd import Body, File, HTTPError, Request, Response, Router, Server, StaticFiles, Templates, redirect

HERE = Path(__file__).resolve().parent
UPLOADS = Path(os.environ.get("UPLOADS", "uploads")).absolute()
UPLOADS.mkdir(exist_ok=True)
MOST = 4 << 30
SAME_NAME = 1_000

site = Router()
templates = Templates(HERE / "templates")


def keep(file: File) -> str:
    """Keep a file under its name, with a number if that is taken; the name.

    A name that begins with "_" may be that of a file of rules, which nobody may send.
    """
    stem, ending = os.path.splitext(file.filename.lstrip("_") or "file")
    for number in range(1, SAME_NAME):
        name = f"{stem} ({number}){ending}" if number > 1 else stem + ending
        try:
            file.save(str(UPLOADS / name))
            return name
        except FileExistsError:
            pass
    raise HTTPError(409, f"There are {SAME_NAME} files of that name.")


def size(count: int) -> str:
    """A number of bytes, as a person reads it."""
    amount = float(count)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


@site.get("/")
def box(request: Request) -> Response:
    """The form, and what was sent before: the newest first."""
    entries = [entry for entry in os.scandir(UPLOADS) if entry.is_file() and not entry.name.startswith(".")]
    entries.sort(key=lambda entry: -entry.stat().st_mtime)
    return templates.response("upload.html", files=[(entry.name, size(entry.stat().st_size)) for entry in entries])


@site.post("/", body=Body(MOST, types=["multipart/form-data"], folder=UPLOADS))
def take(request: Request) -> Response:
    """Keep what was sent.  A redirect answers it, so that reloading the page does not send it again."""
    sent = request.files.get_all("file")
    if not sent:
        raise HTTPError(422, "file: no file was chosen.")
    for file in sent:
        keep(file)
    return redirect("/")


# What others have sent is for keeping, not for showing as a page of this site.
NOT_SHOWN = [("Content-Disposition", "attachment"), ("Content-Security-Policy", "sandbox")]
site.mount("/files", StaticFiles(UPLOADS, listing=False, headers=NOT_SHOWN))
site.mount("/", StaticFiles(HERE / "public"))

if __name__ == "__main__":
    Server(site, port=8000).run()
