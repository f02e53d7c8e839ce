#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_switch
version_added: 0.2.0
short_description: Switch an application to an installed release, prove that it is well, or have the one of before back
description:
  - Looks whether the release on the disk is still what M(steward.maintenance.release_install) installed, and whether
    the application is well now. One that was broken before is told apart, and is not touched unless O(accept_broken).
  - Then the link C(current) in O(directory) leads to the release, by one rename, and the application is restarted. The
    restart counts when every unit or process is another one than before. The application counts as well when it
    answers as it should, says that it is this release (O(version_url)), passes O(tests), and after O(settle) is still
    the same process and well.
  - When any of that fails, the link leads back, the application is restarted again, and the release of before must be
    seen well in the same way. The task fails, and says whether that succeeded.
  - Every step is in a journal. Killed at any moment, the next run brings to its end what was begun, or takes it back.
options:
  directory:
    description: Absolute path of the application's own directory on the host.
    type: path
    required: true
  application:
    description: Name of the application, by which the stages know it. The last part of O(directory) when empty.
    type: str
    default: ''
  state:
    description:
      - V(switched) switches to O(release). V(returned) switches back to the release that was in use before; when
        O(release) is given and another one is in use already, nothing is done.
    type: str
    choices: [switched, returned]
    default: switched
  release:
    description:
      - The release to switch to, as M(steward.maintenance.release_install) returned it. With O(state=returned), the one
        to get away from, or empty for whichever is in use.
    type: str
    default: ''
  systemd_units:
    description: Units of systemd that run the application. They are restarted together.
    type: list
    elements: str
    default: []
  restart_commands:
    description: Commands, each a list of words, that restart what else runs it. They need O(pid_files).
    type: list
    elements: list
    default: []
  pid_files:
    description:
      - Files with the numbers of the processes that O(restart_commands) start. Each must be another process afterwards.
    type: list
    elements: path
    default: []
  restart_timeout:
    description: How long a restart may take.
    type: str
    default: 2m
  version_url:
    description:
      - An URL whose answer has the commit, the SHA-256 of the archive or the name of the release in it, or at least the
        first 12 digits. Without it nothing says from outside which release runs.
    type: str
    default: ''
  tests:
    description: Commands, each a list of words, that are run in the release when it runs. Each must end with status 0.
    type: list
    elements: list
    default: []
  tests_timeout:
    description: How long one of O(tests) may take.
    type: str
    default: 1h
  settle:
    description: After that long, it must still be well, and the same processes. Not looked at again when empty.
    type: str
    default: 2s
  accept_broken:
    description:
      - Switch although the application is not well before. That the way back succeeded cannot be proved then.
    type: bool
    default: false
  keep:
    description:
      - How many releases are kept, from 2 to 1000. The one in use, the one of before, and one in which a process still
        works are never removed.
    type: int
    default: 5
  state_dir:
    description:
      - Directory of the journals and of the evidence. C(releases) beside the records of the account when empty.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._application.health
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks at the release and at the application, and touches neither. A release that is not there is no failure,
        because no task before can have installed it.
  diff_mode:
    support: full
    details:
      - Shows both releases with their packages.
  idempotent:
    support: full
notes:
  - Run it as an account that may restart the application and write the links in O(directory).
  - A process that was started by the link may load files of the new release until it is restarted. Take the host out of
    the traffic meanwhile, see M(steward.maintenance.load_balancer_server).
seealso:
  - module: steward.maintenance.release_install
  - module: steward.maintenance.load_balancer_server
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Switch to the release that was installed
  steward.maintenance.release_switch:
    directory: /srv/shop
    release: "{{ installed.release }}"
    systemd_units: [shop.service]
    health_url: http://127.0.0.1:8080/health
    version_url: http://127.0.0.1:8080/version

