#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_install
version_added: 0.2.0
short_description: Install a release beside the one in use, from its locks, and prove that it is what was tested
description:
  - Makes a directory C(releases/<id>) in the O(directory) of an application from one commit or one archive, installs
    what it depends on from its locks and from nothing else, runs its tests, and reads back from the disk what is
    installed. Only then does it get its name. Nothing that runs is touched; see M(steward.maintenance.release_switch).
  - With O(stage_before), the records of the stage before must say that this very release is in use there and was seen
    well. Commit, locks and the contents of all packages are compared, and the first difference stops it before the
    release has its name.
  - Every step is in a journal. What a killed run left has no name that anybody uses, and is made anew by the next run.
options:
  directory:
    description: Absolute path of the application's own directory on the host. It is made where it is missing.
    type: path
    required: true
  application:
    description: Name of the application, by which the stages know it. The last part of O(directory) when empty.
    type: str
    default: ''
  repository:
    description:
      - Address or path of a Git repository that the host can read. Git asks nobody for a password. A copy without
        history is kept in C(.steward) in O(directory).
    type: str
    default: ''
  commit:
    description: The whole id of a commit. A branch or a tag is refused, for it moves.
    type: str
    default: ''
  archive:
    description:
      - Absolute path of an archive on the host instead, tar (also compressed) or zip. Files, directories and symbolic
        links that stay inside are taken; anything else is refused.
    type: path
    default: ''
  sha256:
    description: The SHA-256 that O(archive) must have.
    type: str
    default: ''
  strip:
    description: How many directories at the beginning of the paths in O(archive) are left out.
    type: int
    default: 0
  parts:
    description:
      - What has dependencies, each a dictionary. Paths are those in the release.
      - C(kind) is C(pip), C(npm) or C(command). C(path) is its directory, the top of the release by default.
      - C(pip) makes the virtual environment C(environment) (C(.venv)) and installs C(lock) (C(requirements.txt)), by
        hashes where it has them (C(--require-hashes)), else exactly its lines (C(--no-deps)). Each of them must pin one
        version, and C(pip check) must have nothing to say.
      - C(npm) runs C(npm ci) by C(package-lock.json), without packages for development unless C(development) is true.
      - C(command) runs C(command), a list of words, and needs C(lock), and C(environment) or C(modules) (true), so that
        what it installed can be seen.
    type: list
    elements: dict
    default: []
  build:
    description: Commands, each a list of words, that are run in the release when O(parts) are installed.
    type: list
    elements: list
    default: []
  tests:
    description:
      - Commands, each a list of words, that are run in the release when it is installed, with its own programs first on
        the path. One that does not end with status 0 takes the release away.
    type: list
    elements: list
    default: []
  tests_timeout:
    description: How long one of O(tests) may take.
    type: str
    default: 1h
  require_tests:
    description:
      - Refuse a release of which neither the stage before nor this call has run O(tests).
    type: bool
    default: true
  stage_before:
    description:
      - What the stage before says, with C(stage) (its name), C(hosts) (the names of its hosts) and C(answers) (what
        M(steward.maintenance.records_info) answered on each of them about the activity of that stage, in their order).
        Empty for the first stage.
      - Every host must have this release by its last record, seen well, all of them the same.
    type: dict
    default: {}
  compare:
    description:
      - V(contents) compares the bytes of all installed packages, V(versions) their names and versions only, for stages
        whose hosts have another platform.
    type: str
    choices: [contents, versions]
    default: contents
  soak:
    description:
      - How long the release must have been in use in the stage before, such as V(1d). Until then the verdict is
        V(skipped). Any time will do when empty.
    type: str
    default: ''
  python:
    description:
      - Path of the Python with pip 22.3 or newer that makes environments. The one that runs the module when empty.
    type: str
    default: ''
  npm:
    description: Name or path of the program npm.
    type: str
    default: npm
  install_scripts:
    description: Let packages run code when they are installed. Otherwise pip takes wheels only and npm runs no scripts.
    type: bool
    default: false
  timeout:
    description: How long one program that fetches, installs or builds may take.
    type: str
    default: 30m
  state_dir:
    description: Directory of the journals. C(releases) beside the records of the account when empty.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Fetches the release into a temporary directory, reads its locks, and tells what would be other than now.
  diff_mode:
    support: full
    details:
      - Shows the release and its packages against the ones in use.
  idempotent:
    support: full
