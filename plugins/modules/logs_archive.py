#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logs_archive
version_added: 0.2.0
short_description: Archive rotated logs and the journal, each content once, and remove what has had its time
description:
  - Takes what rotation has finished, compresses it where that was not done yet, unpacks it to compare, sends it to
    a directory, a bucket or both, and reads it back there. Only then it stands in the manifest of the host and the day,
    with its SHA-256, and counts as archived.
  - A file is known by the log that it is of and its unpacked content. One that rotation renames, or compresses, is not
    archived twice, and one that is renamed while this runs is not lost. What was archived is told by the manifests at
    the target, so a host that lost its own state archives nothing twice.
  - The live log is left alone. So is what some process has open for writing, as far as this account may see, and what
    was written to a short time ago; the next run takes it.
  - Of the journal, all entries after the last archived one are exported. When that one is gone already, entries may be
    lost, and that is a finding.
  - Days older than O(retention) are removed after everything was archived.
options:
  paths:
    description: Absolute shell patterns of files, C(**) for all directories. Only what is named as rotated is taken.
    type: list
    elements: str
    default: ['/var/log/**/*']
  exclude:
    description: Absolute shell patterns of files that are not archived.
    type: list
    elements: str
    default: []
  unrotated:
    description: Take files, too, whose names do not end in a number or a date as rotation leaves them.
    type: bool
    default: false
  directory:
    description: Directory of the archive. It must be there; each host has its own directory in it.
    type: path
    default: ''
  bucket:
    description: Name of the bucket of the archive. It must exist.
    type: str
    default: ''
    required: false
  host:
    description: Name of the host in the archive. Empty means its own.
    type: str
    default: ''
  retention:
    description: Days of the archive that are older than this are removed. Files that are older are not archived.
    type: str
    default: 90d
  settle:
    description: What was written to later than this ago is left for the next run.
    type: str
    default: 10m
  compression:
    description: How to compress. V(auto) is V(zstd) where that program is there, else V(gzip).
    type: str
    choices: [auto, zstd, gzip]
    default: auto
  journal:
    description: Archive the systemd journal, too, in its export format, which C(systemd-journal-remote) reads.
    type: bool
    default: false
  journal_directory:
    description: Directory with the files of the journal. Empty means that of this host.
    type: path
    default: ''
  state_dir:
    description: Directory for what is being compressed. Empty means beside the records of this account.
    type: path
    default: ''
requirements:
  - the program C(zstd), for what is compressed with it
extends_documentation_fragment:
  - steward.maintenance._s3
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_s3
attributes:
  check_mode:
    support: full
    details:
      - In check mode the journal is not looked at.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - Where the journal is archived, each run finds what was logged since the last one.
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Archive the logs of the web server and the journal for 90 days
  steward.maintenance.logs_archive:
    paths: [/var/log/nginx/*, /var/log/postgresql/*]
    journal: true
    bucket: logs.example.com
    region: eu-central-1
    host: "{{ inventory_hostname }}"
    retention: 90d
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 3 files archived in /srv/logs/web1 (12.3 MB as 1.1 MB), 1 days removed
reason:
  description: Why not all was archived, naming the file or the target.
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
  sample: {archived_files: 3, content_bytes: 12345678, stored_bytes: 1123456, pruned_days: 1, duration_seconds: 0.8}
coverage:
  description: Files that were archived, of those that rotation has finished; the rest is left for the next run.
  returned: always
  type: dict
  sample: {looked: 3, of: 3}
archived:
  description: Paths that were archived, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/var/log/nginx/access.log.1]
pruned:
  description: Days that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ['2026-08-20']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._logs.archive import Outcome, archive
from ansible_collections.steward.maintenance.plugins.module_utils._logs.arguments import (
    LOGS_ARGUMENTS,
    host_from,
    settings_from,
    store_settings_from,
    targets_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._s3.settings import STORE_ARGUMENTS


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(STORE_ARGUMENTS, **LOGS_ARGUMENTS, bucket={"type": "str", "default": ""}),
        supports_check_mode=True,
    )
    params = module.params
    try:
        settings = settings_from(params)
        opening = targets_from(params["directory"] or "", store_settings_from(params), host_from(params))
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = archive(opening, settings, module.check_mode, outcome)
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
