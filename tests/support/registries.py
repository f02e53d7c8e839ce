# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins on loopback for what pip, pip-audit and npm ask: an index of Python packages (with wheels), OSV, an npm
registry with its bulk advisories. Each part can be made to fail in the ways in which such services fail.

    with Registries(catalogue) as registries:
        registries.faults["bulk"] = "500"
"""

from __future__ import annotations

import base64
import collections
import datetime
import email.utils
import gzip
import hashlib
import http.server
import io
import json
import sys
import threading
import typing as t
import urllib.parse
import zipfile

from .tarballs import npm_dist, npm_manifest, npm_tarball

#: What can fail: OSV's queries, its records, the pages of the index, packages of npm, advisories of npm.
PARTS = ("osv", "vulns", "simple", "packument", "bulk")
#: How it can fail while something answers. Beside these: nothing answers at all (see Registries.dead_url).
FAULTS = ("403", "404", "500", "slow", "truncated", "torn", "empty", "hollow", "page", "stale")

Table = dict[str, t.Any]


def python_package(*versions: str, **more: t.Any) -> Table:
    """Versions of a Python package; `more`: needs (Requires-Dist), python (Requires-Python), urls, uploaded, yanked."""
    return {version: dict(more) for version in versions}


def advisory(id: str, package: str, versions: t.Sequence[str], **more: t.Any) -> Table:
    """An advisory. `more`: ecosystem, aliases, fixed, range (npm's), severity, vector, title, schema_version."""
    return {"id": id, "package": package, "versions": list(versions), "ecosystem": "PyPI", **more}


def canaries() -> Table:
    """A catalogue with nothing but the two canaries."""
    return {
        "python": {"pyyaml": python_package("5.3", "6.0.2")},
        "node": {"minimist": {"0.0.8": {}, "1.2.8": {}}},
        "advisories": [
            advisory("PYSEC-2021-142", "pyyaml", ["5.3"], aliases=["CVE-2020-14343", "GHSA-8q59-q68h-6hv4"],
                     fixed=["5.4"], severity="CRITICAL", title="arbitrary code execution"),
            advisory("GHSA-vh95-rmgr-6w4m", "minimist", ["0.0.8"], ecosystem="npm", aliases=["CVE-2020-7598"],
                     range="<0.2.1", severity="moderate", title="prototype pollution"),
        ],
    }  # fmt: skip


class Registries:
    """Use as a context manager. `faults` maps a part to what is wrong with it; `asked` counts the requests by part."""

    def __init__(self, catalogue: Table, slow_seconds: float = 6) -> None:
        self.catalogue = catalogue
        self.faults: dict[str, str] = {}
        self.only: dict[str, str] = {}
        self.asked: collections.Counter[str] = collections.Counter()
        self.page_size = 1000
        self.slow_seconds = slow_seconds
        self.stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"registries": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Registries:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def osv_url(self) -> str:
        return f"{self.url}/v1/query"

    @property
    def index_url(self) -> str:
        return f"{self.url}/simple"

    @property
    def npm_url(self) -> str:
        return f"{self.url}/npm/"

    def environment(self) -> dict[str, str]:
        """What makes pip and npm ask here, whatever the machine is set to."""
        return {
            "PIP_INDEX_URL": self.index_url,
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_EXTRA_INDEX_URL": "",
            "npm_config_registry": self.npm_url,
            "npm_config_userconfig": "/nonexistent/npmrc",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that went away, because it would not wait any longer for example, is none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    registries: Registries
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: t.Any) -> None:
        return

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path.startswith("/simple/"):
            name = path.split("/")[2]
            self._answer("simple", lambda: self._simple(name), "application/vnd.pypi.simple.v1+json", name)
        elif path.startswith("/files/"):
            self._file(path.rpartition("/")[2])
        elif path.startswith("/v1/vulns/"):
            self._answer("vulns", lambda: self._record(path.rpartition("/")[2]))
        elif path.startswith("/npm/") and path.endswith(".tgz"):
            self._tarball(path)
        elif path.startswith("/changes/"):
            found = self.registries.catalogue.get("changes", {}).get(path.rpartition("/")[2])
            self._send(200 if found else 404, (found or "").encode(), "text/plain")
        elif path.startswith("/npm/"):
            self._answer("packument", lambda: self._packument(path[len("/npm/") :]), subject=path[len("/npm/") :])
        elif path == "/stamp":
            self._answer("stamp", lambda: self.registries.catalogue.get("stamp"))
        else:
            self._send(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        asked = json.loads(body)
        path = urllib.parse.urlsplit(self.path).path
        if path == "/v1/query":
            self._answer("osv", lambda: self._query(asked), subject=asked["package"]["name"])
        elif path == "/v1/querybatch":
            self._answer("batch", lambda: {"results": [self._batch(one) for one in asked["queries"]]})
        elif path.endswith("/-/npm/v1/security/advisories/bulk"):
            self._answer("bulk", lambda: self._bulk(asked))
        else:
            self._send(404, b"{}")

    # -- what is answered ----------------------------------------------------------------------------------------------

    def _advisories(self, ecosystem: str, name: str, version: str) -> list[Table]:
        return [
            one
            for one in self.registries.catalogue["advisories"]
            if (one["ecosystem"], one["package"]) == (ecosystem, name) and version in one["versions"]
        ]

    def _query(self, asked: Table) -> Table:
        name, ecosystem = asked["package"]["name"], asked["package"]["ecosystem"]
        vulns = [_osv_record(one) for one in self._advisories(ecosystem, name, asked["version"])]
        first = int(asked.get("page_token") or 0)
        page = vulns[first : first + self.registries.page_size]
        more = {"next_page_token": str(first + len(page))} if first + len(page) < len(vulns) else {}
        return {"vulns": page, **more} if vulns else {}

    def _batch(self, asked: Table) -> Table:
        told = self._query(asked) if self.registries.faults.get("batch") != "silent" else {}
        if "vulns" in told:
            told["vulns"] = [{"id": one["id"], "modified": one["modified"]} for one in told["vulns"]]
        return told

    def _record(self, id: str) -> Table | None:
        for one in self.registries.catalogue["advisories"]:
            if id == one["id"] or id in one.get("aliases", []):
                return _osv_record(one)
        return None

    def _simple(self, name: str) -> Table | None:
        versions = self.registries.catalogue["python"].get(name)
        if versions is None:
            return None
        files = []
        for version, more in versions.items():
            wheel = _wheel(name, version, more)
            filename = _wheel_name(name, version)
            metadata = hashlib.sha256(_metadata(name, version, more).encode()).hexdigest()
            files.append({
                "filename": filename,
                "url": f"{self.registries.url}/files/{filename}",
                "hashes": {"sha256": more.get("hash") or hashlib.sha256(wheel).hexdigest()},
                "requires-python": more.get("python"),
                "core-metadata": {"sha256": metadata},
                "upload-time": more.get("uploaded", "2020-01-01T00:00:00.000000Z"),
                "yanked": more.get("yanked", False),
                "size": len(wheel),
            })  # fmt: skip
        return {"meta": {"api-version": "1.1"}, "name": name, "versions": list(versions), "files": files}

    def _file(self, filename: str) -> None:
        is_metadata = filename.endswith(".metadata")
        stem = filename[: -len(".metadata")] if is_metadata else filename
        name, version = stem.split("-")[:2]
        versions = self.registries.catalogue["python"].get(name.replace("_", "-"), {})
        if version not in versions:
            self._send(404, b"")
            return
        real = name.replace("_", "-")
        body = (
            _metadata(real, version, versions[version]).encode()
            if is_metadata
            else _wheel(real, version, versions[version])
        )
        self._send(200, body, "application/octet-stream")

    def _packument(self, name: str) -> Table | None:
        versions = self.registries.catalogue["node"].get(name)
        if versions is None:
            return None
        latest = list(versions)[-1]
        return {
            "name": name,
            "dist-tags": {"latest": latest},
            "versions": {
                version: {**npm_manifest(name, version, more),
                          "dist": npm_dist(self.registries.npm_url, name, version, more)}
                for version, more in versions.items()
            },
            "time": {version: more.get("uploaded", "2020-01-01T00:00:00.000Z") for version, more in versions.items()},
            "repository": {"type": "git", "url": f"git+https://github.com/example/{name.rpartition('/')[2]}.git"},
        }  # fmt: skip

    def _tarball(self, path: str) -> None:
        name, _dash, file = path[len("/npm/") :].partition("/-/")
        version = file[len(name.rpartition("/")[2]) + 1 : -len(".tgz")]
        more = self.registries.catalogue["node"].get(name, {}).get(version)
        fault = self.registries.faults.get("tarball", "")
        self.registries.asked["tarball"] += 1
        if more is None or fault.isdigit():
            self._send(int(fault or 404), b"")
        else:
            told = {**more, "changelog": "somebody else's"} if fault == "other" else more
            self._send(200, npm_tarball(name, version, told), "application/octet-stream")

    def _bulk(self, asked: dict[str, list[str]]) -> Table:
        found: Table = {}
        for name, versions in asked.items():
            unique = {one["id"]: one for version in versions for one in self._advisories("npm", name, version)}
            if unique:
                found[name] = [_npm_advisory(number, one) for number, one in enumerate(unique.values(), 1000)]
        return found

    # -- how it is answered --------------------------------------------------------------------------------------------

    def _answer(
        self, part: str, content: t.Callable[[], t.Any], kind: str = "application/json", subject: str = ""
    ) -> None:
        self.registries.asked[part] += 1
        fault = self.registries.faults.get(part, "")
        if fault and self.registries.only.get(part, subject) != subject:
            fault = ""
        if fault.isdigit():
            self._send(int(fault), b'{"error": "as asked for"}')
            return
        if fault == "slow" and self.registries.stopping.wait(self.registries.slow_seconds):
            return
        found = content()
        if found is None:
            self._send(404, b'{"error": "not found"}')
            return
        body = json.dumps(found).encode()
        if fault in ("empty", "hollow", "page"):
            body = {"empty": b"", "hollow": b"{}", "page": b"<!DOCTYPE html><html><body>Please log in</body></html>"}[
                fault
            ]
            kind = "text/html" if fault == "page" else kind
        if fault == "truncated":
            body = body[: len(body) // 2]
        headers = {}
        if fault == "stale":
            long_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)
            headers = {"Age": "259200", "Date": email.utils.format_datetime(long_ago, usegmt=True)}
        self._send(200, body, kind, headers, torn=fault == "torn")

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: t.Mapping[str, str] = {},
        torn: bool = False,
    ) -> None:
        self.send_response_only(status)
        for name, value in {"Date": self.date_time_string(), "Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if torn else body)
        if torn:
            self.close_connection = True


def _osv_record(one: Table) -> Table:
    record: Table = {
        "id": one["id"],
        "schema_version": one.get("schema_version", "1.6.0"),
        "aliases": one.get("aliases", []),
        "summary": one.get("title", "a vulnerability"),
        "modified": "2026-01-02T00:00:00Z",
        "published": one.get("published", "2026-01-01T00:00:00Z"),
        "affected": [
            {
                "package": {"name": one["package"], "ecosystem": one["ecosystem"]},
                "ranges": [
                    {
                        "type": "ECOSYSTEM" if one["ecosystem"] == "PyPI" else "SEMVER",
                        "events": [{"introduced": "0"}, *({"fixed": version} for version in one.get("fixed", []))],
                    }
                ],
                "versions": one["versions"],
            }
        ],
    }
    for name, fixes in one.get("also", {}).items():
        events = [{"introduced": "0"}, *({"fixed": version} for version in fixes)]
        package = {"name": name, "ecosystem": one["ecosystem"]}
        record["affected"].append({"package": package, "ranges": [{"type": "SEMVER", "events": events}]})
    if one.get("severity"):
        record["database_specific"] = {"severity": one["severity"].upper()}
    if one.get("vector"):
        record["severity"] = [{"type": "CVSS_V3", "score": one["vector"]}]
    if one.get("withdrawn"):
        record["withdrawn"] = one["withdrawn"]
    return record


def _npm_advisory(number: int, one: Table) -> Table:
    return {
        "id": number,
        "url": f"https://github.com/advisories/{one['id']}",
        "title": one.get("title", "a vulnerability"),
        "severity": one.get("severity", "high"),
        "vulnerable_versions": one["range"],
        "cwe": ["CWE-1"],
        "cvss": {"score": 0, "vectorString": None},
    }


def _wheel_name(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def _metadata(name: str, version: str, more: Table) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {need}" for need in more.get("needs", [])]
    lines += [f"Project-URL: {label}, {url}" for label, url in more.get("urls", {}).items()]
    lines += [f"Requires-Python: {more['python']}"] if more.get("python") else []
    return "\n".join(lines) + "\n\nA package of the tests.\n"


def _wheel(name: str, version: str, more: Table) -> bytes:
    """A real wheel, the same bytes each time."""
    stem = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{stem}/METADATA": _metadata(name, version, more),
        f"{stem}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{stem}/RECORD"] = "\n".join([*lines, f"{stem}/RECORD,,"]) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def wheel_hash(name: str, version: str, more: Table) -> str:
    return hashlib.sha256(_wheel(name, version, more)).hexdigest()