notes:
  - Run it as the account that the files shall belong to. Everybody may read them.
  - Programs in an environment name their Python by the path of the release. Start them by C(current/.venv/bin/...).
  - An npm workspace or a Git submodule is not part of what is installed; a commit with submodules is refused.
seealso:
  - module: steward.maintenance.release_switch
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Have the release beside the others, with its tests run
  steward.maintenance.release_install:
    directory: /srv/shop
    repository: https://git.example.org/shop.git
    commit: 5d2b77a0c1e94f03a7b86e5c2d1f0a9b8c7d6e5f
    parts:
      - {kind: pip}
      - {kind: npm, path: frontend}
    tests:
      - [python, -m, pytest, -q]
  register: installed
"""

RETURN = r"""
verdict:
  description:
    - V(ok), V(findings) when nothing says that it was tested, V(unknown) when records of the stage before could not be
      read, V(skipped) before the end of O(soak), or V(failed). V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: >-
    the release 5d2b77a0c1e94f03 of shop with 42 packages is installed beside the others, as it was tested in staging
reason:
  description: Why it was not installed, and that nothing was touched.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about. The id is V(untested).
  returned: always
  type: list
  elements: dict
  sample: []
figures:
  description: C(packages) of the release, and C(changed_packages) against the one in use.
  returned: always
  type: dict
  sample: {packages: 42, changed_packages: 1}
coverage:
  description: Parts of which the installed packages were read, of all.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
release:
  description: The name of the release, the first 16 digits of its commit or of the SHA-256 of its archive.
  returned: always
  type: str
  sample: 5d2b77a0c1e94f03
current:
  description: The name of the release in use; empty when there is none.
  returned: always
  type: str
  sample: 91c07be4d8163f2a
evidence:
  description:
    - What the release is, short enough for a record, with C(commit) or C(archive_sha256), C(locks) (SHA-256 by path),
      C(inventory_sha256) (of names and versions), C(contents_sha256) (of the bytes of all packages), C(package_count),
      C(packages) (their names and versions, up to 300), C(tests), C(programs) (what installed it, with their versions)
      and C(installed). Empty in check mode.
  returned: always
  type: dict
  sample:
    release: 5d2b77a0c1e94f03
    commit: 5d2b77a0c1e94f03a7b86e5c2d1f0a9b8c7d6e5f
    archive_sha256: ''
    locks: {requirements.txt: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
    package_count: 2
differences:
  description:
    - Packages that are other than in the release in use, with C(ecosystem), C(package), and the lists of versions
      C(before) and C(after). The same version on both sides is one whose contents are others.
  returned: always
  type: list
  elements: dict
  sample: [{ecosystem: pypi, package: jinja2, before: [3.1.0], after: [3.1.1]}]
tests:
  description: The tests that were run now, with C(command), C(duration_seconds) and C(output_sha256).
  returned: always
  type: list
  elements: dict
  sample: [{command: python -m pytest -q, duration_seconds: 12.3, output_sha256: 9f86d081884c7d65}]
output:
  description: The end of what the tests printed, when they failed.
  returned: always
  type: str
  sample: ''
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._releases.arguments import (
    INSTALL_ARGUMENTS,
    install_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._releases.installing import Outcome, install


def main() -> None:
    module = AnsibleModule(argument_spec=INSTALL_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = install(install_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = outcome.beside()
    if module._diff and outcome.diff:
        beside["diff"] = outcome.diff
    finish(module, result, outcome.changed, **beside)


if __name__ == "__main__":
    main()
