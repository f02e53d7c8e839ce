# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real rpm packages, repositories of them with advisories, and a system of their own that real dnf and rpm work on."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing as t
import xml.sax.saxutils

_BUILT: dict[str, bytes] = {}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLUGINS = pathlib.Path("/usr/lib/python3/dist-packages/dnf-plugins")
#: What scripts of packages are run with. rpm runs them in the system that they are installed to.
_PROGRAMS = ("/bin/sh", "/bin/sleep")


def _run(*argv: str, **more: t.Any) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Rpm:
    """What `rpmbuild` makes a package of. `scripts`: by the section of the spec file, like "post"."""

    name: str
    version: str
    release: str = "1"
    requires: str = ""
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    configs: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Of configuration files that somebody changed, leave the changed one in its place.
    keeps_changed: bool = True
    scripts: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: More lines of the spec file's first part.
    fields: tuple[str, ...] = ()

    @property
    def evr(self) -> str:
        return f"{self.version}-{self.release}"

    @property
    def file(self) -> str:
        return f"{self.name}-{self.evr}.noarch.rpm"

    def _spec(self) -> str:
        lines = [f"Name: {self.name}", f"Version: {self.version}", f"Release: {self.release}", "BuildArch: noarch"]
        lines += [f"Summary: {self.name} of a test", "License: GPL-3.0-or-later", "AutoReqProv: no"]
        lines += [*([f"Requires: {self.requires}"] if self.requires else []), *self.fields]
        lines += ["%description", self.name, "%install", 'mkdir -p %{buildroot}; cp -a "%{_tree}/." %{buildroot}/']
        for section, text in self.scripts.items():
            lines += [f"%{section}", text]
        lines += ["%files", *self.files]
        lines += [f"%config{'(noreplace)' if self.keeps_changed else ''} {name}" for name in self.configs]
        return "\n".join(lines) + "\n"

    def build(self, directory: pathlib.Path) -> pathlib.Path:
        """Have it in a directory; the same package is made once."""
        made = directory / self.file
        key = repr(self)
        if key not in _BUILT:
            with tempfile.TemporaryDirectory() as scratch:
                _BUILT[key] = self._make(pathlib.Path(scratch)).read_bytes()
        made.write_bytes(_BUILT[key])
        return made

    def _make(self, scratch: pathlib.Path) -> pathlib.Path:
        tree = scratch / "tree"
        tree.mkdir()
        for name, text in {**self.files, **self.configs}.items():
            path = tree / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (scratch / "a.spec").write_text(self._spec())
        macros = {"_topdir": str(scratch), "_tree": str(tree), "__os_install_post": "%{nil}", "_build_id_links": "none"}
        macros.update(_binary_payload="w1.gzdio", _rpmdir=str(scratch), _dbpath=str(scratch / "db"))
        words = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        _run("rpmbuild", "--quiet", "-bb", *words, str(scratch / "a.spec"))
        return scratch / "noarch" / self.file


@dataclasses.dataclass(frozen=True)
class Advisory:
    """One entry of a repository's updateinfo.xml."""

    id: str
    packages: tuple[Rpm, ...]
    severity: str = "Important"
    cves: tuple[str, ...] = ()
    type: str = "security"

    def xml(self) -> str:
        quote = xml.sax.saxutils.escape
        cves = "".join(f'<reference href="" id="{cve}" type="cve" title="{cve}"/>' for cve in self.cves)
        packages = "".join(
            f'<package name="{one.name}" version="{one.version}" release="{one.release}" epoch="0" arch="noarch">'
            f"<filename>{one.file}</filename></package>"
            for one in self.packages
        )
        head = f'<update from="a@example.org" status="stable" type="{self.type}" version="1"><id>{quote(self.id)}</id>'
        about = f'<title>t</title><issued date="2026-11-01 00:00:00"/><severity>{self.severity}</severity>'
        rest = f"<references>{cves}</references><description>x</description>"
        listed = f'<pkglist><collection short="t"><name>t</name>{packages}</collection></pkglist>'
        return f"{head}{about}{rest}{listed}</update>"


class RpmRepository:
    """One repository, on a web server's disk."""

    def __init__(self, root: pathlib.Path, has_advisories: bool = True) -> None:
        self.root, self.has_advisories = root, has_advisories
        self._packages: list[Rpm] = []
        self._advisories: list[Advisory] = []
        self._modules = ""
        root.mkdir(parents=True)
        self.publish()

    def publish(
        self, *packages: Rpm, advisories: t.Sequence[Advisory] = (), replace: bool = False, revision: int = 0
    ) -> None:
        """Add packages (or have only these) and write the lists anew. `revision`: when they say that they were made."""
        self._packages = [*([] if replace else self._packages), *packages]
        self._advisories += advisories
        wanted = {one.file for one in self._packages}
        for path in self.root.glob("*.rpm"):
            if path.name not in wanted:
                path.unlink()
        for package in self._packages:
            if not (self.root / package.file).exists():
                package.build(self.root)
        at = ["--revision", str(revision), "--set-timestamp-to-revision"] if revision else []
        _run("createrepo_c", "--quiet", "--no-database", "--general-compress-type=gz", *at, str(self.root))
        if self.has_advisories:
            self._add("updateinfo.xml", f"<updates>{''.join(one.xml() for one in self._advisories)}</updates>")
        if self._modules:
            self._add("modules.yaml", self._modules)
        if revision:
            index = self.root / "repodata/repomd.xml"
            text = re.sub(r"<timestamp>\d+</timestamp>", f"<timestamp>{revision}</timestamp>", index.read_text())
            index.write_text(text)

    def publish_stream(self, name: str, stream: str, *packages: Rpm) -> None:
        """Packages that belong to a stream of a module, which nobody has enabled."""
        artifacts = ", ".join(f"{one.name}-0:{one.evr}.noarch" for one in packages)
        data = f"name: {name}, stream: '{stream}', version: 1, context: c0ffee42, arch: x86_64, summary: x"
        data += f", description: x, license: {{module: [GPL]}}, artifacts: {{rpms: [{artifacts}]}}"
        self._modules += f"---\ndocument: modulemd\nversion: 2\ndata: {{{data}}}\n...\n"
        self.publish(*packages)

    def _add(self, name: str, text: str) -> None:
        """One more kind of list, by the name of its file."""
        with tempfile.TemporaryDirectory() as scratch:
            made = pathlib.Path(scratch) / name
            made.write_text(text)
            kind = name.partition(".")[0]
            _run("modifyrepo_c", f"--mdtype={kind}", str(made), str(self.root / "repodata"))


