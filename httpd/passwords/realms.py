"""Basic authentication (RFC 7617): some paths of a site are only for those who have a password.

A path is protected whatever way leads to it.  The address is judged first, by every spelling of it alike; and the
folder's site asks again by the name of each file that it is about to open (see `Guard`), for a rule, a page's short
address or a folder's index may lead to a file of another name.  What is protected stands in no listing and no archive
of the folder above it.  Only a symbolic link is a second way in: whoever places one gives the file another address.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..site.answers import as_response, plain_path
from ..site.root import is_served, quoted_path
from ..site.uploads import Body
from ..site.wrapping import Around
from .htpasswd import PasswordFile
from .tries import Tries, wrong_passwords

__all__ = ["Protected", "Realms", "parse_realms"]

# Caches may not give one user's answer to another (RFC 9111 §3.5), and not all of them know.
_FOR_USERS = (("Vary", "Authorization"),)
# A folder's own page is its file, too.
_INDEX = "index.html"


class Realm(NamedTuple):
    """A protected path, as it is compared, and who may have it."""

    path: str
    passwords: PasswordFile
    challenge: tuple[str, str]

    def covers(self, path: str) -> bool:
        """Whether a path is this one, below it, or named after it.

        /secret.html is the page of /secret, /data.json.gz another form of /data.json.
        """
        return path.startswith(self.path) and path[len(self.path) : len(self.path) + 1] in ("", "/", ".")


class Realms:
    """The protected paths of a site, decoded, each with its passwords.  Of nested ones the innermost counts.

    Raises ValueError for what is no path, and for one that is there twice.
    """

    def __init__(self, protected: Iterable[tuple[str, PasswordFile]]) -> None:
        self._realms: list[Realm] = []
        for path, passwords in protected:
            if not path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is not a path: it begins with / and goes nowhere up")
            compared = _folded(path).rstrip("/")
            if any(realm.path == compared for realm in self._realms):
                raise ValueError(f"{path} is protected twice")
            said = f'Basic realm="{quoted_path(plain_path(path))}", charset="UTF-8"'
            self._realms.append(Realm(compared, passwords, ("WWW-Authenticate", said)))
        self._realms.sort(key=lambda realm: -len(realm.path))

    def require(self, request: Request, path: str) -> None:
        """Let a request have a decoded path, or raise: HTTPError 401 with the challenge, 429, 503, or Later."""
        realm = self._realm(path)
        if realm is None:
            return
        given = request.headers.get("authorization")
        user = realm.passwords.user(given, request.peer) if given else ""
        if not user:
            raise HTTPError(401, "This needs a name and a password.", [realm.challenge])
        head = request.head
        if head.user != user:
            # The log line names the user.
            head.user, head.logged = user, None

    def leaves_out(self, path: str) -> bool:
        """Whether a listing or an archive of the folder that a path is in has to do without: it is for other people."""
        return not self.alike(path, path.rstrip("/").rpartition("/")[0] + "/")

    def alike(self, one: str, other: str) -> bool:
        """Whether two paths are for the same people."""
        return self._realm(one) is self._realm(other)

    def _realm(self, path: str) -> Realm | None:
        folded = _folded(path)
        if ".." in folded.split("/"):
            # No client asks so, and where it leads is anybody's guess.
            raise HTTPError(404)
        asked = folded + _INDEX if folded.endswith("/") else folded
        return next((realm for realm in self._realms if realm.covers(asked)), None)


def _folded(path: str) -> str:
    """A decoded path such that all spellings are alike that some file system or site takes for the same."""
    folded = plain_path(path).casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def parse_realms(
    specs: Iterable[str],
    served: Sequence[str] = (),
    *,
    client: Callable[[str], Hashable] = str,
    tries: Tries | None = None,
) -> Realms:
    """The realms that `[PATH=]FILE`, as a person writes it, stands for; `served` are the folders of the site.

    `client` says what counts as one client, given an address, and `tries` counts the wrong passwords of each.

    Raises ValueError, its text a sentence for that person.
    """
    protected, tries = [], tries or wrong_passwords()
    for spec in specs:
        path, file = spec.split("=", 1) if spec.startswith("/") and "=" in spec else ("/", spec)
        for folder in served:
            if is_served(file, folder):
                raise ValueError(f"{file} would be served itself; keep it outside of {folder}, or hide it with a dot")
        try:
            protected.append((path, PasswordFile(file, client=client, tries=tries)))
        except OSError as why:
            raise ValueError(f"cannot read {file}: {why.strerror or why}") from None
        except ValueError as why:
            raise ValueError(f"{file}: {why}") from None
    return Realms(protected)


class Protected(Around):
    """A site of which these realms are only for their users."""

    def __init__(self, site: Callable[..., Response], realms: Realms) -> None:
        super().__init__(site)
        self.realms = realms

    def __call__(self, request: Request, *below: str) -> Response:
        self.realms.require(request, request.path)
        response = as_response(self.site(request, *below), self.site)
        return response.wrapped(_FOR_USERS) if request.user else response

    def check(self, request: Request, *below: str) -> Body | None:
        """What content the site takes.  Raises what awaits this request before that: as `require`, and as the site."""
        # So that nobody has his content kept whose password is none.
        self.realms.require(request, request.path)
        check = getattr(self.site, "check", None)
        return None if check is None else check(request, *below)
