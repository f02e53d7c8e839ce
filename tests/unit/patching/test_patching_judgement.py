# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement of patching: versions, what apt's programs say, who runs replaced files, what is refused."""

from __future__ import annotations

import ctypes
import mmap
import os
import pathlib
import re
import subprocess
import sys
import types
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.patching import holding

from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._patching import (
    archives,
    arguments,
    configuration,
    dpkg,
    looking,
    preflight,
    programs,
    reboot,
    replaced,
    restarting,
    simulation,
    versions,
)

#: As dpkg sorts them.
SORTED = (
    *("0~~", "0~", "0", "0a", "1.0~rc1", "1.0", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1.1"),
    *("1.0-2", "1.0+dfsg-1", "1.0.1", "1.2", "1.10", "1.10a", "1.10+", "2", "1:0.1", "1:0.1-1", "2:0"),
)
_LOOP = (
    "import mmap, sys; file = open(sys.argv[1], 'rb');"
    "code = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC); print(1, flush=True); sys.stdin.read()"
)


def dpkg_says(one: str, relation: str, other: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0


def test_versions_are_sorted_as_dpkg_does() -> None:
    assert tuple(sorted(set(SORTED), key=versions.key)) == SORTED
    for one, other in zip(SORTED, SORTED[1:]):
        assert dpkg_says(one, "lt", other), (one, other)


_TEXT = st.text("0129aZ.+~", min_size=0, max_size=5)


@given(
    one=_TEXT, other=_TEXT, revisions=st.tuples(_TEXT, _TEXT), epochs=st.tuples(st.integers(0, 2), st.integers(0, 2))
)
def test_the_order_is_total_and_ends_do_not_matter(
    one: str, other: str, revisions: tuple[str, str], epochs: tuple[int, int]
) -> None:
    left, right = f"{epochs[0]}:0{one}-{revisions[0]}", f"{epochs[1]}:0{other}-{revisions[1]}"
    assert [versions.is_newer(left, right), versions.is_newer(right, left)].count(True) <= 1
    assert versions.key(f"1.{one}") == versions.key(f"0:1.{one}")
    assert versions.is_newer(f"1.{one}", f"1.{one}~")
    assert versions.key("1.0") == versions.key("1.0-0") == versions.key("01.00")


SIMULATED = """\
The following upgrades have been deferred due to phasing:
  late later:i386
The following packages will be upgraded:
  bash
Remv old [1.0] [needs-old:amd64 ]
Inst bash [5.2.15-2] (5.2.15-2+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libc6:i386 [2.36-9] (2.36-9+deb12u9 Debian-Security:12/oldstable-security [i386]) []
Inst linux-image-6.1.0-35-amd64 (6.1.137-1 Debian-Security:12/oldstable-security [amd64])
Conf bash (5.2.15-2+deb12u1 Debian:12.15/oldstable [amd64])
"""


def test_a_simulation_is_read_line_by_line() -> None:
    found = simulation.read(SIMULATED, "amd64")
    assert found.upgraded == {"bash": ("5.2.15-2", "5.2.15-2+deb12u1"), "libc6:i386": ("2.36-9", "2.36-9+deb12u9")}
    assert found.new == {"linux-image-6.1.0-35-amd64": "6.1.137-1"}
    assert found.removed == {"old": "1.0"}
    assert found.deferred == ("late", "later:i386")


@pytest.mark.parametrize(
    ("origin", "is_security"),
    [
        (archives.Origin("Debian", "Debian-Security", "bookworm-security", "oldstable-security"), True),
        (archives.Origin("Debian", "Debian-Security", "bookworm-security", "stable-security"), True),
        (archives.Origin("Debian", "Debian", "bookworm", "stable-security"), False),
        (archives.Origin("Vendor", "Vendor", "bookworm-security", "stable-security"), False),
        (archives.Origin("Debian", "Debian-Security", "trixie-security", "stable-security"), False),
        (archives.Origin("Ubuntu", "Ubuntu", "bookworm", "bookworm-security"), True),
        (archives.Origin("Ubuntu", "Ubuntu", "bookworm", "bookworm-updates"), False),
        (archives.Origin("Ubuntu", "Ubuntu", "noble", "bookworm-security"), False),
        (archives.Origin(), False),
    ],
)
def test_an_archive_is_known_by_label_and_codename(origin: archives.Origin, is_security: bool) -> None:
    rules = archives.security_rules(list(archives.SECURITY_ORIGINS), "bookworm")
    assert archives.is_security(origin, rules) is is_security


def _filled(known: dict[str, dict[str, t.Any]], **given_: t.Any) -> dict[str, t.Any]:
    return {**{name: option.get("default") for name, option in known.items()}, "codename": "bookworm", **given_}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"exclude": ["Linux Image"]}, "exclude has 'Linux Image'"),
        ({"max_age": "yesterday"}, "max_age: duration 'yesterday' cannot be read"),
        ({"security_origins": []}, "security_origins is []"),
        ({"security_origins": ["Debian"]}, "security_origins entry 1 is 'Debian'"),
        ({"security_origins": [{"label": "Debian-Security"}]}, "security_origins entry 1 has no codename"),
        ({"security_origins": [{"lable": "X", "codename": "y"}]}, "unknown key 'lable'; did you mean 'label'?"),
        ({"state_dir": "state"}, "state_dir is 'state': write an absolute path"),
        ({"codename": "12"}, "codename is '12'"),
        ({"checks": []}, "checks is empty"),
    ],
)
def test_bad_input_gets_one_clear_error(wrong: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        arguments.looking_settings_from(_filled(arguments.INFO_ARGUMENTS, **wrong))
    assert told in str(caught.value)


def test_names_of_services_are_asked_for() -> None:
    with pytest.raises(InputError, match="never has 'nginx'"):
        arguments.services_settings_from(_filled(arguments.SERVICES_ARGUMENTS, never=["nginx"]))


def test_another_package_manager_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "zypper").write_text("#!/bin/sh\n")
    (tmp_path / "zypper").chmod(0o755)
    assert "it has zypper, which this module does not handle" in programs.other_manager(str(tmp_path))


