# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A KV version 2 engine as its documentation describes it, for there is no Vault to be had here.

Data and metadata of a path, check-and-set, custom metadata with its limits, soft deletion, the ten versions that are
kept, and the answers to what is not there, not allowed or sealed. It also breaks what it is told to, by the method and
path of the request, as support.s3_faults does.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import threading
import typing as t
import urllib.parse

from .s3_faults import Answer, FaultyStore, Request

TOKEN = "distelfink-b82d40f6"  # the other canary: see support.canary

_KEPT = 10


@dataclasses.dataclass
class Path:
    versions: dict[int, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    current: int = 0
    custom: dict[str, str] = dataclasses.field(default_factory=dict)
    max_versions: int = 0
    cas_required: bool = False


class KvServer(FaultyStore):
    """Use as a context manager; `paths` is what it holds."""

    def __init__(self, mount: str = "secret") -> None:
        super().__init__(0)
        self.mount = mount
        self.paths: dict[str, Path] = {}
        self.sealed = False
        self._one = threading.RLock()

    def forward(self, request: Request, checked: bool = True) -> Answer:
        del checked
        with self._one:
            return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if headers.get("x-vault-token") != TOKEN:
            return _errors(403, "permission denied")
        where, _mark, query = request.path.partition("?")
        route = urllib.parse.unquote(where)
        kind = next((kind for kind in ("data", "metadata") if route.startswith(f"/v1/{self.mount}/{kind}/")), "")
        if not kind:
            return _errors(404, f'no handler for route "{route[4:]}". route entry not found.')
        path = route[len(f"/v1/{self.mount}/{kind}/") :]
        method = "POST" if request.method == "PUT" else request.method
        body = json.loads(request.body or b"{}")
        found = getattr(self, f"_{method.lower()}_{kind}", None)
        if found is None:
            return _errors(405, "unsupported operation")
        return t.cast("Answer", found(path, body, dict(urllib.parse.parse_qsl(query))))

    def _get_data(self, path: str, _body: t.Any, query: dict[str, str]) -> Answer:
        entry = self.paths.get(path)
        number = int(query.get("version") or 0) or (entry.current if entry else 0)
        version = entry.versions.get(number) if entry else None
        if entry is None or version is None:
            return _errors(404)
        gone = version["destroyed"] or (version["deletion_time"] and version["deletion_time"] <= _now())
        metadata = {name: value for name, value in version.items() if name != "data"}
        metadata.update(version=number, custom_metadata=entry.custom or None)
        return _json(404 if gone else 200, {"data": {"data": None if gone else version["data"], "metadata": metadata}})

    def _post_data(self, path: str, body: dict[str, t.Any], _query: t.Any) -> Answer:
        entry = self.paths.get(path) or Path()
        options = body.get("options") or {}
        if not isinstance(body.get("data"), dict):
            return _errors(400, "no data provided")
        if "cas" in options:
            if int(options["cas"]) != entry.current:
                return _errors(400, "check-and-set parameter did not match the current version")
        elif entry.cas_required:
            return _errors(400, "check-and-set parameter required for this call")
        self.paths[path] = entry
        entry.current += 1
        made = {"created_time": _now(), "deletion_time": "", "destroyed": False}
        entry.versions[entry.current] = {"data": body["data"], **made}
        for number in sorted(entry.versions)[: -(entry.max_versions or _KEPT)]:
            del entry.versions[number]
        return _json(200, {"data": {**made, "version": entry.current, "custom_metadata": entry.custom or None}})

    def _get_metadata(self, path: str, _body: t.Any, _query: t.Any) -> Answer:
        entry = self.paths.get(path)
        if entry is None:
            return _errors(404)
        versions = {
            str(number): {name: value for name, value in version.items() if name != "data"}
            for number, version in entry.versions.items()
        }
        newest = entry.versions[entry.current]["created_time"] if entry.current in entry.versions else _now()
        told = {
            "cas_required": entry.cas_required,
            "created_time": newest,
            "current_version": entry.current,
            "custom_metadata": entry.custom or None,
            "delete_version_after": "0s",
            "max_versions": entry.max_versions,
            "oldest_version": min(entry.versions, default=0),
            "updated_time": newest,
            "versions": versions,
        }
        return _json(200, {"data": told})

    def _post_metadata(self, path: str, body: dict[str, t.Any], _query: t.Any) -> Answer:
        custom = body.get("custom_metadata")
        if custom is not None:
            long = any(len(name) > 128 or len(value) > 512 or not value for name, value in custom.items())
            if len(custom) > 64 or long:
                return _errors(400, "custom_metadata validation failed")
        entry = self.paths.setdefault(path, Path())
        if custom is not None:
            entry.custom = dict(custom)
        entry.max_versions = int(body.get("max_versions", entry.max_versions))
        return Answer(204, {}, b"")

    def _delete_metadata(self, path: str, _body: t.Any, _query: t.Any) -> Answer:
        self.paths.pop(path, None)
        return Answer(204, {}, b"")

    def make_older(self, path: str, days: float) -> None:
        for version in self.paths[path].versions.values():
            version["created_time"] = _now(-days)


def _now(days: float = 0) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


def _json(status: int, body: t.Any) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _errors(status: int, *errors: str) -> Answer:
    return _json(status, {"errors": list(errors)})
