# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System packages: what the chosen layers need, found by looking for it, installed by apt where that is allowed."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import importlib.util
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import typing as t

from .places import ROOT, cache, unpacked


@dataclasses.dataclass(frozen=True)
class Need:
    """A Debian package, and how to see that what it brings is there: names of programs, or a pattern of a path.

    Without a sign, the package itself is asked for.
    """

    package: str
    sign: str = ""

    @property
    def is_met(self) -> bool:
        if "/" in self.sign:
            return bool(glob.glob(self.sign))
        if self.sign:
            path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
            return any(shutil.which(name, path=path) for name in self.sign.split())
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", self.package]
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


GIT = Need("git", "git")
POSTGRES = Need("postgresql", "/usr/lib/postgresql/*/bin/initdb")
PGBACKREST = Need("pgbackrest", "pgbackrest")
AGE = Need("age", "age")
ZSTD = Need("zstd", "zstd")
JOURNAL = Need("systemd-journal-remote", "/lib/systemd/systemd-journal-remote")
PROMTOOL = Need("prometheus", "promtool")
NGINX = Need("nginx", "nginx")
PEBBLE = Need("pebble", "pebble")
#: The package with the program alone, without a unit.
APACHE = Need("apache2-bin", "apache2")
#: It is linked with the libraries of Apache's program and with two more.
HAPROXY = Need("haproxy", "haproxy")
TRACING = Need("libopentracing-c-wrapper0", "/usr/lib/*/libopentracing-c-wrapper.so.0")
LUA = Need("liblua5.3-0", "/usr/lib/*/liblua5.3.so.0")
#: Dynamic updates of a zone, and the server that takes them; the former brings the latter's libraries.
NSUPDATE = Need("bind9-dnsutils", "nsupdate")
NAMED = Need("bind9", "named")
NPM = Need("npm", "npm")
PGBOUNCER = Need("pgbouncer", "pgbouncer")
#: It speaks to Podman, which is there for the test bed: no daemon of Docker is needed.
COMPOSE = Need("docker-compose", "docker-compose")
#: What the unpacked PgBouncer is linked with.
CARES = Need("libc-ares2", "/usr/lib/*/libcares.so.2")
EVENT = Need("libevent-2.1-7", "/usr/lib/*/libevent-2.1.so.7")
#: Archives of packages are signed with it; the agent makes the key.
GPG = (Need("gpg", "gpg"), Need("gpg-agent", "gpg-agent"))
#: rpm packages are made, listed and installed with these, into directories. On Debian none of them touches the system's
#: own packages.
RPM = (
    Need("rpm", "rpmbuild"),
    Need("createrepo-c", "createrepo_c"),
    Need("dnf", "dnf"),
    Need("dnf-plugins-core", "/usr/lib/python3/dist-packages/dnf-plugins/versionlock.py"),
)
#: Servers of mail and of a directory. None of them is ever installed here.
EXIM = Need("exim4-daemon-light", "exim4")
DOVECOT = Need("dovecot-imapd", "dovecot")
SLAPD = Need("slapd", "slapd")
CHROMIUM = Need("chromium", "chromium chromium-browser google-chrome google-chrome-stable")

#: Taken out of their packages, for installing those may start a server, and no more of them is wanted than the program:
#: the names of the package by release, and the path.
UNPACKED = {
    PROMTOOL: (("promtool", "prometheus"), "usr/bin/promtool"),
    NGINX: (("nginx",), "usr/sbin/nginx"),
    PEBBLE: (("pebble",), "usr/bin/pebble"),
    HAPROXY: (("haproxy",), "usr/sbin/haproxy"),
    NAMED: (("bind9",), "usr/sbin/named"),
    PGBOUNCER: (("pgbouncer",), "usr/sbin/pgbouncer"),
    EXIM: (("exim4-daemon-light",), "usr/sbin/exim4"),
    DOVECOT: (("dovecot-imapd",), "usr/sbin/dovecot"),
    SLAPD: (("slapd",), "usr/sbin/slapd"),
}
#: Of these all files are taken, with those of the packages that they need and that are not here: they look for one
#: another below /usr, and so tests lay them over it for the server alone (tests/support/unpacked.py).
WHOLE = (EXIM, DOVECOT, SLAPD)


def containers() -> list[Need]:
    """What the test bed asks for, in its own list."""
    return [Need(package) for package in (ROOT / "tests" / "bed" / "apt-packages").read_text().split()]


_APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Acquire::Check-Valid-Until=false", "-qq"]
_NO_CLUSTER = "/etc/postgresql-common/createcluster.d/steward-maintenance.conf"


class MissingPackagesError(Exception):
    """Something of the system is missing and cannot be installed from here; the message names the one command."""


