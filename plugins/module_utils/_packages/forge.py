# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge requests: asked for by the API of GitLab or GitHub, once for each branch.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The token is read from a file or a variable of the environment, and goes nowhere but into a header.
See https://docs.gitlab.com/api/merge_requests/ and https://docs.github.com/rest/pulls/pulls.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import typing as t
import urllib.parse

from .._core.suggest import InputError, refuse_unknown
from .web import Http, NoAnswer

KINDS = ("gitlab", "github")
_KEYS = ("kind", "api", "project", "target", "token_file", "token_env")
_MOST_TOKEN = 4096


@dataclasses.dataclass(frozen=True)
class Forge:
    """:param project: "group/name", as it stands in addresses.

    :param target: the branch to merge into.
    """

    kind: str
    api: str
    project: str
    target: str
    token: str = dataclasses.field(repr=False)


def read_forge(where: str, given: t.Mapping[str, t.Any]) -> Forge | None:
    """None where nothing is given.

    :raises InputError: naming the key, the value and what would be right.
    """
    if not given:
        return None
    refuse_unknown(f"{where}: unknown key %s", given, _KEYS)
    for key in ("kind", "api", "project", "target"):
        if not isinstance(given.get(key), str) or not given[key].strip():
            raise InputError(f"{where}.{key} is {given.get(key)!r}, must be a text that is not empty")
    refuse_unknown(f"{where}.kind: unknown forge", given["kind"], KINDS)
    api = given["api"].rstrip("/")
    parts = urllib.parse.urlsplit(api)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == "127.0.0.1"):
        raise InputError(f"{where}.api is {api!r}, must begin with https://: a token goes there")
    if given["kind"] == "github" and given["project"].count("/") != 1:
        raise InputError(f"{where}.project is {given['project']!r}, must be like owner/name")
    return Forge(given["kind"], api, given["project"].strip("/"), given["target"], _token(where, given))


def _token(where: str, given: t.Mapping[str, t.Any]) -> str:
    file, variable = given.get("token_file"), given.get("token_env")
    if bool(file) == bool(variable):
        raise InputError(f"{where}: give either token_file or token_env")
    if variable:
        token = os.environ.get(str(variable), "")
    else:
        try:
            with open(str(file), encoding="utf-8") as handle:
                if os.fstat(handle.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
                    raise InputError(f"{where}.token_file: {file} is open to others: chmod 0600 {file}")
                token = handle.read(_MOST_TOKEN)
        except (OSError, UnicodeDecodeError) as exc:
            told = exc.strerror if isinstance(exc, OSError) else "it is no text"
            raise InputError(f"{where}.token_file: {file} cannot be read: {told}") from None
    token = token.strip()
    if not token or not token.isprintable() or not token.isascii():
        raise InputError(f"{where}: the token in {variable or file} is empty, or no token")
    return token


def request_merge(forge: Forge, http: Http, branch: str, title: str, text: str) -> tuple[str, bool]:
    """The address of the open request for the branch, and whether it was made now.

    :raises NoAnswer: when the forge does not give it.
    """
    found = _find(forge, http, branch)
    if found:
        return found, False
    made = _ask(forge, http, _place(forge), _asked(forge, branch, title, text))
    address = _address(forge, made)
    if not address or _find(forge, http, branch) != address:
        raise NoAnswer(f"the {forge.kind} at {forge.api} did not make the merge request that it was asked for")
    return address, True


def _place(forge: Forge) -> str:
    if forge.kind == "gitlab":
        return f"{forge.api}/projects/{urllib.parse.quote(forge.project, safe='')}/merge_requests"
    return f"{forge.api}/repos/{urllib.parse.quote(forge.project)}/pulls"


def _asked(forge: Forge, branch: str, title: str, text: str) -> dict[str, t.Any]:
    if forge.kind == "gitlab":
        return {"source_branch": branch, "target_branch": forge.target, "title": title, "description": text}
    return {"head": branch, "base": forge.target, "title": title, "body": text}


def _find(forge: Forge, http: Http, branch: str) -> str:
    if forge.kind == "gitlab":
        query = {"state": "opened", "source_branch": branch, "target_branch": forge.target}
    else:
        query = {"state": "open", "head": f"{forge.project.partition('/')[0]}:{branch}", "base": forge.target}
    found = _ask(forge, http, f"{_place(forge)}?{urllib.parse.urlencode(query)}")
    if not isinstance(found, list):
        raise NoAnswer(f"the {forge.kind} at {forge.api} gave no list of merge requests")
    return _address(forge, found[0]) if found else ""


def _address(forge: Forge, told: t.Any) -> str:
    key = "web_url" if forge.kind == "gitlab" else "html_url"
    return str(told.get(key) or "") if isinstance(told, dict) else ""


def _ask(forge: Forge, http: Http, url: str, body: t.Any = None) -> t.Any:
    secret = ("PRIVATE-TOKEN", forge.token) if forge.kind == "gitlab" else ("Authorization", f"Bearer {forge.token}")
    answer = http.ask(url, body, secret=secret)
    if answer.status not in (200, 201):
        raise NoAnswer(f"the {forge.kind} at {forge.api} answered {answer.status}")
    return answer.json()
