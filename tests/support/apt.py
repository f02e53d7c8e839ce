# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packages, signed repositories of them, and a system of their own that the real apt and dpkg work on."""

from __future__ import annotations

import dataclasses
import email.utils
import functools
import hashlib
import http.server
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import typing as t

#: As the archives of a Debian release call themselves: label, codename. Suites are renamed when a release ages.
MAIN = ("Debian", "bookworm")
SECURITY = ("Debian-Security", "bookworm-security")
_BUILT: dict[str, bytes] = {}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _run(*argv: str, **more: t.Any) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def architecture() -> str:
    return _run("dpkg", "--print-architecture").strip()


@dataclasses.dataclass(frozen=True)
class Package:
    """What `dpkg-deb` makes a package of."""

    name: str
    version: str
    depends: str = ""
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    conffiles: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    scripts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    installed_kib: int = 1
    #: More lines of the control file, or of its entry in a repository.
    fields: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    listed: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{architecture()}.deb"

    def control(self) -> str:
        lines = [f"Package: {self.name}", f"Version: {self.version}", f"Architecture: {architecture()}"]
        lines += ["Maintainer: Nobody <nobody@example.org>", "Section: misc", "Priority: optional"]
        lines += [f"Installed-Size: {self.installed_kib}", *([f"Depends: {self.depends}"] if self.depends else [])]
        lines += [f"{name}: {value}" for name, value in self.fields.items()]
        return "\n".join([*lines, f"Description: {self.name} of a test"]) + "\n"

    def build(self, directory: pathlib.Path) -> pathlib.Path:
        """Have it in a directory; the same package is made once."""
        made = directory / self.file
        key = repr(self)
        if key not in _BUILT:
            self._make(made)
            _BUILT[key] = made.read_bytes()
        made.write_bytes(_BUILT[key])
        return made

    def _make(self, made: pathlib.Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            tree = pathlib.Path(scratch) / "tree"
            control = tree / "DEBIAN"
            control.mkdir(parents=True)
            (control / "control").write_text(self.control())
            if self.conffiles:
                (control / "conffiles").write_text("".join(f"{name}\n" for name in self.conffiles))
            for name, text in self.scripts.items():
                (control / name).write_text(f"#!/bin/sh\nset -e\n{text}\n")
                (control / name).chmod(0o755)
            for name, text in {**self.files, **self.conffiles}.items():
                path = tree / name.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            tree.chmod(0o755)
            _run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(made))


class Signer:
    """A key of a test's own. Its home has a short path: gpg-agent puts a socket there."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="stg")
        self._gpg("--passphrase", "", "--quick-gen-key", "Test archive <archive@example.org>", "ed25519", "sign", "0")
        self.public = self._gpg("--export", text=False)

    def _gpg(self, *arguments: str, text: bool = True, given: str | None = None) -> t.Any:
        argv = ["gpg", "--homedir", self._home, "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]
        done = subprocess.run([*argv, *arguments], input=given, capture_output=True, text=text, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sign(self, text: str) -> str:
        return str(self._gpg("--clearsign", "--digest-algo", "SHA512", given=text))

    def close(self) -> None:
        _run("gpgconf", "--homedir", self._home, "--kill", "gpg-agent")
        shutil.rmtree(self._home, ignore_errors=True)


class Archive:
    """One suite of a repository, on a web server's disk."""

    def __init__(self, root: pathlib.Path, signer: Signer, label: str, codename: str, suite: str = "stable") -> None:
        self.root, self.signer, self.label, self.codename, self.suite = root, signer, label, codename, suite
        self._packages: list[Package] = []
        self._written = 0
        (root / "pool").mkdir(parents=True, exist_ok=True)
        self.publish()

    def publish(
        self, *packages: Package, replace: bool = False, at: float | None = None, valid_until: str = ""
    ) -> None:
        """Add packages (or have only these) and sign the lists anew."""
        self._packages = [*([] if replace else self._packages), *packages]
        entries = []
        for package in self._packages:
            path = self.root / "pool" / package.file
            if not path.exists():
                package.build(self.root / "pool")
            data = path.read_bytes()
            listed = {"Filename": f"pool/{package.file}", "Size": str(len(data)), **package.listed}
            listed["SHA256"] = hashlib.sha256(data).hexdigest()
            entries.append(package.control() + "".join(f"{name}: {value}\n" for name, value in listed.items()))
        content = "\n".join(entries).encode()
        name = f"main/binary-{architecture()}/Packages"
        place = self.root / "dists" / self.codename
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
        lines = [f"Origin: Debian\nLabel: {self.label}\nSuite: {self.suite}\nCodename: {self.codename}"]
        lines += [f"Date: {email.utils.formatdate(at, usegmt=True)}", f"Architectures: {architecture()}"]
        lines += [*([f"Valid-Until: {valid_until}"] if valid_until else []), "Components: main"]
        lines += [f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} {name}"]
        (place / "InRelease").write_text(self.signer.sign("\n".join(lines) + "\n"))
        # A web server tells changes by the second; two in one second would be one.
        self._written = max(int(time.time()), self._written + 1)
        for path in (place / name, place / "InRelease"):
            os.utime(path, (self._written, self._written))


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: t.Any) -> None:
        pass

    def do_GET(self) -> None:
        broken = t.cast("Web", self.server.web)  # type: ignore[attr-defined]
        status = next((code for part, code in broken.faults.items() if part in self.path), 0)
        if status:
            self.send_error(status)
        else:
            super().do_GET()


