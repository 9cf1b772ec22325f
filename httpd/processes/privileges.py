"""Becoming a user who may do less, for good."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

__all__ = ["Account", "account"]


class Account(NamedTuple):
    """A user and a group, and all groups that the process will have."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def become(self) -> None:
        """Be this user from now on, in all threads.  Raises OSError, PermissionError where there is a way back."""
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        self._verify()
        os.environ.update(HOME=self.home, USER=self.name, LOGNAME=self.name)

    def _verify(self) -> None:
        """Try the way back: it must not be there."""
        if os.getresuid() != (self.uid,) * 3 or os.getresgid() != (self.gid,) * 3:
            raise PermissionError(f"this process is not {self.name}, and was told that it is")
        if set(os.getgroups()) - {self.gid} != set(self.groups) - {self.gid}:
            raise PermissionError(f"this process has other groups than {self.name}")
        for regain in (os.setuid, os.seteuid):
            with contextlib.suppress(PermissionError):
                regain(0)
                raise RuntimeError(f"{self.name} can become root again")


def account(text: str) -> Account:
    """The account of NAME or NAME:GROUP.  Raises ValueError with a sentence."""
    import grp
    import pwd

    name, _, group = text.partition(":")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"there is no user {name!r}; give the name of one, such as www-data") from None
    try:
        gid = grp.getgrnam(group).gr_gid if group else user.pw_gid
    except KeyError:
        raise ValueError(f"there is no group {group!r}; leave it out for that of {name}") from None
    if user.pw_uid == 0:
        raise ValueError(f"{name} is root; name a user who may do less")
    return Account(name, user.pw_uid, gid, tuple(os.getgrouplist(name, gid)), user.pw_dir)
