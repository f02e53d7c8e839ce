#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dependency_update
version_added: 0.2.0
short_description: Update what projects depend on, tested, on a branch
description:
  - Looks at projects as M(steward.maintenance.dependency_info) does, chooses new versions by the policy of each
    project, writes them into its locks with the tools of their ecosystem, installs the project from these locks, runs
    its tests, and gives the result a branch of its Git repository. Nothing is merged; it is pushed only where
    O(projects[].remote) says so.
  - All of it is done in a clone beside. The checkout, its index, changes that are not committed and all other branches
    are never touched, which a digest before and after shows. When a step fails or the module is killed, there is
    nothing to take back; the next run removes the clone.
  - What is judged is the commit O(projects[].base), not the files of the checkout.
  - A fix goes to the lowest version without the vulnerabilities and does not wait for the O(cooldown). Other updates
    go to the highest version that is old enough. Older versions, pre-releases and withdrawn ones are never taken.
  - Files of requirements are written by this module, line by line, with the hashes of all files of each release; C(pip)
    says whether the versions go together. C(package-lock.json) is written by C(npm), C(pnpm-lock.yaml) by C(pnpm),
    C(yarn.lock) by Yarn 1, C(uv.lock) by C(uv), C(poetry.lock) by C(poetry). A project whose update needs a tool that
    is not there, is too old, or does not run here (Yarn 2 and newer) is refused, naming the tool.
  - When a tool would change its lock where this update does not need it, the update is refused.
  - The same scanners look at the new locks. When a vulnerability that was to be fixed is still there, or a new one
    came, the update is refused.
  - A branch that has the very update already is left alone. One with others' commits is never written.