class Web:
    """The web server of all archives of a test. `faults`: part of a path -> the status that it answers with."""

    def __init__(self, root: pathlib.Path) -> None:
        self.faults: dict[str, int] = {}
        handler = functools.partial(_Handler, directory=str(root))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.web = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class System:
    """A root of its own with a dpkg and an apt that know nothing of this machine's packages."""

    def __init__(self, root: pathlib.Path, signer: Signer) -> None:
        self.root = root
        for name in ("apt.conf.d", "sources.list.d", "preferences.d", "trusted.gpg.d"):
            (root / "etc/apt" / name).mkdir(parents=True)
        for name in (
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
            "boot",
            "run",
            "usr",
        ):
            (root / name).mkdir(parents=True)
        for name in ("info", "updates", "triggers"):
            (root / "var/lib/dpkg" / name).mkdir(parents=True)
        for name in ("status", "available"):
            (root / "var/lib/dpkg" / name).write_text("")
        (root / "etc/os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
        (root / "etc/apt/archive.gpg").write_bytes(signer.public)
        self._write_configuration()
        self.environment = {"APT_CONFIG": str(root / "apt.conf"), "PATH": _PATH, "LC_ALL": "C.UTF-8"}

    def _write_configuration(self, more: str = "") -> None:
        options = [f"--root={self.root}", "--force-script-chrootless", "--force-not-root", "--log=/dev/null"]
        options.append("--force-unsafe-io")
        lines = [f'Dir "{self.root}/";', f'Dir::State::status "{self.root}/var/lib/dpkg/status";']
        lines += [f'APT::Architecture "{architecture()}";', f'APT::Architectures {{ "{architecture()}"; }};']
        lines += [f'DPkg::Options:: "{option}";' for option in options]
        lines += ['DPkg::Path "";', 'APT::Sandbox::User "";', 'Acquire::http::Proxy "DIRECT";']
        lines += ['Acquire::Languages "none";', 'Dir::Etc::Trusted "";', "Acquire::Retries 0;", more]
        (self.root / "apt.conf").write_text("\n".join(lines) + "\n")

    def configure(self, more: str) -> None:
        self._write_configuration(more)

    def source(self, name: str, url: str, codename: str) -> None:
        line = f"deb [signed-by={self.root}/etc/apt/archive.gpg] {url} {codename} main\n"
        (self.root / "etc/apt/sources.list.d" / f"{name}.list").write_text(line)

    def run(self, *argv: str) -> str:
        return _run(*argv, env={**os.environ, **self.environment})

    def apt(self, *arguments: str) -> str:
        return self.run("apt-get", "-qq", *arguments)

    def dpkg(self, *arguments: str) -> str:
        options = ("--force-script-chrootless", "--force-not-root", "--log=/dev/null", "--force-unsafe-io")
        return self.run("dpkg", f"--root={self.root}", *options, *arguments)

    def install(self, *packages: Package) -> None:
        """As they were installed long ago: not from any source."""
        with tempfile.TemporaryDirectory() as scratch:
            made = [str(package.build(pathlib.Path(scratch))) for package in packages]
            self.dpkg("--install", *made)

    def versions(self) -> dict[str, str]:
        """Of the packages that are wholly installed."""
        form = "${Package} ${Version} ${db:Status-Abbrev}\n"
        told = self.run("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "--show", f"--showformat={form}")
        lines = [line.split() for line in told.splitlines()]
        return {name: version for name, version, *state in lines if state[0][1:] == "i"}

    def states(self) -> dict[str, str]:
        form = "${Package} ${db:Status-Status}\n"
        told = self.run("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "--show", f"--showformat={form}")
        return dict(line.split() for line in told.splitlines())

    def everything(self) -> dict[str, tuple[int, bytes]]:
        """All files with when they were last written and what is in them: to see that nothing was touched."""
        files = [path for path in sorted(self.root.rglob("*")) if path.is_file() and not path.is_symlink()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
