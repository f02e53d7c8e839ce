#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dependency_info
version_added: 0.2.0
short_description: Audit what projects depend on, for known vulnerabilities and newer versions
description:
  - Looks into the directories of projects for Python (files of requirements, C(uv.lock), C(poetry.lock), virtual
    environments) and Node (C(package-lock.json), C(npm-shrinkwrap.json), C(pnpm-lock.yaml), C(yarn.lock), what npm
    installed in C(node_modules)), and tells which known vulnerabilities there are, how each came in, how long it may
    stay, and which newer versions there are.
  - Each package of all projects is asked for once. C(pip-audit) and C(npm audit) are the scanners; OSV adds the
    severity that C(pip-audit) does not know, and the other names of an advisory.
  - A scanner that says "nothing found" is believed only as far as its report shows that it looked. Each question holds
    a package that is known to be vulnerable (O(canaries)); when that is not found, or a package is missing in the
    report, or a registry answers with an error, the verdict is V(unknown), and the reason says why.
  - Every vulnerability has a clock by its severity (O(lanes)), which runs from when it was first seen in the project.
    That stands in O(state_file), which M(steward.maintenance.dependency_clocks) writes.
  - A file of requirements without hashes need not name everything that it brings. Unless an environment of the project
    has all of it, C(pip install --dry-run) is asked, with wheels only, so that no code of a package is run.
  - Locks of bun, pipenv and pdm are not read. A project that has one is not looked at wholly.
options:
  projects:
    description: Absolute paths of the directories of projects. Directories below them are not searched.
    type: list
    elements: path
    required: true
  environments:
    description: Shell patterns of virtual environments, relative to the project.
    type: list
    elements: str
    default: [.venv, venv, env]
  own_packages:
    description:
      - Shell patterns of names of packages that are your own, so that nobody else knows anything of them. They are not
        asked for. Members of a workspace and packages installed from a directory are known to be your own.
    type: list
    elements: str
    default: []
  accepted:
    description:
      - Vulnerabilities that somebody answers for, for a while. The same list serves npm, pip and the packages of the
        system. Entries that expired are findings, and so are entries that nothing fits, once everything was looked at.
      - Each entry has C(id) (any name of the vulnerability, of CVE, GitHub or OSV), C(reason), C(owner) and C(until)
        (the last day on which it holds in UTC, such as V(2027-01-31)).
      - C(scope) says where it holds. Its keys are C(ecosystem) (V(pypi), V(npm), V(system)), C(package), C(project)
        (its path) and C(host), each a shell pattern. Without one it holds everywhere.
    type: list
    elements: dict
    default: []
  lanes:
    description:
      - How long a vulnerability may stay, by its severity; only the differences to V(critical=now), V(high=7d),
        V(medium=30d), V(low=90d). V(now) asks for an emergency change. An unknown severity counts as high.
    type: dict
    default: {}
  updates:
    description: Look for newer versions of what the projects themselves ask for.
    type: bool
    default: true
  cooldown:
    description:
      - A release that is younger than this is not C(ready), nor is one whose moment the index does not tell. Versions
        that fix a vulnerability do not wait. Empty turns it off.
    type: str
    default: 7d
  canaries:
    description:
      - A version with a known vulnerability in each ecosystem, which has to be found; only the differences to
        V(pypi=pyyaml==5.3) and V(npm=minimist@0.0.8).
    type: dict
    default: {}
  service:
    description: The advisory service that C(pip-audit) asks. Its V(pypi) service cannot be pointed at a mirror.
    type: str
    choices: [osv, pypi]
    default: osv
  stamps:
    description:
      - Where the mirror of an ecosystem's advisories tells how old they are. An address or the path of a file, whose
        content begins with a moment or has it as C(modified) in JSON; otherwise when it was last modified.
    type: dict
    default: {}
  python:
    description: Path of a Python with pip, which knows the index. Empty means the one that runs this module.
    type: str
    default: ''
  timeout:
    description: How long one program may take.
    type: str
    default: 10m
  jobs:
    description: Programs and questions at the same time. 0 means as many as there are processors, at least 2.
    type: int
    default: 0
  paths:
    description: How many ways from the project to a vulnerable package are told, the shortest first.
    type: int
    default: 3
  state_file:
    description:
      - File with when each vulnerability was first seen; it is only read. Empty means beside the records of this
        account.
    type: path
    default: ''
requirements:
  - the program C(pip-audit) 2.9 or newer for Python (2.10 or newer with O(osv_url))
  - the program C(npm) 7 or newer for Node
  - Python 3.11, C(tomli) or pip to read C(uv.lock), C(poetry.lock) and C(pyproject.toml)
extends_documentation_fragment:
  - steward.maintenance._packages
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - This module only looks.
  idempotent:
    support: full
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Audit all projects of this host
  steward.maintenance.dependency_info:
    projects: [/srv/shop, /srv/billing]
    own_packages: ['example-*', '@example/*']
    accepted:
      - id: CVE-2026-12345
        reason: The vulnerable function is never called
        owner: Jane Doe
        until: '2027-01-31'
        scope: {package: lodash, project: /srv/shop}

