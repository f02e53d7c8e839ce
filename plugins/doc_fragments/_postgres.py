# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the arguments in plugins/module_utils/_postgres/arguments.py."""

    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Host name or address of the server.
      - Empty means a connection over a Unix socket, see O(login_unix_socket).
    type: str
    default: ''
  login_port:
    description:
      - Port of the server, for sockets too.
      - With O(login_service), the default leaves the port to the service file.
    type: int
    default: 5432
  login_user:
    description:
      - Role to log in as.
      - Empty leaves it to libpq, which takes the name of the operating system's account that runs the module.
    type: str
    default: ''
  login_password:
    description:
      - Password of the role. Empty leaves it to the server's rules, to E(PGPASSFILE) or to C(~/.pgpass).
      - It is handed on in memory and in the environment of client programs, never on a command line.
    type: str
    default: ''
  login_database:
    description: Database to connect to first, to list the others.
    type: str
    default: postgres
  login_unix_socket:
    description: Directory of the Unix socket. Empty means the one that libpq was built with.
    type: str
    default: ''
  login_service:
    description: Section of a libpq service file (E(PGSERVICEFILE)) that holds what is not given here.
    type: str
    default: ''
  ssl_mode:
    description:
      - What TLS is asked for, as in libpq's C(sslmode).
      - With O(login_service), the default leaves it to the service file.
    type: str
    default: prefer
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ca_cert:
    description: File with the certificates of the authorities that are trusted to sign the server's certificate.
    type: path
    default: ''
  connect_timeout:
    description: Seconds to wait for a connection.
    type: int
    default: 10
requirements:
  - psycopg2 2.8 or newer on the host that runs the module
"""

    DATABASES = r"""
options:
  databases:
    description:
      - Names of the databases.
      - An empty list means all that are no templates and accept connections.
    type: list
    elements: str
    default: []
"""

    POLITENESS = r"""
options:
  jobs:
    description:
      - How many connections work at the same time, from 1 to 64. One more looks who waits for them.
      - Where the server has no connection left for one of them, the work goes on with fewer, and the result says so.
    type: int
    default: 1
    version_added: 0.2.0
  budget:
    description:
      - The longest that this may take, over all databases. What is at work by then is cancelled, and what is not done
        waits for the next run.
    type: str
    default: 1h
  deadline:
    description:
      - The moment by which this must be over, in ISO 8601 with the zone, such as C(2026-11-23T05:00:00+01:00).
        The sooner one of this and O(budget) counts.
      - Empty means that there is none.
    type: str
    default: ''
    version_added: 0.2.0
  lock_timeout:
    description: The longest to wait for a lock, for each of the O(attempts).
    type: str
    default: 5s
  lock_wait:
    description: How long to wait for another maintenance run in the same database, and for old snapshots to go away.
    type: str
    default: 30s
  attempts:
    description:
      - How often a statement is tried while somebody is in its way, or while we are in somebody's. The pauses between
        them grow, and others are done meanwhile.
    type: int
    default: 3
    version_added: 0.2.0
  yield_after:
    description:
      - When somebody waits for us longer than this, our own statement is cancelled and tried again later.
      - Whoever is queued behind one that waits for us counts as well. Ordinary autovacuum does not.
    type: str
    default: 2s
    version_added: 0.2.0
  replica_lag_bytes:
    description:
      - Nothing is begun while a standby that the role can see has more than so many bytes of WAL not yet on its disk.
      - V(0) means that it does not matter.
    type: int
    default: 1073741824
    version_added: 0.2.0
  wal_bytes_per_second:
    description:
      - Nothing is begun while the server writes more WAL than so many bytes a second, our own included. An archive or
        a link to a standby that takes no more falls behind otherwise.
      - V(0) means that it does not matter.
    type: int
    default: 0
    version_added: 0.2.0
  dangerously_terminate_after:
    description:
      - B(Dangerous.) Sessions that have been idle in their transaction for longer than this and stand in our way are
        ended with C(pg_terminate_backend), and what their transaction did is lost. Each one is told in a finding.
      - Sessions that are at work are never ended. Empty means that nobody is.
    type: str
    default: ''
    version_added: 0.2.0
  progress:
    description:
      - How soon a line shows how far the work is; the pauses between the lines grow. V(0s) means that there are none.
      - The action plugin shows the lines, the module itself does nothing with this.
    type: str
    default: 30s
    version_added: 0.2.0
"""
