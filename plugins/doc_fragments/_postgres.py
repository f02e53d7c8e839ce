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