def test_who_runs_replaced_files_is_seen(tmp_path: pathlib.Path) -> None:
    """A process of its own maps a file as code; the file is replaced as dpkg does it."""
    library = tmp_path / "libbeta.so"
    library.write_bytes(b"\0" * mmap.PAGESIZE)
    process = subprocess.Popen(
        [sys.executable, "-c", _LOOP, str(library)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        ours = re.compile(r"/memfd:")
        assert not [one for one in replaced.look(no_file=ours).processes if one.pid == process.pid]
        new = tmp_path / "libbeta.so.dpkg-new"
        new.write_bytes(b"\1" * mmap.PAGESIZE)
        new.rename(library)
        (seen,) = [one for one in replaced.look(no_file=ours).processes if one.pid == process.pid]
        assert seen.files == (str(library),)
        assert f"process {process.pid}" in replaced.told(seen)
    finally:
        process.communicate()


GROUPS = {
    "0::/system.slice/nginx.service": "nginx.service",
    "0::/system.slice/system-postgresql.slice/postgresql@15-main.service": "postgresql@15-main.service",
    "0::/user.slice/user-0.slice/session-3.scope": "",
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/agent.service": "",
    "0::/system.slice/docker-0123abcd.scope/system.slice/nginx.service": "",
    "0::/system.slice/docker.service": "docker.service",
    "0::/system.slice/crio.service": "crio.service",
    "0::/docker/0123abcd/system.slice/nginx.service": "",
    "0::/kubepods.slice/kubepods-pod0123.slice/cri-containerd-0123abcd.scope": "",
    "0::/lxc.payload.web/system.slice/nginx.service": "",
    "0::/machine.slice/libpod-0123abcd.scope/container/system.slice/nginx.service": "",
    "12:pids:/x\n1:name=systemd:/system.slice/cron.service\n0::/": "cron.service",
    "0::/": "",
}


@pytest.mark.parametrize("above", ["", "/machine.slice/libpod-beef.scope"], ids=["machine", "container"])
def test_services_are_told_from_what_only_looks_like_one(tmp_path: pathlib.Path, above: str) -> None:
    """In a container that sees the groups of its machine, services are those below its own init."""
    maps = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /usr/lib/libssl.so.3 (deleted)\n"
    wanted = {}
    for pid, (group, unit) in enumerate([("0::/init.scope", ""), *GROUPS.items()], 1):
        place = tmp_path / str(pid)
        place.mkdir()
        place.joinpath("maps").write_text(maps)
        place.joinpath("comm").write_text("daemon\n")
        place.joinpath("cgroup").write_text(re.sub(r"(:name=systemd:|::)/", rf"\1{above}/", group) + "\n")
        wanted[pid] = unit
    seen = replaced.look(str(tmp_path))
    assert {one.pid: one.unit for one in seen.processes} == wanted
    assert seen.processes[0].place == "init"
    assert seen.looked == len(wanted)


def test_what_cannot_be_looked_at_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "7" / "maps").mkdir(parents=True)
    (tmp_path / "8").mkdir()
    seen = replaced.look(str(tmp_path))
    assert list(seen.blind) == [7], "8 has ended meanwhile"


def test_some_services_are_never_restarted() -> None:
    settings = restarting.Settings(("shop-*.service",), restarting.LEAVE, 1, 1)
    assert settings.refuses("nginx.service", "") == ("", False)
    assert settings.refuses("nginx.service", "nginx.service")[1] is True
    assert settings.refuses("dbus.service", "")[1] is True
    assert settings.refuses("docker.service", "") == (
        "what runs in it would be stopped with it ('docker.service')",
        False,
    )
    assert settings.refuses("shop-api.service", "")[0]
    assert settings.refuses("postgresql@15-main.service", "")[0]
    with_servers = restarting.Settings((), restarting.RESTART, 1, 1)
    assert with_servers.refuses("postgresql@15-main.service", "") == ("", False)


def test_a_lock_is_told_with_its_holder(tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "lock"
    with holding(lock) as pid:
        found = preflight.lock_holder(str(lock))
        assert found is not None
        assert found.pid == pid
        assert f"is held by process {pid} (python" in found.told()
    assert preflight.lock_holder(str(lock)) is None


def test_the_kernel_is_asked_for_its_clock() -> None:
    assert preflight.clock_is_synchronised() in (True, False)
    assert ctypes.sizeof(preflight._Timex) >= 208, "as large as the kernel's on every architecture"


@pytest.mark.parametrize(("state", "told"), [(False, "is not synchronised"), (None, "cannot be asked")])
def test_a_clock_that_nobody_vouches_for_is_told(
    monkeypatch: pytest.MonkeyPatch, state: bool | None, told: str
) -> None:
    """What the kernel says of the clock cannot be changed here, so it is played."""
    monkeypatch.setattr(preflight, "clock_is_synchronised", lambda: state)
    (finding,) = looking.clock_findings()
    assert (finding.id, told in finding.message) == ("clock-not-synchronised", True)
    monkeypatch.setattr(preflight, "clock_is_synchronised", lambda: True)
    assert looking.clock_findings() == []


def test_secrets_in_configuration_are_masked(tmp_path: pathlib.Path) -> None:
    own, new = tmp_path / "own", tmp_path / "new"
    own.write_text("user = shop\npassword = hunter2\nurl = postgresql://shop:hunter3@db/shop\ntoken: hunter4\n")
    new.write_text("user = shop\n")
    for path in (own, new):
        path.chmod(0o644)
    diff = configuration._diff(str(own), str(new), "/etc/shop.conf")
    assert "-password = ********" in diff
    assert "hunter" not in diff
    own.chmod(0o640)
    assert "user" not in configuration._diff(str(own), str(new), "/etc/shop.conf")


def test_names_of_foreign_architectures_keep_them() -> None:
    assert dpkg.plain("libc6:amd64", "amd64") == dpkg.plain("libc6:all", "amd64") == "libc6"
    assert dpkg.plain("libc6:i386", "amd64") == "libc6:i386"
    assert os.path.basename(programs.environment()["PATH"].split(":")[-1]) == "bin"


@pytest.mark.parametrize(
    ("release", "flavour"),
    [
        *(("6.1.0-35-amd64", "amd64"), ("6.1.0-35-cloud-amd64", "cloud-amd64"), ("6.1.0-35-rt-amd64", "rt-amd64")),
        *(
            ("6.12.41+deb13-amd64", "amd64"),
            ("6.12.41+deb13-cloud-arm64", "cloud-arm64"),
            ("6.8.0-31-generic", "generic"),
        ),
        *(("6.8.0-1012-aws", "aws"), ("5.10.0-0.deb10.16-amd64", "amd64"), ("4.18-custom-made", "custom-made")),
    ],
)
def test_a_kernel_is_newer_within_its_flavour(release: str, flavour: str) -> None:
    assert reboot.flavour(release) == flavour


def test_another_flavour_does_not_ask_for_a_reboot() -> None:
    names = ("linux-image-6.1.0-35-cloud-amd64", "linux-image-6.1.0-37-amd64", "linux-image-cloud-amd64")
    packages = {name: dpkg.Installed(name, "6.1.1-1", "install", "installed", "ok", 1) for name in names}
    assert reboot._newest(packages, "6.1.0-34-cloud-amd64") == "6.1.0-35-cloud-amd64"
    assert reboot._newest(packages, "6.1.0-34-amd64") == "6.1.0-37-amd64"


def test_space_is_looked_at_where_packages_go(tmp_path: pathlib.Path) -> None:
    """/usr on a file system of its own, which has no room; /proc never has any."""
    (tmp_path / "usr").symlink_to("/proc")
    apt = types.SimpleNamespace(root=str(tmp_path), archives=str(tmp_path), admin=str(tmp_path / "var/lib/dpkg"))
    apt.in_root = lambda path: os.path.join(apt.root, path)
    needs = {need.path: need for need in preflight.space(t.cast("programs.Apt", apt), preflight.Sizes(10, 20, 30))}
    assert needs[str(tmp_path / "usr")].needed == 50
    assert needs[str(tmp_path / "usr")].is_short
    assert needs[str(tmp_path)].needed == preflight.MARGIN_BYTES + 10
