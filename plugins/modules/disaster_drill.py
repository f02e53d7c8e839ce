#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disaster_drill
version_added: 0.2.0
short_description: Drill the loss of a PostgreSQL server and measure how long the way back takes
description:
  - Restores the newest backup into a server of its own, with the durability of a lasting one, proves it as
    M(steward.maintenance.postgres_backup_verify) does, asks the application whether it is well with it, and, for
    a regional outage, sends traffic there and back. Measures from the moment of the imagined failure until the service
    answered (RTO), and from the restored data to that moment (RPO). A miss is a finding.
  - A backup that cannot be restored is a finding, and the next older one is taken, as a person would do. That costs
    time and data, and both are measured.
  - Nothing of production is touched. The new server has its own directory below O(scratch_path), and its socket is
    closed to others. Whatever is made is removed at the end, in a failed drill too, and when a signal ends it. What a
    killed drill leaves is removed by the next; its server dies with it.
  - Traffic that was sent to the recovery site is sent back whatever happens. When the probes do not see it back, the
    verdict is V(failed), with a critical finding. A drill that was killed in between is known by a note in
    O(state_dir), and the next one sends traffic back first of all.
  - The verdict is V(failed) when the service did not come back, for whatever reason, and V(unknown) when another drill
    is at work on this host.
options:
  scenario:
    description:
      - What is imagined to be lost.
      - V(database_failure) is the server alone, on its own host; the backups in O(path) are there.
      - V(system_failure) is the host with its backups. The drill runs on another one, with the copy in the store.
      - V(regional_outage) is all hosts of the region. As V(system_failure), on a host of the recovery site that
        traffic is sent to.
    type: str
    choices: [database_failure, system_failure, regional_outage]
    required: true
  only_switch_back:
    description: Drill nothing; only send traffic back to where it belongs, and see it there.
    type: bool
    default: false
  path:
    description: Directory of the backups, for V(database_failure).
    type: path
    default: /var/backups/steward
  bucket:
    description: Name of the bucket with the copies; required for all but V(database_failure).
    type: str
    default: ''
    required: false
  system_identifier:
    description:
      - Whose copies; the number that C(pg_controldata) calls the system identifier.
      - Empty means the only one below O(prefix). When there are several, the drill fails and names them.
    type: str
    default: ''
  failed_at:
    description:
      - The moment of the imagined failure, in UTC, such as V(2026-11-23T05:13:39Z), by the clock of this host. What
        was done since then, the rebuild of the host, counts for the RTO. Only backups from before it are taken.
      - Empty means now.
    type: str
    default: ''
  rto:
    description: Recovery time objective. Empty means none.
    type: str
    default: 1h
  rpo:
    description: Recovery point objective. Empty means none.
    type: str
    default: 24h
  identity_file:
    description: File with the private key, for encrypted backups, as C(age -i) takes it.
    type: path
    default: ''
  public_key:
    description: File with the public key of the one who signs manifests, in PEM form. Others are refuted then.
    type: path
    default: ''
  scratch_path:
    description:
      - Directory in which the new server gets its own, and a fetched copy too. It needs the space of both. Its path
        must be short, for a Unix socket is made in it.
    type: path
    default: /var/tmp
  run_as:
    description: Account of the new server when this module runs as root; C(postgres), else C(nobody), when empty.
    type: str
    default: ''
  jobs:
    description: Tables and indexes of one database that are restored at the same time.
    type: int
    default: 2
  nice:
    description: How much the new server and the restore give way to other processes.
    type: int
    default: 0
  io_class:
    description: How the drill gives way to others at the disk, in the words of C(ionice).
    type: str
    choices: [idle, best-effort, none]
    default: none
  bin_dir:
    description: Directory of PostgreSQL's programs. Empty means they are found by the version of the backup.
    type: path
    default: ''
  health_command:
    description:
      - A command, as words, that ends with status 0 when the application is well. In its environment, E(PGHOST),
        E(PGPORT), E(PGUSER) and E(PGDATABASE) lead to the new server, as a superuser.
  listen_addresses:
    description:
      - Addresses on which the new server listens while it lives, as in PostgreSQL's setting. Empty means none.
    type: str
    default: ''
  port:
    description: Port of the new server. The drill fails when something else listens there.
    type: int
    default: 5432
  allow_from:
    description:
      - Networks, such as V(10.1.0.0/16), from which roles may log in to the new server with the passwords that they
        had when the backup was made. Nobody else may.
    type: list
    elements: str
    default: []
  read_only:
    description:
      - Let transactions of those who log in over the network be read-only unless they say otherwise. What is written
        to this server is lost with it.
    type: bool
    default: true
  traffic_to_recovery:
    description:
      - Commands that send traffic to the recovery site, each a list of words that no shell reads. They run on this
        host, as the account of this module.
    type: list
    elements: list
    default: []
  traffic_back:
    description: Commands that send it back. They must do no harm when it is there.
    type: list
    elements: list
    default: []
  traffic_timeout:
    description: The longest that one command may take, and that a probe may take to see traffic where it was sent.
    type: str
    default: 1m
  recovery_url:
    description: An URL that answers with status 200 when traffic goes to the recovery site, and only then.
    type: str
    default: ''
  recovery_command:
    description: A command, as words, that ends with status 0 when traffic goes to the recovery site, and only then.
    type: list
    elements: str
    default: []
  normal_url:
    description: An URL that answers with status 200 when traffic goes where it belongs, and only then.
    type: str
    default: ''
  normal_command:
    description: A command, as words, that ends with status 0 when traffic goes where it belongs, and only then.
    type: list
    elements: str
    default: []
  state_dir:
    description: Directory of the note of a switch that was begun. Empty means beside the records of this account.
    type: path
    default: ''
