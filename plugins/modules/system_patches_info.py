#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: system_patches_info
version_added: 0.2.0
short_description: Which packages of the system wait for an upgrade, and whether it could be done now
description:
  - Tells which packages have a newer version, which of those is a security fix, and which would be left as they are and
    why (on hold, kept back, phased, pinned, excluded, or in the way of others), by the own simulation of apt or dnf.
  - With apt, a package lacks a security fix when an archive for security fixes has a newer version than the installed
    one, also where apt would take a version from elsewhere. Such an archive is known by its label and its codename.
  - With dnf, it lacks one when an advisory of type C(security) is about a newer version than the installed one. The
    advisories are told with their severity. A repository without advisories cannot tell, and gives V(unknown).
  - Tells as well whether an upgrade could begin (locks and who holds them, an interrupted dpkg, space, the clock),
    which services run files that were replaced, whether a reboot is needed, and from where the installed version of
    each package could be had again.
  - Lists that could not be fetched, or are too old, give V(unknown), never a clean answer. C(apt-get update) ends well
    when sources failed, and dnf passes over repositories with C(skip_if_unavailable), so each source is judged by
    itself.
options:
  upgrade:
    description: What an upgrade would be about. V(all) has the newest of every package, V(security) only fixes.
    type: str
    choices: [all, security]
    default: all
  checks:
    description:
      - What to look at. V(packages), V(preflight) (whether an upgrade could begin), V(services) (who runs replaced
        files), V(reboot).
    type: list
    elements: str
    choices: [packages, preflight, services, reboot]
    default: [packages, preflight, services, reboot]
  refresh:
    description:
      - Ask the archives for their newest lists. Those go to a temporary directory and are gone at the end; the lists of
        the host stay as they are.
    type: bool
    default: true
extends_documentation_fragment:
  - steward.maintenance._attributes.info_module
  - steward.maintenance._patching
notes:
  - What other accounts run can be seen by root alone. Otherwise V(services) is V(unknown).
  - Severities of single fixes are not in apt's lists of packages.
  - Another C(dnf.conf) is read where the environment has C(STEWARD_DNF_CONFIG), and its C(installroot) is looked at.
    That is what C(APT_CONFIG) is for apt.
seealso:
  - module: steward.maintenance.system_patch
  - module: steward.maintenance.system_patch_services
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: See what waits, and whether it could be installed now
  steward.maintenance.system_patches_info:

- name: See whether security fixes are missing, by the lists as they are
  steward.maintenance.system_patches_info:
    upgrade: security
    checks: [packages]
    refresh: false
    max_age: 36h

- name: The security archive of a derivative
  steward.maintenance.system_patches_info:
    security_origins:
      - {label: Example-Security, codename: CODENAME}
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(unknown). V(unknown) fails the task.
  returned: always
  type: str
  sample: findings
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: >-
    312 packages: 2 security fixes and 5 other upgrades wait, 1 are left as they are; an upgrade could begin; 1 services
    run replaced files; no reboot is needed
reason:
  description: Why not everything could be looked at.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). The ids are V(security-waiting), V(security-left), V(accept-expired), V(accept-unused),
      V(package-without-archive), V(repository-without-advisories), V(upgrades-waiting), V(upgrade-left),
      V(way-back-missing), V(apt-warning), V(lock-held), V(dpkg-interrupted), V(rpm-interrupted), V(space-short),
      V(clock-not-synchronised), V(service-uses-replaced-files), V(process-uses-replaced-files) and V(reboot-needed).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers. C(left) counts packages that have a newer version and would be left as they are.
  returned: always
  type: dict
  sample:
    packages: 312
    upgrades: 7
    security_upgrades: 2
    new_packages: 1
    left: 1
    left_security: 0
    without_archive: 0
    accepted: 0
    processes_with_replaced_files: 1
coverage:
  description: Sources of packages whose lists can be trusted, of all.
  returned: always
  type: dict
  sample: {looked: 3, of: 3}
packages:
  description:
    - Packages that have a newer version. C(state) is V(ready), or why it would be left, V(held), V(excluded),
      V(postgresql), V(pinned), V(phased), V(module), V(replaced), V(unavailable),
      V(kept-back) or V(blocked), with C(reason).
    - C(way_back) says where the installed version could be had again, V(kept) (put aside), V(cache) (that of apt or
      dnf) or V(archive); empty when nowhere. C(advisories) has what a repository of dnf says of its fixes, each with
      C(id), C(severity), C(version) and C(cves); it is empty with apt. C(accepted_until) is the last day on which
      O(accepted) allows a security fix to be left.
  returned: always
  type: list
  elements: dict
  sample:
    - name: openssl
      installed: 3.0.15-1~deb12u1
      version: 3.0.16-1~deb12u1
      security: true
      origins: [Debian-Security bookworm-security]
      way_back: archive
      advisories: []
      state: ready
      reason: ''
      accepted_until: ''
new_packages:
  description: Packages that would come with the others because those need them, with C(name) and C(version).
  returned: always
  type: list
  elements: dict
  sample: []
configuration_files:
  description:
    - Configuration files of those packages that somebody changed, with C(package) and C(path). When the new version
      brings another one, the policy for them decides.
  returned: always
  type: list
  elements: dict
  sample: [{package: openssl, path: /etc/ssl/openssl.cnf}]
sources:
  description:
    - Sources of packages with C(source), C(age_seconds) (since apt or dnf last had its list whole; null when never)
      and C(problem), which is empty when it can be trusted.
  returned: always
  type: list
  elements: dict
  sample: [{source: http://deb.example.org/debian bookworm, age_seconds: 0, problem: ''}]
space:
  description: Places with C(path), C(needed_bytes) and C(free_bytes).
  returned: always
  type: list
  elements: dict
  sample: [{path: /, needed_bytes: 91000000, free_bytes: 8300000000}]
processes:
  description:
    - Processes that run replaced files, with C(pid), C(command), C(unit) (the service, or empty), C(place) (what it
      belongs to, in words) and C(files).
  returned: always
  type: list
  elements: dict
  sample:
    - pid: 812
      command: nginx
      unit: nginx.service
      place: nginx.service
      files: [/usr/lib/x86_64-linux-gnu/libssl.so.3]
reboot:
  description:
    - C(needed), C(reasons), C(boot_id) (changes with every start of the kernel), C(running_kernel) and C(newest_kernel)
      (the newest installed one of the same flavour, or empty).
  returned: always
  type: dict
  sample:
    needed: false
    reasons: []
    boot_id: 7f3f0f6e-0d39-4d0d-9a5e-0a4a1d3a2c11
    running_kernel: 6.1.0-35-amd64
    newest_kernel: 6.1.0-35-amd64
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._patching.arguments import (
    INFO_ARGUMENTS,
    looking_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._patching.looking import Outcome, look


def main() -> None:
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = look(looking_settings_from(module.params), outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, False, **outcome.beside())


if __name__ == "__main__":
    main()
