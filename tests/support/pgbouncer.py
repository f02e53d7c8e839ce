# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PgBouncer before a test's server, in a directory of its own."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t

from .postgres import PrivatePostgres, free_port

ADMIN, ADMIN_PASSWORD = "pool_admin", "pool admin's own"

_CONFIGURATION = """
[databases]
{database} = host=127.0.0.1 port={server_port}{auth_user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {userlist}
admin_users = {admin}
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
server_idle_timeout = 600
max_client_conn = 100
default_pool_size = 10
logfile = {log}
"""


class PgBouncerService:
    """Use as a context manager.

    :param lines: what its userlist has beside its administrator.
    :param auth_user: the role that asks the server for what is not in the userlist.
    """

    def __init__(self, server: PrivatePostgres, database: str, lines: t.Mapping[str, str], auth_user: str = "") -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="steward-pool-"))
        self.port = free_port()
        self.database = database
        self.userlist = self.directory / "userlist.txt"
        self.log_file = self.directory / "pgbouncer.log"
        known = {ADMIN: ADMIN_PASSWORD, **lines}
        self.userlist.write_text("".join(f'"{user}" "{secret}"\n' for user, secret in known.items()))
        self.userlist.chmod(0o640)
        self.configuration = self.directory / "pgbouncer.ini"
        self.configuration.write_text(
            _CONFIGURATION.format(
                database=database,
                server_port=server.port,
                port=self.port,
                userlist=self.userlist,
                admin=ADMIN,
                log=self.log_file,
                auth_user=f" auth_user={auth_user}" if auth_user else "",
            )
        )
        self.account = server.account
        if self.account:
            for path in (self.directory, self.userlist, self.configuration):
                shutil.chown(path, self.account)

    def __enter__(self) -> PgBouncerService:
        # As root it would not start.
        self.process = subprocess.Popen(
            ["pgbouncer", "-q", str(self.configuration)], stdin=subprocess.DEVNULL, user=self.account, cwd="/"
        )
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"pgbouncer did not start:\n{self.log_file.read_text() if self.log_file.exists() else ''}")

    def __exit__(self, *_exc: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)

    def arguments(self, userlist: bool = True) -> dict[str, t.Any]:
        """An entry of the modules' option pools."""
        return {
            "port": self.port,
            "user": ADMIN,
            "password": ADMIN_PASSWORD,
            "ssl_mode": "disable",
            "userlist": str(self.userlist) if userlist else "",
        }
