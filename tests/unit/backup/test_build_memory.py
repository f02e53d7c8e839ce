# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a restore takes for its indexes: by what /proc and the control groups of the server tell."""

from __future__ import annotations

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._postgres import build_memory

GIB = 1 << 20  # in kilobytes
OWN = 64 * 1024


class Host:
    """Files as Linux has them, with a server whose session is process 77."""

    def __init__(self, root, monkeypatch):
        self.root = root
        monkeypatch.setattr(build_memory, "query", lambda _conn, _sql: [(OWN, 77)])
        self.write("proc/meminfo", f"MemTotal: {64 * GIB} kB\nMemAvailable: {16 * GIB} kB\n")
        self.write("proc/77/comm", "postgres\n")
        self.write("proc/77/cgroup", "0::/system.slice/postgresql.service\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def group(self, place, limit, used):
        self.write(f"sys/fs/cgroup/{place}/memory.max", f"{limit}\n")
        self.write(f"sys/fs/cgroup/{place}/memory.current", f"{used}\n")

    def memory(self, jobs):
        return build_memory.build_memory(None, jobs, str(self.root))


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_an_eighth_of_what_is_available_for_all_connections_and_never_more_than_is_of_use(host):
    assert host.memory(1) == 512 * 1024
    assert host.memory(8) == GIB // 4
    assert host.memory(0) == 512 * 1024


def test_a_setting_that_is_larger_stays(host):
    assert host.memory(32) == 0  # 64 MB, as the server has it
    assert host.memory(31) > OWN


@pytest.mark.parametrize("place", ["system.slice/postgresql.service", "system.slice"])
def test_a_control_group_that_has_less_decides(host, place):
    host.group(place, 4 * GIB * 1024, 2 * GIB * 1024)
    assert host.memory(1) == 2 * GIB // 8
    host.group(place, 1 * GIB * 1024, 1 * GIB * 1024 + 5)
    assert host.memory(1) == 0
    host.group(place, "max", 2 * GIB * 1024)
    assert host.memory(1) == 512 * 1024


def test_the_first_version_of_control_groups(host):
    host.write("proc/77/cgroup", "5:cpu,cpuacct:/\n4:memory:/system.slice/pg\n1:name=systemd:/x\n")
    host.write("sys/fs/cgroup/memory/system.slice/pg/memory.limit_in_bytes", f"{2 * GIB * 1024}\n")
    host.write("sys/fs/cgroup/memory/system.slice/pg/memory.usage_in_bytes", "0\n")
    assert host.memory(1) == 2 * GIB // 8


@pytest.mark.parametrize("comm", ["bash\n", ""])
def test_a_server_on_another_host_keeps_its_own_setting(host, comm):
    host.write("proc/77/comm", comm)
    assert host.memory(1) == 0


def test_a_system_that_tells_nothing_keeps_its_own_setting(host):
    host.write("proc/meminfo", "MemTotal: 5 kB\n")
    assert host.memory(1) == 0
