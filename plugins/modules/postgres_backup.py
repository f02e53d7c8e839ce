#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_backup
version_added: 0.1.0
short_description: Back up PostgreSQL databases when no young backup of them is there
description:
  - Dumps each database with C(pg_dump) in directory format, the roles and tablespaces with C(pg_dumpall), saves the
    server's settings and the files that say who may log in, and writes a manifest with the SHA-256 of each file and the
    number of rows of each table, counted in the snapshot that was dumped.
  - A backup is a directory below O(path) that bears the moment it was begun, in UTC. It is written under a name that
    ends in C(.partial), and gets its final name when everything in it is on the disk. Backups that were there are never
    touched.
  - A backup is due when a wanted database is in none, when the newest is older than O(max_age), damaged, or did not
    pass its verification. Otherwise nothing is done.
  - A database that is dropped meanwhile is left out and told. One that cannot be dumped fails the task, and the others
    still get their backup. A full disk or a lost server ends the run and leaves nothing behind.
  - With O(recipients), everything but the manifest is encrypted with C(age) on its way from C(pg_dump) to the disk.
    Each database is then one stream, dumped by one connection; several connections can restore it once it is decrypted.
  - Whether a backup can be restored is proved by M(steward.maintenance.postgres_backup_verify).
options:
  path:
    description:
      - Directory of the backups. One for each server; it is made, closed to others, where it is missing.
      - The space that the backup will need is estimated before, from the last backup or from the size of the tables.
    type: path
    default: /var/backups/steward
  max_age:
    description:
      - A backup is due when the newest is older than this, less a tenth (12 hours at most), so that a daily job does
        not find yesterday's a minute too young.
    type: str
    default: 1d
  force:
    description: Make a backup even if none is due.
    type: bool
    default: false
  jobs:
    description:
      - Connections that dump at the same time, over all databases. A large database gets several, small ones one each.
      - Each database that is being dumped takes two connections more, which hold its snapshot and count its rows.
    type: int
    default: 2
  compression:
    description:
      - V(auto) is V(zstd) where the server's own C(pg_dump) has it (16 and newer, unless built without) or the program
        C(zstd) is there, else V(gzip).
      - The program C(zstd) compresses each file of a dump while C(pg_dump) writes it. Where the file system can free
        a part of a file (ext4, XFS, Btrfs, tmpfs), there is never much of it in clear; elsewhere the largest table
        lies there twice for a moment.
      - V(lz4) is possible where C(pg_dump) has it.
      - V(none) is for file systems that compress.
    type: str
    choices: [auto, zstd, lz4, gzip, none]
    default: auto
  recipients:
    description:
      - Public keys that the backup is encrypted to, C(age1...) or SSH keys. Each of the private keys opens it alone.
      - The private keys belong on another host. A private key that is given here by mistake is refused and not shown.
      - The manifest stays readable, with the names of databases, tables and roles, numbers of rows and checksums.
    type: list
    elements: str
    default: []
  signing_key:
    description:
      - File with a private key (RSA or elliptic curve, PEM, no passphrase) that the manifest is signed with, by
        C(openssl dgst -sha256). The signature is C(manifest.sig).
    type: path
    default: ''
  content_checksums:
    description:
      - Compute a checksum of the contents of each table too, in the snapshot that is dumped, so that the verification
        can compare contents and not only numbers of rows. It reads every row once more.
    type: bool
    default: false
  standby:
    description:
      - Dump from this standby to spare the primary, which is still asked for roles and settings. What is not given here
        is as in the login of the primary.
      - A standby that cannot be reached, belongs to another primary or lags more than O(standby_max_lag) is a finding,
        and the primary is dumped instead.
    type: dict
    suboptions:
      host:
        description: Host name or address.
        type: str
      port:
        description: Port.
        type: int
      user:
        description: Role to log in as.
        type: str
      password:
        description: Password of the role.
        type: str
      unix_socket:
        description: Directory of the Unix socket.
        type: str
      service:
        description: Section of a libpq service file.
        type: str
      ssl_mode:
        description: What TLS is asked for, as in libpq's C(sslmode).
        type: str
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: File with the certificates of trusted authorities.
        type: path
  standby_max_lag:
    description: The longest that the replay of O(standby) may be behind.
    type: str
    default: 5m
  lock_timeout:
    description: The longest to wait for a table that somebody holds locked.
    type: str
    default: 5m
  allow_standby:
    description:
      - Back up a standby too. By default it is skipped, since the primary's backup is the one that counts.
      - On a standby, unlogged tables are dumped without their rows, and replay may cancel the dump; that fails the
        task.
    type: bool
    default: false
  bin_dir:
    description: Directory of PostgreSQL's programs. Empty means they are found by the server's version.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._postgres
  - steward.maintenance._postgres.databases
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(force=true) each run makes a backup.
requirements:
  - the program C(age), with O(recipients); C(openssl), with O(signing_key)
