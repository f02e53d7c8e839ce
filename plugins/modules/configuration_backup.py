#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: configuration_backup
version_added: 0.2.0
short_description: Keep the configuration of a host in Git, without its secrets
description:
  - Commits what changed below the named paths to a branch of its own in a bare repository. Nothing changed, no commit.
    After the commit its tree is compared with what was read, and a repository elsewhere is asked whether it has it.
  - Owner, group and mode of files and directories, which Git does not keep, are in a manifest that is committed with
    them. Symbolic links are kept as links. Sockets, pipes and devices are not kept.
  - Lines with secrets are replaced by a placeholder with a keyed digest, so that it shows when one changed, and nobody
    can guess it. A file that holds a private key, or bears a name such as C(shadow), is left out and told, unless
    O(encrypt) or O(exclude) names it. So are files that are no text and hold what O(secrets) finds.
  - What cannot be read, or is gone although it was named, is told, and what was kept of it stays in the newest commit.
    A file that is gone below a path that can be read is deleted there, as that is what happened.
  - There is no work tree. A killed run leaves nothing in clear, and the next one sends a commit that was not sent.
options:
  paths:
    description: Absolute paths of files and directories to keep.
    type: list
    elements: path
    required: true
  exclude:
    description:
      - Shell patterns of what is not kept. One with a slash is compared with absolute paths, one without with names.
        What fits a directory goes for all below it.
    type: list
    elements: str
    default: []
  secrets:
    description:
      - Regular expressions of Python that find secrets in a line. Where there is a group named C(secret), only that is
        replaced, else the whole line. The default finds values of what is named as a password, secret, token or key,
        and passwords in URLs. It cannot find all; look at the first commit before you let others read it.
    type: list
    elements: str
    default:
      - (?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)[\w-]*["']?\s*[:=]\s*(?P<secret>\S.*)
      - (?i)^\s*\S*(?:password|passwd|passphrase|secret|token|api[_-]?key)\s+(?P<secret>[^\s=:].*)
      - '[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@'
  encrypt:
    description: Shell patterns, as in O(exclude), of files that are kept encrypted as a whole.
    type: list
    elements: str
    default: []
  recipients:
    description: Public keys that they are encrypted to, C(age1...), C(ssh-ed25519 ...) or C(ssh-rsa ...).
    type: list
    elements: str
    default: []
  largest:
    description: Files of more bytes than this are left out and told.
    type: int
    default: 1048576
  author:
    description: Author of the commits.
    type: str
    default: steward <steward@localhost>
extends_documentation_fragment:
  - steward.maintenance._configuration
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - A repository elsewhere is not asked in check mode; the copy on this host says what is new.
  diff_mode:
    support: full
    details:
      - The diff shows what is committed, so without secrets, and at most 20000 characters of it.
  idempotent:
    support: full
seealso:
  - module: steward.maintenance.configuration_restore
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Keep the configuration of a web server
  steward.maintenance.configuration_backup:
    repository: git@git.example.com:ops/configuration.git
    branch: "{{ inventory_hostname }}"
    ssh_key: /etc/steward/git_ed25519
    paths: [/etc/nginx, /etc/systemd/system, /etc/crontab]
    encrypt: ['/etc/nginx/*.key']
    recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudj7ccqsagh4vk]
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the paths that changed, their lines, and the commit.
  returned: always
  type: str
  sample: etc/nginx/nginx.conf (+2 -1) kept, of 120 files; commit 1f0c9a2b7d
reason:
  description: Why it was not kept, with what git said.
  returned: always
  type: str
  sample: ''
findings:
  description: What was not kept, and why, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {files: 120, added_files: 0, changed_files: 1, deleted_files: 0, filtered_lines: 3, duration_seconds: 0.4}
coverage:
  description: Files that are kept, of those that should be.
  returned: always
  type: dict
  sample: {looked: 120, of: 120}
commit:
  description: The newest commit of the branch. Empty in check mode.
  returned: always
  type: str
  sample: 1f0c9a2b7de5c0c7c2b2a5cfd4c9c0a6f7a0f1e2
changes:
  description: What changed in the repository, 50 at most. C(change) is V(added), V(changed) or V(deleted).
  returned: always
  type: list
  elements: dict
  sample:
    - path: etc/nginx/nginx.conf
      change: changed
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._configuration.arguments import (
    BACKUP_ARGUMENTS,
    PLACE_ARGUMENTS,
    backup_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._configuration.backup import Outcome, back_up
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=dict(PLACE_ARGUMENTS, **BACKUP_ARGUMENTS), supports_check_mode=True)
    outcome = Outcome()
    try:
        result = back_up(backup_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
