# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical backups in tests: a server that archives to a stanza of its own, and the modules called on both."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing as t

from .modules import run_module, start_module
from .postgres import PrivatePostgres, wait_for

BACKUP = "postgres_physical_backup"
VERIFY = "postgres_physical_verify"
RESTORE = "postgres_physical_restore"
STANZA = "main"
ROWS = 5000

_SHOP = f"""
CREATE TABLE goods (id int PRIMARY KEY, name text, picture text);
INSERT INTO goods SELECT g, 'thing ' || g, repeat(md5(g::text), 100) FROM generate_series(1, {ROWS}) g;
"""


class Physical:
    """A repository, its configuration, and the server that it is for.

    :param store: options of a repository that is not the directory `repo`.
    """

    def __init__(self, place: pathlib.Path, store: t.Mapping[str, str] | None = None) -> None:
        self.place = place
        self.store = dict(store or {})
        self.repo = place / "repo"
        self.config = place / "pgbackrest.conf"
        self.scratch = place / "scratch"
        archive = f"pgbackrest --config={self.config} --stanza={STANZA} archive-push %p"
        settings = {"archive_mode": "on", "archive_command": archive, "wal_level": "replica"}
        self.server = PrivatePostgres(directory=place / "server", settings=settings)
        for name in ("repo", "log", "lock", "scratch", "tablespace"):
            self.server._own(place / name)
        self.configure()

    def settings(self) -> dict[str, dict[str, t.Any]]:
        """What the configuration has to say of this place and this server."""
        return {
            "global": {
                "repo1-path": str(self.repo),
                "log-path": str(self.place / "log"),
                "lock-path": str(self.place / "lock"),
                "start-fast": "y",
                "archive-timeout": "10",
            },
            STANZA: {
                "pg1-path": str(self.server.data),
                "pg1-port": self.server.port,
                "pg1-socket-path": self.server.socket_dir,
                "pg1-user": self.server.superuser,
            },
        }

    def configure(self, **more: str) -> None:
        sections = self.settings()
        sections["global"].update({name.replace("_", "-"): value for name, value in {**self.store, **more}.items()})
        text = "".join(
            f"[{section}]\n" + "".join(f"{name}={value}\n" for name, value in options.items())
            for section, options in sections.items()
        )
        self.config.write_text(text)

    # -- the modules -----------------------------------------------------------------------------------------

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {"stanza": STANZA, "config": str(self.config), **more}

    def backup_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return self.arguments(**{**self.server.login_arguments, "rpo": "", **more})

    def verify_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        polite = {"nice": 0, "io_class": "none", "bin_dir": self.server.bin_dir, "scratch_path": str(self.scratch)}
        return self.arguments(**{**self.server.login_arguments, **polite, "rpo": "", **more})

    def restore_arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return self.arguments(**{"bin_dir": self.server.bin_dir, **more})

    def back_up(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(BACKUP, self.backup_arguments(**more), check)

    def verify(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(VERIFY, self.verify_arguments(**more), check)

    def restore(self, check: bool = False, **more: t.Any) -> dict[str, t.Any]:
        return run_module(RESTORE, self.restore_arguments(**more), check)

    def start(self, module: str, **arguments: t.Any) -> subprocess.Popen[bytes]:
        return start_module(module, arguments)

    # -- seen from outside -----------------------------------------------------------------------------------

    def pgbackrest(self, command: str, *options: str) -> str:
        argv = ["pgbackrest", command, f"--config={self.config}", f"--stanza={STANZA}", *options]
        done = subprocess.run(
            argv, user=self.server.account, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=120, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def backups(self) -> list[dict[str, t.Any]]:
        return list(json.loads(self.pgbackrest("info", "--output=json"))[0]["backup"])

    def labels(self) -> list[str]:
        return [entry["label"] for entry in self.backups()]

    def notes(self) -> dict[str, str]:
        """The annotations of the newest backup."""
        return dict(self.backups()[-1].get("annotation") or {})

    def end_segment(self) -> str:
        """End a segment of WAL, wait until it is in the archive, and say which it was."""
        name = str(self.server.run_sql("SELECT pg_walfile_name(pg_switch_wal())")[0][0])
        wait_for(lambda: self.archived(name), f"{name} in the archive")
        return name

    def archived(self, name: str) -> list[pathlib.Path]:
        return sorted(self.repo.glob(f"archive/{STANZA}/*/*/{name}-*"))

    def now(self) -> str:
        """The server's clock, as the modules take a moment."""
        sql = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        return str(self.server.run_sql(sql)[0][0])

    def file_of(self, label: str, table: str = "goods", database: str = "shop") -> pathlib.Path:
        """The file of a table in the repository."""
        name = self.server.run_sql("SELECT pg_relation_filepath(%s::regclass)", database, (table,))[0][0]
        (found,) = self.repo.glob(f"backup/{STANZA}/{label}/pg_data/{name}.*")
        return found

    @contextlib.contextmanager
    def preserved(self) -> t.Iterator[None]:
        """What is done to the repository meanwhile is undone at the end, new backups too."""
        copy = self.place / "copy"
        subprocess.run(["cp", "-a", str(self.repo), str(copy)], check=True)
        try:
            yield
        finally:
            # What was archived meanwhile stays: the server does not send it again.
            shutil.rmtree(self.repo / "backup")
            (copy / "backup").rename(self.repo / "backup")
            subprocess.run(["cp", "-a", f"{copy}/archive/.", f"{self.repo}/archive/"], check=True)
            shutil.rmtree(copy)

    def make_older(self, label: str, days: int) -> None:
        """Let the repository say that a backup was made so much earlier."""
        for name in ("backup.info", "backup.info.copy"):
            path = self.repo / "backup" / STANZA / name
            lines = path.read_text().splitlines()
            changed = [_earlier(line, days * 86400) if line.startswith(f"{label}=") else line for line in lines]
            assert changed != lines, f"{label} is not in {path}"
            path.write_text(_with_checksum(changed))


def _earlier(line: str, seconds: int) -> str:
    def shift(match: t.Match[str]) -> str:
        return f"{match.group(1)}{int(match.group(2)) - seconds}"

    return re.sub(r'("backup-timestamp-(?:start|stop)":)(\d+)', shift, line)


def _with_checksum(lines: t.Sequence[str]) -> str:
    """pgBackRest's own checksum of an info file: SHA-1 of it as one JSON object, without the checksum."""
    sections: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("["):
            section = sections.setdefault(line[1:-1], [])
        elif line and not line.startswith("backrest-checksum="):
            name, _equals, value = line.partition("=")
            section.append(f"{json.dumps(name)}:{value}")
    content = "{" + ",".join(f'"{name}":{{{",".join(entries)}}}' for name, entries in sections.items()) + "}"
    checksum = hashlib.sha1(content.encode()).hexdigest()  # noqa: S324 (it is what the format has)
    text = "\n".join(lines) + "\n"
    return re.sub(r'backrest-checksum="[0-9a-f]+"', f'backrest-checksum="{checksum}"', text)


@contextlib.contextmanager
def physical_server(store: t.Mapping[str, str] | None = None) -> t.Iterator[Physical]:
    """A running server with the database shop, a tablespace and an empty repository."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="steward-pb-"))
    place.chmod(0o755)
    try:
        physical = Physical(place, store)
        with physical.server as server:
            server.run_sql("CREATE DATABASE shop")
            server.run_sql(_SHOP, "shop")
            server.run_sql(f"CREATE TABLESPACE elsewhere LOCATION '{place / 'tablespace'}'")
            server.run_sql("CREATE TABLE far (id int) TABLESPACE elsewhere; INSERT INTO far VALUES (1), (2)", "shop")
            yield physical
    finally:
        shutil.rmtree(place, ignore_errors=True)


def query_copy(answer: t.Mapping[str, t.Any], sql: str, database: str = "shop", account: str | None = None) -> str:
    """Ask a restored cluster in the words that the module told."""
    words = answer["connect"].split()
    words[words.index("-d") + 1] = database
    told = subprocess.run(
        [*words, "-X", "-At", "-c", sql], user=account, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout
    return told.stdout.strip()


def remove_copy(answer: t.Mapping[str, t.Any], account: str | None = None) -> None:
    """End and remove it by the commands that the module told."""
    stop, remove = answer["remove"]
    subprocess.run(stop.split(), user=account, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60)
    subprocess.run(remove.split(), cwd="/", check=True)
    assert not os.path.exists(remove.split()[-1])
