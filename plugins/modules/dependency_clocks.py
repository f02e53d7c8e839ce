#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dependency_clocks
version_added: 0.2.0
short_description: Keep since when vulnerabilities of projects are known
description:
  - Takes what M(steward.maintenance.dependency_info) returned, and keeps when each vulnerability was first seen in each
    project. The next audit counts from there how long it may stay.
  - Give it the answer also when the audit failed or could not look at everything. What was not looked at wholly forgets
    nothing.
options:
  audit:
    description: The registered answer of M(steward.maintenance.dependency_info).
    type: dict
    required: true
  ecosystems:
    description: What that audit looked for.
    type: list
    elements: str
    choices: [pypi, npm]
    default: [pypi, npm]
  state_file:
    description:
      - The file. A damaged one is kept under another name. Empty means beside the records of this account, as for the
        audit.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Audit the projects and keep the clocks, whatever the audit says
  block:
    - name: Audit
      steward.maintenance.dependency_info:
        projects: [/srv/shop]
      register: audit
  always:
    - name: Keep the clocks
      steward.maintenance.dependency_clocks:
        audit: "{{ audit }}"
"""

RETURN = r"""
verdict:
  description: V(ok) or V(failed). V(failed) fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: 3 clocks of vulnerabilities run, 1 of them new, 0 ended
reason:
  description: Why the file was not written.
  returned: always
  type: str
  sample: ''
findings:
  description: Always empty; a damaged file is a finding of the audit.
  returned: always
  type: list
  elements: dict
figures:
  description: Clocks that run, those of them that began, and those that ended since.
  returned: always
  type: dict
  sample: {clocks: 3, begun: 1, ended: 0}
coverage:
  description: Places with a vulnerability that the audit told, all of which are kept.
  returned: always
  type: dict
  sample: {looked: 3, of: 3}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import (
    CLOCKS_ARGUMENTS,
    state_file_of,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.clocks import keep, read_audit


def main() -> None:
    module = AnsibleModule(argument_spec=dict(CLOCKS_ARGUMENTS), supports_check_mode=True)
    try:
        sightings, whole = read_audit(module.params["audit"], module.params["ecosystems"])
    except InputError as exc:
        module.fail_json(msg=str(exc))
    path = os.path.abspath(state_file_of(module.params["state_file"]))
    result, changed = keep(path, sightings, whole, module.check_mode)
    finish(module, result, changed)


if __name__ == "__main__":
    main()