seealso:
  - module: steward.maintenance.postgres_backup_verify
  - module: steward.maintenance.postgres_backup_pin
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Back up all databases, once a day
  steward.maintenance.postgres_backup:
    path: /var/backups/steward
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres

- name: Back up with checksums of all contents, encrypted to two people
  steward.maintenance.postgres_backup:
    content_checksums: true
    recipients:
      - age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMdAj1cPyvGiU8TYmpw0/Fb2FfKbxJVGXm3NYCO/LsjJ ops
  become: true
  become_user: postgres

- name: Back up one database before a release, whatever there is
  steward.maintenance.postgres_backup:
    databases: [shop]
    force: true
    login_host: db.example.com
    login_user: backup
    login_password: "{{ vault_backup_password }}"
    ssl_mode: verify-full
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(failed) or V(skipped). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: '2 databases backed up: 41 tables, 120000 rows, 8.1 MB in 3.2 s'
reason:
  description: Why something was skipped or failed, naming the cause.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {duration_seconds: 3.2, backup_bytes: 8123456, databases: 2, tables: 41, rows: 120000}
coverage:
  description: How many databases are in the backup, of how many that are there.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
planned:
  description:
    - The databases that are due, each with C(database), C(subject), C(action), C(reason) and C(estimate) (C(bytes), and
      C(seconds) from the second backup on).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: shop
      action: backup
      reason: there is no backup yet
      estimate: {bytes: 8192000}
backup:
  description: Path of the backup that was made, or of the one for which none is needed.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    DATABASES_ARGUMENT,
    LOGIN_ARGUMENTS,
    STANDBY_ARGUMENT,
    duration_from,
    login_from,
    standby_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.backup import Outcome, Settings, back_up


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **DATABASES_ARGUMENT,
            **STANDBY_ARGUMENT,
            path={"type": "path", "default": "/var/backups/steward"},
            max_age={"type": "str", "default": "1d"},
            force={"type": "bool", "default": False},
            jobs={"type": "int", "default": 2},
            compression={"type": "str", "choices": ["auto", "zstd", "lz4", "gzip", "none"], "default": "auto"},
            # Public keys are no secret; but what somebody puts here by mistake may be, and must not be shown.
            recipients={"type": "list", "elements": "str", "default": [], "no_log": True},
            signing_key={"type": "path", "default": "", "no_log": False},  # a path
            content_checksums={"type": "bool", "default": False},
            standby_max_lag={"type": "str", "default": "5m"},
            lock_timeout={"type": "str", "default": "5m"},
            allow_standby={"type": "bool", "default": False},
            bin_dir={"type": "path", "default": ""},
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = Settings(
            path=params["path"],
            databases=tuple(params["databases"]),
            max_age=duration_from(params, "max_age"),
            force=params["force"],
            jobs=params["jobs"],
            compression=params["compression"],
            lock_timeout=duration_from(params, "lock_timeout"),
            allow_standby=params["allow_standby"],
            bin_dir=params["bin_dir"] or "",
            recipients=tuple(params["recipients"]),
            content_checksums=params["content_checksums"],
            signing_key=params["signing_key"] or "",
            standby=standby_from(params),
            standby_max_lag=duration_from(params, "standby_max_lag"),
        )
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = back_up(login_from(params), settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