def provide(needs: t.Iterable[Need]) -> None:
    """Install what is missing.

    :raises MissingPackagesError: naming the command, when neither root nor a sudo without password is at hand.
    """
    python = f"python{platform.python_version().rpartition('.')[0]}"
    missing = [need for need in dict.fromkeys(needs) if not need.is_met]
    missing = [need for need in missing if need not in UNPACKED or not _is_whole(need)]
    packages = [need.package for need in missing if need not in UNPACKED]
    if not importlib.util.find_spec("ensurepip"):
        packages.append(f"{python}-venv")
    if not missing and not packages:
        return
    if not shutil.which("apt-get"):
        raise MissingPackagesError(
            f"no apt-get here; install what brings: {' '.join(need.sign or need.package for need in missing)}"
        )
    root = _as_root()
    typed = f"apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
    if root is None and packages:
        raise MissingPackagesError(
            f"system packages are missing, and there is neither root nor sudo without a password. Type:\n  sudo {typed}"
        )
    if root is not None:
        _run([*root, *_APT, "update"])
    for package in [package for package in packages if not _is_offered(package)]:
        # Ubuntu has Chromium as a snap only. The tests that need it fail and say so; the others run.
        print(f"apt offers no package {package}: what needs it will fail")
        packages.remove(package)
    if packages:
        print(f"installing {' '.join(packages)}", flush=True)
        with _no_new_cluster(root or []) if POSTGRES in missing else contextlib.nullcontext():
            _run([*(root or []), *_APT, "install", "-y", "--no-install-recommends", *packages])
    for need in missing:
        if need in UNPACKED and any(_is_offered(name) for name in UNPACKED[need][0]):
            _unpack(need)
        elif need in UNPACKED:
            print(f"apt offers no package {need.package}: what needs it will fail")


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False) if shutil.which("sudo") else None
    return ["sudo", "-n"] if allowed and allowed.returncode == 0 else None


def _is_offered(package: str) -> bool:
    told = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False).stdout
    return "Candidate:" in told and "Candidate: (none)" not in told


def _run(command: list[str], cwd: str | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingPackagesError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _no_new_cluster(root: list[str]) -> t.Iterator[None]:
    """Keep the packages from starting a server on port 5432: only their programs are wanted."""
    script = 'mkdir -p "$(dirname "$0")" && echo "create_main_cluster = false" >"$0"'
    subprocess.run([*root, "sh", "-c", script, _NO_CLUSTER], check=True)
    try:
        yield
    finally:
        subprocess.run([*root, "rm", "-f", _NO_CLUSTER], check=True)


def _tools() -> pathlib.Path:
    return cache() / "tools" / "bin"


def _is_whole(need: Need) -> bool:
    """Whether it is there with the libraries that it is linked with: BIND's have its version in their names."""
    tree = unpacked() / need.sign
    program = tree / UNPACKED[need][1] if need in WHOLE else _tools() / need.sign
    if not program.exists():
        return False
    libraries = os.pathsep.join(map(str, (*tree.glob("usr/lib/*-linux-gnu*"), tree / "usr" / "lib" / need.sign)))
    env = {**os.environ, "LD_LIBRARY_PATH": libraries} if need in WHOLE else None
    told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, env=env, check=False).stdout
    return "not found" not in told


def _unpack(need: Need) -> None:
    """Take a program out of its package, which has one of several names."""
    packages, path = UNPACKED[need]
    if need in WHOLE:
        _unpack_all(packages[0], unpacked() / need.sign)
        return
    _tools().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        _run(["sh", "-c", " || ".join(f"apt-get -qq download {name}" for name in packages)], cwd=scratch)
        _run(["sh", "-c", f"dpkg-deb --fsys-tarfile *.deb | tar -x ./{path}"], cwd=scratch)
        shutil.copy2(pathlib.Path(scratch, path), _tools() / f".{need.sign}")
        os.replace(_tools() / f".{need.sign}", _tools() / need.sign)


def _unpack_all(package: str, tree: pathlib.Path) -> None:
    """Take what is below /usr out of a package and of those that it needs and that are not installed."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    options = ["-o", "Debug::NoLocking=1", "--download-only", "--no-install-recommends", "-y"]
    with tempfile.TemporaryDirectory(dir=tree.parent) as scratch:
        archives = pathlib.Path(scratch, "archives")
        (archives / "partial").mkdir(parents=True)
        _run([*_APT, *options, "-o", f"Dir::Cache::archives={archives}", "install", package])
        made = pathlib.Path(scratch, "tree")
        made.mkdir()
        for archive in archives.glob("*.deb"):
            take_files(archive, made)
        shutil.rmtree(tree, ignore_errors=True)
        os.replace(made, tree)


def take_files(archive: pathlib.Path, directory: pathlib.Path) -> None:
    """What a package has below /usr, readable to all and with nobody's rights."""
    script = "dpkg-deb --fsys-tarfile \"$0\" | tar -x --no-same-owner --wildcards './usr/*'"
    _run(["sh", "-c", script, str(archive)], cwd=str(directory))
    # Exim's program would be root's for whoever starts it. Servers that root starts run as another account.
    _run(["chmod", "-R", "u-s,g-s,a+rX", str(directory)])