requirements:
  - the server programs of the PostgreSQL version that the backup was made of (C(initdb), C(postgres), C(pg_restore))
  - the programs C(zstd), C(age) and C(openssl), for backups that were made with them
extends_documentation_fragment:
  - steward.maintenance._s3
  - steward.maintenance._application.health
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_s3
attributes:
  check_mode:
    support: full
    details:
      - In check mode it is said what would be restored, and how old its data is. Nothing is restored or switched.
  diff_mode:
    support: none
    details:
      - A drill leaves everything as it was.
  idempotent:
    support: none
    details:
      - Each run is a drill. RV(ignore:changed) says whether traffic was switched.
seealso:
  - module: steward.maintenance.postgres_backup_verify
  - module: steward.maintenance.postgres_backup_fetch
  - module: steward.maintenance.postgres_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Drill the failure of the database on its own host
  steward.maintenance.disaster_drill:
    scenario: database_failure
    rto: 1h
    rpo: 24h
    health_command: [psql, --no-psqlrc, -d, shop, -c, SELECT 1 FROM orders LIMIT 1]
  become: true
  become_user: postgres

- name: Drill a regional outage on a host of the recovery site
  steward.maintenance.disaster_drill:
    scenario: regional_outage
    bucket: backups.example.com
    region: eu-central-1
    rto: 8h
    listen_addresses: '*'
    allow_from: [10.1.0.0/16]
    traffic_to_recovery: [[/usr/local/sbin/traffic, drill.example.com, recovery]]
    traffic_back: [[/usr/local/sbin/traffic, drill.example.com, normal]]
    recovery_url: https://drill.example.com/served-by-recovery
    normal_url: https://drill.example.com/served-by-normal
  become: true
  become_user: postgres
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown), V(failed) or V(skipped). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: >-
    database failure: RTO 42 s of 1 h, RPO 3 h 05 min of 24 h; backup 20261123T051339Z restored and compared:
    2 databases, 9 tables, 120 rows; the application was well
reason:
  description: Why the service did not come back, naming the backup, the program or the command.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description:
    - Measured numbers, with the unit in the name. C(rto_seconds) ends when the service answered, and is missing when it
      did not; the stages are C(rebuild_seconds), C(fetch_seconds), C(recovery_seconds) (with C(rehash_seconds) and
      C(restore_seconds) in it), C(health_seconds), C(switch_seconds), and after it C(back_seconds).
  returned: always
  type: dict
  sample: {rto_seconds: 42.1, rto_target_seconds: 3600, rpo_seconds: 11100, rpo_target_seconds: 86400}
coverage:
  description:
    - Proofs that were made, of those that should be; two for each database, one for the health of the application, and
      one for traffic in a regional outage.
  returned: always
  type: dict
  sample: {looked: 5, of: 5}
planned:
  description: In check mode, what is to be restored, with C(database), C(subject), C(action) and C(estimate).
  returned: always
  type: list
  elements: dict
  sample:
    - database: shop
      subject: 20261123T051339Z
      action: restore
      reason: database failure is drilled
      estimate: {bytes: 9830400}
backup:
  description: Path or address of the backup that was restored.
  returned: always
  type: str
  sample: /var/backups/steward/20261123T051339Z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.drill import Outcome, drill, switch_back
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.drill_arguments import (
    DRILL_ARGUMENTS,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import STORE_ARGUMENTS


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            STORE_ARGUMENTS,
            **HEALTH_ARGUMENTS,
            **DRILL_ARGUMENTS,
            bucket={"type": "str", "default": ""},
            public_key={"type": "path", "default": "", "no_log": False},  # a path
        ),
        supports_check_mode=True,
    )
    outcome = Outcome()
    try:
        settings = settings_from(module.params)
        if module.params["only_switch_back"]:
            result = switch_back(settings.traffic, module.check_mode, outcome)
        else:
            result = drill(settings, module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
