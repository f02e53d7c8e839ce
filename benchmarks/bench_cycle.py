# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a maintenance cycle costs when nothing is due, side by side with a bare ping of the same hosts.

    python benchmarks/bench_cycle.py [--hosts 100] [--forks 10] [--rounds 3]

Both run on the same inventory of local hosts, alternating, so that other work on the machine weighs on both alike. Ends
with `bar cycle_idle_ratio VALUE 1.6 ok|short`, and with exit status 1 when the bar is not met.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import conftest  # noqa: E402 - makes the checkout importable as the collection

from ansible_collections.steward.maintenance.plugins.module_utils._core.records import open_store  # noqa: E402
from ansible_collections.steward.maintenance.plugins.module_utils._cycle.catalogue import load_catalogue  # noqa: E402

BAR = 1.6


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-cycle-") as scratch:
        directory = pathlib.Path(scratch)
        inventory = _prepare(directory, options.hosts)
        common = ["-i", str(inventory), "--forks", str(options.forks)]
        ping = [_tool("ansible"), "all", *common, "-m", "ansible.builtin.ping"]
        cycle = [_tool("ansible-playbook"), *common, "steward.maintenance.run_maintenance"]
        times: dict[str, list[float]] = {"ping": [], "cycle": []}
        _run(ping, directory, "SUCCESS", options.hosts)  # warm the file cache
        for _round in range(options.rounds):
            times["ping"].append(_run(ping, directory, "SUCCESS", options.hosts))
            times["cycle"].append(_run(cycle, directory, "nothing due", options.hosts))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    for name, seconds in times.items():
        each = ", ".join(f"{second:.1f}" for second in seconds)
        print(f"{name}: median {medians[name]:.1f} s for {options.hosts} hosts, forks {options.forks} ({each})")
    ratio = medians["cycle"] / medians["ping"]
    print(f"bar cycle_idle_ratio {ratio:.2f} {BAR} {'ok' if ratio <= BAR else 'short'}")
    return 0 if ratio <= BAR else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _tool(name: str) -> str:
    return str(pathlib.Path(sys.executable).parent / name)


def _prepare(directory: pathlib.Path, count: int) -> pathlib.Path:
    """An inventory of local database hosts, each with records after which nothing is due."""
    hosts = [f"host{number:03d}" for number in range(count)]
    done = [name for name, entry in load_catalogue().items() if entry["available"]]
    for host in hosts:
        store = open_store(str(directory / f"{host}.jsonl"))
        for activity in done:
            store.append({"activity": activity, "host": host, "verdict": "ok", "summary": "done for the benchmark"})
    inventory = directory / "inventory"
    inventory.write_text(
        "\n".join(
            [
                "[postgres]",
                *hosts,
                "[all:vars]",
                "ansible_connection=local",
                f"ansible_python_interpreter={sys.executable}",
                f"maintenance_records={directory}/{{{{ inventory_hostname }}}}.jsonl",
                f"cycle_report_path={directory}/report.html",
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    return inventory


def _run(command: list[str], directory: pathlib.Path, sign: str, count: int) -> float:
    """Seconds of one run, which must have said `sign` for every host: a run that did not work is not fast."""
    environment = dict(
        os.environ,
        ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
        ANSIBLE_COLLECTIONS_PATH=str(conftest.COLLECTIONS),
        ANSIBLE_LOCAL_TEMP=str(directory / "tmp"),
        ANSIBLE_NOCOLOR="1",
    )
    begin = time.monotonic()
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode or done.stdout.count(sign) != count:
        raise SystemExit(f"{' '.join(command)} did not work:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