class RpmSystem:
    """A root of its own with a dnf and an rpm that know nothing of this machine."""

    def __init__(self, root: pathlib.Path) -> None:
        # rpm changes its root to run the scripts of packages.
        assert os.geteuid() == 0, "this test installs rpm packages into a directory: run it as root (or in a container)"
        self.root = root
        for name in ("etc/yum.repos.d", "etc/dnf/plugins", "etc/dnf/vars", "boot", "usr", "run", "tmp", "var/lib/rpm"):
            (root / name).mkdir(parents=True)
        (root / "etc/os-release").write_text('ID="rocky"\nVERSION_ID="9.6"\n')
        # Two of the many that dnf would load each time.
        (root.parent / "plugins").mkdir()
        for name in ("versionlock.py", "needs_restarting.py"):
            (root.parent / "plugins" / name).symlink_to(_PLUGINS / name)
        self.configuration = root / "etc/dnf/dnf.conf"
        self.environment = {"STEWARD_DNF_CONFIG": str(self.configuration), "PATH": _PATH, "LC_ALL": "C.UTF-8"}
        self.configure()
        self.versionlock()
        for program in _PROGRAMS:
            self._bring(program)

    def configure(self, *more: str) -> None:
        lines = ["[main]", f"installroot={self.root}", f"reposdir={self.root}/etc/yum.repos.d", "gpgcheck=0"]
        lines += [f"pluginconfpath={self.root}/etc/dnf/plugins", f"varsdir={self.root}/etc/dnf/vars", "proxy="]
        lines += [f"pluginpath={self.root.parent}/plugins"]
        # As Red Hat's own: what cannot be reached is passed over.
        lines += ["best=True", "skip_if_unavailable=True", "module_platform_id=platform:el9", "retries=1", "timeout=10"]
        self.configuration.write_text("\n".join([*lines, *more]) + "\n")

    def _bring(self, program: str) -> None:
        """A program of this machine with what it is linked with."""
        told = _run("ldd", program)
        for path in [program, *re.findall(r"(/\S+) \(0x", told)]:
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(path), target)

    def repository(self, name: str, url: str, *more: str) -> None:
        lines = [f"[{name}]", f"name={name}", f"baseurl={url}", "enabled=1", *more]
        (self.root / f"etc/yum.repos.d/{name}.repo").write_text("\n".join(lines) + "\n")

    def versionlock(self, *lines: str) -> None:
        place = self.root / "etc/dnf/plugins"
        (place / "versionlock.conf").write_text(f"[main]\nenabled=1\nlocklist={place}/versionlock.list\n")
        (place / "versionlock.list").write_text("".join(f"{line}\n" for line in lines))

    def run(self, *argv: str) -> str:
        return _run(*argv, env={**os.environ, **self.environment})

    def dnf(self, *arguments: str) -> str:
        place = ("--config", str(self.configuration), "--installroot", str(self.root))
        return self.run("dnf", *place, "-q", "-y", *arguments)

    def rpm(self, *arguments: str) -> str:
        return self.run("rpm", "--root", str(self.root), *arguments)

    def install(self, *packages: Rpm) -> None:
        """As they were installed long ago: not from any repository."""
        with tempfile.TemporaryDirectory() as scratch:
            made = [str(package.build(pathlib.Path(scratch))) for package in packages]
            self.rpm("-U", "--nosignature", *made)

    def versions(self) -> dict[str, str]:
        """Of each package; several, with a space between, where there are several."""
        told = self.rpm("-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n")
        found: dict[str, list[str]] = {}
        for line in told.splitlines():
            name, version = line.split()
            found.setdefault(name, []).append(version)
        return {name: " ".join(sorted(versions)) for name, versions in sorted(found.items())}

    def everything(self) -> dict[str, bytes]:
        """All files with what is in them, to see that nothing was touched. rpm's database notes who reads it."""
        files = [path for path in sorted(self.root.rglob("*")) if path.is_file() and not path.is_symlink()]
        return {str(path): path.read_bytes() for path in files if path.suffix not in (".sqlite-shm", ".sqlite-wal")}