options:
  projects:
    description: The projects. Each is a directory in the checkout of a Git repository.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the directory.
        type: path
        required: true
      test:
        description:
          - Command of its full tests, for C(/bin/sh). It runs in the directory of the project in the clone; programs of
            its own environment and of C(node_modules/.bin) come first in E(PATH).
        type: str
        required: true
      policy:
        description: As O(policy), for this project.
        type: str
        choices: [security, patch, minor, major]
      approved:
        description:
          - Shell patterns of names of packages whose breaking steps (major, and minor below 1.0) somebody answers for.
            A fix may take such a step then, and with the policies V(patch) and V(minor) any update.
        type: list
        elements: str
        default: []
      base:
        description: The commit to begin with, as a branch, a tag or a commit.
        type: str
        default: HEAD
      python:
        description: Path of the Python that the project is installed with. Empty means O(python).
        type: str
        default: ''
      remote:
        description:
          - Name or address of the repository that the branch is pushed to, with the credentials that Git has for it.
            Empty means none. A branch with commits of somebody else is not written there either.
        type: str
        default: ''
      merge_request:
        description:
          - Ask a forge for the merge, unless there is an open request for the branch. The keys are C(kind) (V(gitlab)
            or V(github)), C(api) (address of its API, like V(https://gitlab.example.org/api/v4)), C(project) (like
            V(group/shop)), C(target) (the branch to merge into), and C(token_file) (closed to others) or C(token_env)
            (name of a variable of the environment) for the token.
        type: dict
        default: {}
  policy:
    description:
      - What is taken. V(security) is fixes only, as patch or minor releases. V(patch) and V(minor) are also newer
        versions of what the project itself asks for. V(major) is everything, minor releases below 1.0 among it.
    type: str
    choices: [security, patch, minor, major]
    default: security
  branch:
    description: Beginning of the name of the branch. The policy follows, and the directory where it is not the top.
    type: str
    default: steward/dependencies
  author:
    description: Author of the commits.
    type: str
    default: steward.maintenance <steward@localhost>
  test_timeout:
    description: How long the tests of a project may take.
    type: str
    default: 1h
  install_scripts:
    description:
      - Let packages run code when they are installed (install scripts of npm, source packages of Python). Without it, a
        project that needs that cannot be installed.
    type: bool
    default: false
  changelogs:
    description:
      - Look into changelogs for lines that tell of what may break. The changelog that an npm package brings with it, or
        the address that a Python package gives, if it is encrypted or on the host of the index.
    type: bool
    default: true
  pnpm:
    description: Name or path of the program C(pnpm), which writes and installs C(pnpm-lock.yaml).
    type: str
    default: pnpm
  yarn:
    description: Name or path of the program C(yarn) of Yarn 1, which writes and installs C(yarn.lock).
    type: str
    default: yarn
  uv:
    description: Name or path of the program C(uv).
    type: str
    default: uv
  poetry:
    description: Name or path of the program C(poetry), which writes and installs C(poetry.lock).
    type: str
    default: poetry
  evidence_dir:
    description:
      - Directory for the evidence. Each update gets one in it, with the lists of parts before and after (CycloneDX
        1.6), their difference, the output of the tests and all else that is known. Empty means beside the records.
    type: path
    default: ''
  evidence_keep:
    description:
      - How much evidence of each project is kept. Older one is removed when that of an update is complete, but never
        that of the last update whose tests passed. Nothing else in the directory is touched.
    type: int
    default: 24
  own_packages:
    description: Shell patterns of names of packages of your own.
    type: list
    elements: str
    default: []
  accepted:
    description:
      - Vulnerabilities that somebody answers for, as in M(steward.maintenance.dependency_info). They are not fixed.
    type: list
    elements: dict
    default: []
  lanes:
    description: How long a vulnerability may stay, as in M(steward.maintenance.dependency_info).
    type: dict
    default: {}
  cooldown:
    description:
      - A release that is younger than this, or whose moment is not told, is only taken as a fix. Empty turns it off.
    type: str
    default: 7d
  canaries:
    description:
      - Versions with a known vulnerability that have to be found, as in M(steward.maintenance.dependency_info).
    type: dict
    default: {}
  service:
    description: The advisory service that C(pip-audit) asks.
    type: str
    choices: [osv, pypi]
    default: osv
  stamps:
    description: Where the mirror of an ecosystem's advisories tells how old they are.
    type: dict
    default: {}
  python:
    description: Path of a Python with pip and venv. Empty means the one that runs this module.
    type: str
    default: ''
  timeout:
    description: How long one program may take, the tests excepted.
    type: str
    default: 10m
  jobs:
    description: Questions at the same time. 0 means as many as there are processors, at least 2.
    type: int
    default: 0
  state_file:
    description:
      - File with when each vulnerability was first seen; it is only read. The clones are made in a directory beside it.
        Empty means beside the records of this account.
    type: path
    default: ''
requirements:
  - git 2.29 or newer
  - C(pip-audit) 2.9 or newer and pip 22.3 or newer for Python
  - C(npm) 7 or newer for Node
  - C(pnpm) 9 or newer for C(pnpm-lock.yaml)
  - Yarn 1.22 for C(yarn.lock)
  - C(uv) for C(uv.lock)
  - C(poetry) 2 or newer for C(poetry.lock)
extends_documentation_fragment:
  - steward.maintenance._packages
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - The new versions are resolved in a temporary clone, so that they are told exactly. Nothing is tested or
        committed, nor installed but by Yarn, which cannot lock otherwise, in the clone and without scripts.
  diff_mode:
    support: full
    details:
      - Each package of each file whose version changes.
  idempotent:
    support: full
    details:
      - While the branch has the update that the commit needs, nothing is changed.
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Fix known vulnerabilities, each project on its branch
  steward.maintenance.dependency_update:
    projects:
      - path: /srv/shop
        test: npm test && pytest
      - path: /srv/billing
        test: make test
        approved: [django]
  become: true
  become_user: builder

- name: The monthly update
  steward.maintenance.dependency_update:
    policy: minor
    cooldown: 14d
    projects: [{path: /srv/shop, test: npm test && pytest, base: main}]
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
  sample: '2 projects: 1 up to date, 1 updated; 3 packages move, 2 vulnerabilities fixed'
reason:
  description: Which projects failed or could not be looked at, at which step, and why.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about. C(dependency-fix-blocked) is a vulnerability that stays, with why and what would
      be needed. C(dependency-tree-changed) is a checkout that changed while the update ran. C(evidence-left) is old
      evidence that could not be removed.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers. Each state of a project is counted, V(planned), V(waiting) and the others.
  returned: always
  type: dict
  sample:
    {projects: 2, up_to_date: 1, updated: 1, failed: 0, unknown: 0, moves: 3, fixes: 2, blocked: 0, duration_seconds: 4}
coverage:
  description: Projects that neither failed nor are unknown, of all.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
done:
  description: One item for each project with evidence, with the C(sha256) of its files, for the record.
  returned: when there is any
  type: list
  elements: dict
  sample: [{subject: /srv/shop, action: update, evidence: {sha256: {tests.log: 9f86d081884c7d65}}}]
projects:
  description: Each project.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Its directory.
      type: str
      returned: always
      sample: /srv/shop
    policy:
      description: The policy that it was updated by.
      type: str
      returned: always
      sample: security
    status:
      description:
        - V(up-to-date), V(planned) (in check mode), V(waiting) (the branch has the update already), V(updated),
          V(failed) or V(unknown).
      type: str
      returned: always
      sample: updated
    step:
      description:
        - Where it failed. V(read), V(look), V(resolve), V(audit), V(install), V(commit), V(test), V(publish), V(push)
          or V(merge).
      type: str
      returned: always
      sample: ''
    reason:
      description: Why it failed or is unknown.
      type: str
      returned: always
      sample: ''
    output:
      description: The end of what the failed step printed, at most 30 lines.
      type: str
      returned: always
      sample: ''
    base:
      description: The commit that the update begins with.
      type: str
      returned: always
    branch:
      description: The branch; empty when nothing moves.
      type: str
      returned: always
      sample: steward/dependencies-security
    commit:
      description: The commit that the branch has.
      type: str
      returned: always
    moves:
      description:
        - Each package with C(ecosystem), C(package), C(from), C(to), C(class), C(why) (V(fix), V(routine), or V(needed)
          by another move), C(fixes), C(files), C(needs_before) and C(needs) (which Python or Node), C(needs_met),
          C(published), C(links) and C(notes) (lines of its changelog that tell of what may break).
      type: list
      elements: dict
      returned: always
    test:
      description: The C(command), C(duration_seconds), C(output_bytes) and C(output_sha256) of the tests.
      type: dict
      returned: always
    evidence:
      description: Directory with the evidence; empty when it did not come to that.
      type: str
      returned: always
    merge_request:
      description: Address of the open merge request; empty without one.
      type: str
      returned: always
    tree:
      description: Digests of the checkout C(before) and C(after), and whether it is C(unchanged).
      type: dict
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._packages.renewing import Outcome, update
from ansible_collections.steward.maintenance.plugins.module_utils._packages.update_arguments import (
    UPDATE_ARGUMENTS,
    update_settings_from,
)


def main() -> None:
    module = AnsibleModule(argument_spec=dict(UPDATE_ARGUMENTS), supports_check_mode=True)
    try:
        settings = update_settings_from(module.params)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    outcome = Outcome()
    result = update(settings, module.check_mode, utc_now(), outcome)
    finish(module, result, outcome.changed, projects=outcome.projects, diff=outcome.diff)


if __name__ == "__main__":
    main()