- name: Go back to the release of before
  steward.maintenance.release_switch:
    directory: /srv/shop
    state: returned
    systemd_units: [shop.service]
    health_url: http://127.0.0.1:8080/health
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(failed). V(failed) fails the task, also when the way back succeeded.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: shop was switched to the release 5d2b77a0c1e94f03
reason:
  description: Why it was not switched, whether the release of before was seen well again, or that it was broken before.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about. The ids are V(went-back), V(broken-before), V(release-in-use), V(releases-left)
      and V(evidence-lost).
  returned: always
  type: list
  elements: dict
  sample: []
figures:
  description: Measured numbers.
  returned: always
  type: dict
  sample: {changed_packages: 1, removed_releases: 0}
coverage:
  description: One, of one application.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
done:
  description:
    - The release of before and the evidence of the release that was seen well, which is what the next stage asks for.
      C(action) is V(release), V(return), or V(keep) when nothing had to be switched. After a failure it is V(went-back)
      or V(leave), and C(after) is empty.
    - C(evidence) has the C(directory) of RV(evidence_dir) and the C(sha256) of each of its files, by which the record
      vouches for them. C(running_tests) has the tests of O(tests), as RV(tests).
  returned: when it did not fail, or when something was touched
  type: list
  elements: dict
  sample:
    - subject: shop
      action: release
      before: {release: 91c07be4d8163f2a}
      after: {release: 5d2b77a0c1e94f03, seen_well: '2026-11-27T05:13:52Z'}
      evidence:
        directory: /var/lib/steward/releases/evidence/shop-5f3a9c1e/2026-11-27T051350Z-5d2b77a0c1e94f03
        sha256: {difference.json: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
release:
  description: The release that was asked for.
  returned: always
  type: str
  sample: 5d2b77a0c1e94f03
previous:
  description: The release that was in use before; empty when there was none.
  returned: always
  type: str
  sample: 91c07be4d8163f2a
well:
  description: Whether the application was seen well at the end, with whatever release.
  returned: always
  type: bool
  sample: true
may_serve:
  description: Whether the host may get requests as before, because it was seen well or because nothing was touched.
  returned: always
  type: bool
  sample: true
broken_before:
  description: Why the application was not well before anything was touched; empty when it was.
  returned: always
  type: str
  sample: ''
went_back:
  description: Whether the release of before was put back.
  returned: always
  type: bool
  sample: false
evidence:
  description: What the release is, as in M(steward.maintenance.release_install).
  returned: always
  type: dict
  sample: {release: 5d2b77a0c1e94f03, package_count: 42}
differences:
  description: Packages that are other than in the release of before, as in M(steward.maintenance.release_install).
  returned: always
  type: list
  elements: dict
  sample: [{ecosystem: pypi, package: jinja2, before: [3.1.0], after: [3.1.1]}]
evidence_dir:
  description:
    - Directory with the packages of the release before and of the one in use afterwards (C(sbom-before.json) and
      C(sbom-after.json), CycloneDX 1.6), C(difference.json), and all else in C(switch.json). Also when it went back.
      Empty when nothing was touched. It is below O(state_dir), closed to others; of each application the last 24 are
      kept, or as many as fit into 256 MiB.
  returned: always
  type: str
  sample: /var/lib/steward/releases/evidence/shop-5f3a9c1e/2026-11-27T051350Z-5d2b77a0c1e94f03
tests:
  description: The tests of the running release that passed now, as in M(steward.maintenance.release_install).
  returned: always
  type: list
  elements: dict
  sample: [{command: python smoke.py, duration_seconds: 1.2, output_sha256: 9f86d081884c7d65}]
removed:
  description: Old releases that were removed.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._releases.arguments import (
    SWITCH_ARGUMENTS,
    switch_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._releases.steps import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._releases.switching import switch


def main() -> None:
    module = AnsibleModule(argument_spec=SWITCH_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = switch(switch_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = outcome.beside()
    if module._diff and outcome.diff:
        beside["diff"] = outcome.diff
    finish(module, result, outcome.changed, **beside)


if __name__ == "__main__":
    main()