- name: Only vulnerabilities, by a mirror of OSV that says when it was last renewed
  steward.maintenance.dependency_info:
    projects: [/srv/shop]
    updates: false
    osv_url: https://osv.example.org/v1/query
    stamps: {pypi: https://osv.example.org/renewed.json}
    lanes: {high: 3d}
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: findings
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: >-
    2 of 2 projects looked at wholly, 84 of 84 packages: 1 known vulnerabilities (1 high), 0 overdue, 1 accepted,
    5 updates
reason:
  description: Why not everything was looked at, each cause once.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action). The ids are
      V(dependency-vulnerable), V(dependency-drift), V(dependency-lock-stale), V(dependency-memory-damaged),
      V(accept-expired) and V(accept-unused). C(value) of a vulnerability is by how many seconds it is overdue.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers. C(packages) counts each version of a package once.
  returned: always
  type: dict
  sample:
    projects: 2
    packages: 84
    packages_looked_at: 84
    vulnerabilities: 1
    critical: 0
    high: 1
    medium: 0
    low: 0
    overdue: 0
    accepted: 1
    updates: 5
    advisories_unjoined: 0
    duration_seconds: 4.2
coverage:
  description: Projects that were looked at wholly, of those that were asked for.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
projects:
  description:
    - Each project with C(path), C(files) that were read, number of C(packages), C(looked_at) (wholly), C(problems),
      and how many C(vulnerabilities), C(accepted) ones and C(updates) it has.
  returned: always
  type: list
  elements: dict
vulnerabilities:
  description: Each advisory against each version, with all projects that have it.
  returned: always
  type: list
  elements: dict
  contains:
    ecosystem:
      description: V(pypi) or V(npm).
      type: str
      returned: always
      sample: npm
    package:
      description: Name of the package.
      type: str
      returned: always
      sample: lodash
    version:
      description: The version that has it.
      type: str
      returned: always
      sample: 4.17.4
    id:
      description: The name that most people know.
      type: str
      returned: always
      sample: CVE-2020-8203
    aliases:
      description: All its names.
      type: list
      elements: str
      returned: always
    severity:
      description: V(low), V(medium), V(high), V(critical), or V(unknown).
      type: str
      returned: always
      sample: high
    counted_as:
      description: The severity whose lane it is in.
      type: str
      returned: always
      sample: high
    title:
      description: What it is about.
      type: str
      returned: always
    url:
      description: Address of the advisory, where the scanner tells one.
      type: str
      returned: always
    published:
      description: When the advisory was published, where OSV tells that.
      type: str
      returned: always
      sample: '2020-07-15T19:15:48Z'
    fix_versions:
      description: Versions without it.
      type: list
      elements: str
      returned: always
      sample: [4.17.19]
    fix:
      description: The nearest of them. Empty when there is none.
      type: str
      returned: always
      sample: 4.17.19
    fix_class:
      description: V(patch), V(minor), V(minor-0x) (a minor release below 1.0), V(major), V(downgrade) or V(unknown).
      type: str
      returned: always
      sample: patch
    projects:
      description:
        - Each project with C(path), C(files), C(paths) from the project to the package, C(first_seen), C(due),
          C(overdue_seconds) and C(accepted_until).
      type: list
      elements: dict
      returned: always
updates:
  description:
    - Newer versions of what the projects themselves ask for; the same step in many projects is one entry, with
      C(ecosystem), C(package), C(projects), C(installed) (in the environment, else in the lock), C(wanted) (the highest
      in the range that is asked for), C(latest), C(class) of going there, C(needs) (which Python or Node the installed
      one wants) and C(links) (where changes are told, some of C(changelog), C(releases), C(repository), C(homepage)).
    - C(targets) has each version to go to with C(version), C(class), C(published), C(ready), C(held_until) (cooldown),
      C(fixes) (vulnerabilities that it no longer has), C(needs) and C(needs_met), which is none where the version of
      the language is not known.
  returned: always
  type: list
  elements: dict
  sample:
    - ecosystem: npm
      package: express
      projects: [/srv/shop]
      installed: 4.0.0
      wanted: 4.1.0
      latest: 4.1.0
      class: minor
      needs: '>=4'
      links: {repository: 'https://github.com/example/express'}
      targets:
        - version: 4.1.0
          class: minor
          published: '2026-10-01T00:00:00.000Z'
          ready: true
          held_until: ''
          fixes: []
          needs: '>=4'
          needs_met: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages.arguments import (
    PACKAGES_ARGUMENTS,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._packages.auditing import Outcome, audit


def main() -> None:
    module = AnsibleModule(argument_spec=dict(PACKAGES_ARGUMENTS), supports_check_mode=True)
    try:
        settings = settings_from(module.params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = audit(settings, module.check_mode, utc_now(), outcome)
    finish(module, result, False, **outcome.beside())


if __name__ == "__main__":
    main()
