# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files to a bucket: our backup of a tree beside `aws s3 sync`, against the same server in the same run.

    python benchmarks/bench_files.py [--files 100000] [--bytes 2048] [--first-rounds 2] [--rounds 3] [--alone]

The first run sends everything to an empty place, the second finds that nothing changed. Ours is the whole module:
SHA-256 of every file, checksums, a second listing, the index. A side counts only when the server has every byte of the
tree afterwards, and in the second run when it asked for the whole listing and sent nothing. Prints
`bar NAME VALUE LIMIT ok|short` for each bar, and ends with exit status 1 when one is short. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT))

import conftest  # noqa: E402, F401 - makes the checkout importable as the collection
from bars import Bars, NotWorked, ends_cleanly_when_told, in_turn, ratio, say, tell  # noqa: E402
from support.modules import run_with_start  # noqa: E402
from support.postgres import free_port  # noqa: E402
from support.s3_server import without_credentials  # noqa: E402

from tools.layers import venvs  # noqa: E402

#: What the bars are judged on; other sizes are for trying things out.
STANDARD_FILES, STANDARD_MEMORY_FILES, LEAST_ROUNDS = 100_000, 1_000_000, 2
LIMITS = {"files_first_ratio": 1.0, "files_second_ratio": 0.5, "files_memory_mb": 300.0}
OURS, AWS = "files_backup", "aws s3 sync"

_LONGEST = 3600
_EACH = 100  # files in a directory


class Server:
    """The object store of benchmarks/object_store.py in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        program = str(pathlib.Path(__file__).parent / "object_store.py")
        self._process = subprocess.Popen([sys.executable, program, str(self.port)], stdin=subprocess.DEVNULL)
        for _attempt in range(100):
            try:
                self.told("counts")
                return self
            except urllib.error.URLError:
                time.sleep(0.1)
        raise NotWorked("the server does not answer")

    def __exit__(self, *_exc: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def told(self, what: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/-/{what}", timeout=60) as answer:  # noqa: S310 (our own server)
            found: dict[str, int] = json.loads(answer.read())
        return found


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path, server: Server) -> None:
        self.options = options
        self.scratch = scratch
        self.server = server
        self.tree = scratch / "tree"
        self.bars = Bars()
        self.number = 0
        self.place: dict[str, str] = {}
        self.aws = "" if options.alone else str(venvs.ensure("bench") / "bin" / "aws")

    def run(self) -> None:
        self._grow()
        self._compare("files_first_ratio", "first run", self._first, self.options.first_rounds)
        self._compare("files_second_ratio", "second run, nothing changed", self._second, self.options.rounds)
        self._judge("files_memory_mb", self._memory(), self.options.memory_files == STANDARD_MEMORY_FILES)

    def _compare(self, bar: str, title: str, measured: t.Callable[[str], float], rounds: int) -> None:
        names = (OURS,) if self.options.alone else (OURS, AWS)
        seconds = in_turn({name: functools.partial(measured, name) for name in names}, rounds)
        tell(f"{title}, {self.options.files} files", seconds)
        if AWS in seconds:
            # One round a side is one measurement of the machine's mood.
            is_standard = self.options.files == STANDARD_FILES and rounds >= LEAST_ROUNDS
            self._judge(bar, ratio(seconds[OURS], seconds[AWS]), is_standard)

    def _judge(self, name: str, value: float, is_standard: bool) -> None:
        if is_standard:
            self.bars.judge(name, value, LIMITS[name])
        else:
            say(f"{name} {value:.3g} (not the standard size, or too few rounds: no bar)")

    def _grow(self) -> None:
        """Files whose bytes all differ, made long enough ago that none of them can have been altered since."""
        content = os.urandom(self.options.bytes)
        for number in range(self.options.files):
            directory = self.tree / f"{number // _EACH:05}"
            if number % _EACH == 0:
                directory.mkdir(parents=True)
            (directory / f"document-{number:06}.txt").write_bytes(f"{number:012}".encode() + content[12:])
        time.sleep(3)

    def _first(self, side: str) -> float:
        self.number += 1
        self.place[side] = f"place-{self.number}"
        seconds = self._timed(side)
        self._prove_whole(side)
        return seconds

    def _second(self, side: str) -> float:
        before = self.server.told("counts")
        seconds = self._timed(side)
        after = self.server.told("counts")
        if after.get("PUT", 0) != before.get("PUT", 0) or after.get("DELETE", 0) != before.get("DELETE", 0):
            raise NotWorked(f"{side} sent something although nothing changed")
        pages = after.get("LIST", 0) - before.get("LIST", 0)
        if pages < -(-self.options.files // 1000):
            raise NotWorked(f"{side} asked for {pages} pages of the listing only")
        return seconds

    def _timed(self, side: str) -> float:
        begin = time.monotonic()
        if side == OURS:
            answer = run_with_start("files_backup", self._arguments(), env=without_credentials(), timeout=_LONGEST)
            if answer.get("verdict") != "ok":
                raise NotWorked(f"{side} did not work: {answer.get('msg') or answer}"[:3000])
        else:
            environment = {**without_credentials(), "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
                           "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
            command = [self.aws, "s3", "sync", "--only-show-errors", "--endpoint-url", self.server.url,
                       str(self.tree), f"s3://bench/{self.place[AWS]}"]  # fmt: skip
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                timeout=_LONGEST,
            )  # fmt: skip
            if done.returncode != 0:
                raise NotWorked(f"{side} did not work: {done.stderr}"[-3000:])
        return time.monotonic() - begin

    def _arguments(self) -> dict[str, t.Any]:
        return {
            "bucket": "bench",
            "prefix": self.place[OURS],
            "endpoint_url": self.server.url,
            "access_key": "bench",
            "secret_key": "bench",
            "state_dir": str(self.scratch / "state"),
            "trees": [{"name": "tree", "path": str(self.tree)}],
        }

    def _prove_whole(self, side: str) -> None:
        prefix = f"bench/{self.place[side]}/tree/current/" if side == OURS else f"bench/{self.place[side]}/"
        held = self.server.told(f"objects?prefix={prefix}")
        wanted = {"objects": self.options.files, "bytes": self.options.files * self.options.bytes}
        if held != wanted:
            raise NotWorked(f"after {side}, the server holds {held} instead of {wanted}")

    def _memory(self) -> float:
        place = self.scratch / "memory"
        place.mkdir()
        program = str(pathlib.Path(__file__).parent / "files_memory.py")
        done = subprocess.run(
            [sys.executable, program, str(self.options.memory_files), str(place)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_LONGEST,
        )  # fmt: skip
        if done.returncode != 0:
            raise NotWorked(f"the backup of {self.options.memory_files} files did not work: {done.stderr}"[-3000:])
        return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=STANDARD_FILES)
    parser.add_argument("--bytes", type=int, default=2048, help="of each file")
    parser.add_argument("--first-rounds", type=int, default=2, help="fewer than two judge no bar, here and below")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="without aws, and so without ratios")
    parser.add_argument("--memory-files", type=int, default=STANDARD_MEMORY_FILES)
    options = parser.parse_args()
    ends_cleanly_when_told()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="steward-bench-files-", dir="/var/tmp"))
    try:
        with Server() as server:
            bench = Bench(options, scratch, server)
            bench.run()
            return bench.bars.status
    except NotWorked as exc:
        say(f"no result: {exc}")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
