#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: system_patch
version_added: 0.2.0
short_description: Upgrade packages of the system to exact versions, prove it by a new simulation, or go back
description:
  - Fetches the lists of packages, and goes on only when every source was fetched whole. C(apt-get update) ends well
    when sources failed, and so does dnf with C(skip_if_unavailable); here that gives V(unknown).
  - Decides by the simulation of apt or dnf which package goes to which very version, and installs those versions and no
    others. Nothing is removed. What needs a removal, or another package that is to be left alone, is left and named.
  - Before anything is changed it looks at locks, at what was interrupted, at the space in all places (C(/boot) among
    them), and from where the installed versions could be had again.
  - Afterwards dpkg or rpm must have nothing to complain about, and a new simulation must find no security fix that
    could be installed. Otherwise the verdict is V(failed). Fixes that are left (on hold, excluded, PostgreSQL) are
    findings.
  - A script of an rpm package that fails gives V(failed), although rpm and dnf go on and end well. It stays known until
    the package is installed anew, goes back, or gets another version.
  - Every step is in a journal. Killed at any moment, the next run brings to its end what was begun. An apt or dnf that
    is at work when this module is killed is left to finish.
  - Services are not restarted by it, beside what the packages' own scripts do; see
    M(steward.maintenance.system_patch_services).
options:
  state:
    description:
      - V(upgraded) upgrades. V(returned) installs the versions of before the last upgrade by this module, of all
        packages for which they can be had, whether that upgrade ended well, failed, or was killed.
    type: str
    choices: [upgraded, returned]
    default: upgraded
  upgrade:
    description:
      - V(security) upgrades what lacks a security fix, to the newest version in an archive for security fixes. V(all)
        upgrades everything.
    type: str
    choices: [security, all]
    default: security
  conffiles:
    description:
      - What becomes of configuration files that somebody changed, where the new version brings another one. V(keep)
        keeps them and puts the package's beside them (C(.dpkg-dist)). V(new) takes the package's and puts yours beside
        it (C(.dpkg-old)). Files that nobody changed are replaced in both cases.
      - rpm asks nobody. Its packages say of each file which one is used, and the other one is C(.rpmnew) or
        C(.rpmsave). Where that is not what this option says, it is the finding V(configuration-by-package).
    type: str
    choices: [keep, new]
    default: keep
  repair:
    description:
      - Whether C(dpkg --configure -a) runs first when dpkg was interrupted, or C(dnf remove --duplicates) and
        C(dnf reinstall) when a transaction of dnf was cut off or a script failed. V(own) does so only where an earlier
        run of this module left it so, V(always) also where it was somebody else, V(never) in neither case.
    type: str
    choices: [never, own, always]
    default: own
  way_back:
    description:
      - V(tell) says which installed versions could not be had again. V(keep) puts those that can be had aside, in
        O(state_dir), before anything is changed; archives forget old versions. V(require) does that too, and refuses
        when there is one that cannot be had.
    type: str
    choices: [tell, keep, require]
    default: tell
  on_failure:
    description:
      - What to do when packages cannot be installed or configured. V(stay) leaves the host as it is then and tells the
        way back. V(return) goes back at once, and so has O(way_back=require) in effect.
    type: str
    choices: [stay, return]
    default: stay
  refresh:
    description:
      - Fetch the lists of packages first. In check mode they go to a temporary directory.
    type: bool
    default: true
  lock_timeout:
    description: How long to wait for others who use apt, dpkg, dnf or rpm. In check mode nobody is waited for.
    type: str
    default: 5m
  upgrade_timeout:
    description: How long one call of apt or dnf that changes packages may take. Then it is stopped.
    type: str
    default: 1h
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._patching
attributes:
  check_mode:
    support: full
    details:
      - Looks at everything, with the newest lists in a temporary directory, and touches nothing.
  diff_mode:
    support: full
    details:
      - Shows each package with its version before and after.
  idempotent:
    support: full
notes:
  - Run it as root.
  - Tested with dnf 4.14. Other package managers than apt and dnf 4 are refused by name.
  - Another C(dnf.conf) is read where the environment has C(STEWARD_DNF_CONFIG), and its C(installroot) is upgraded.
    That is what C(APT_CONFIG) is for apt.
  - Configuration files that not everybody may read are not shown, and what looks like a secret in the others is masked.
seealso:
  - module: steward.maintenance.system_patches_info
  - module: steward.maintenance.system_patch_services
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Install security fixes, with the way back put aside
  steward.maintenance.system_patch:
    way_back: keep

- name: Upgrade everything but the kernel, and PostgreSQL as well, in its window
  steward.maintenance.system_patch:
    upgrade: all
    postgresql: upgrade
    exclude: ['linux-image-*']

- name: Go back to the versions of before
  steward.maintenance.system_patch:
    state: returned
"""

RETURN = r"""
verdict:
  description:
    - V(ok), V(findings), V(unknown) when the lists cannot be trusted, V(failed), or V(skipped) when there is nothing to
      go back from. V(unknown) and V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: >-
    2 packages upgraded, 0 left as they are (0 security fixes among them); apt's simulation finds no other security fix
reason:
  description: Why it was not done, with the end of what apt or dnf said, and where that leaves the host.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know about, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). The ids are V(security-left), V(accept-expired), V(accept-unused),
      V(package-without-archive), V(repository-without-advisories), V(upgrade-left),
      V(way-back-missing), V(apt-warning), V(dpkg-interrupted), V(rpm-interrupted), V(space-short),
      V(clock-not-synchronised), V(configuration-by-package), V(script-failed), V(upgrade-failed), V(evidence-lost) and
      V(went-back).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers. C(security_upgrades) are those that a new simulation still finds afterwards.
  returned: always
  type: dict
  sample:
    packages: 312
    upgrades: 0
    security_upgrades: 0
    new_packages: 0
    left: 0
    left_security: 0
    without_archive: 0
    accepted: 0
    upgraded: 2
coverage:
  description: Sources of packages whose lists can be trusted, of all.
  returned: always
  type: dict
  sample: {looked: 3, of: 3}
packages:
  description: What was decided, as in M(steward.maintenance.system_patches_info).
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
changes:
  description:
    - Every package whose version is another one now, by dpkg or rpm. C(before) is empty for a new package. A run that
      ends what another one left tells the changes of both.
  returned: always
  type: list
  elements: dict
  sample: [{name: openssl, before: 3.0.15-1~deb12u1, after: 3.0.16-1~deb12u1}]
configuration_files:
  description:
    - Configuration files for which a choice was made, with C(package), C(path), C(used) (V(own) or V(package)),
      C(other) (where the other one is) and C(diff) from yours to the package's. In check mode, the changed files of all
      packages.
  returned: always
  type: list
  elements: dict
  sample:
    - package: openssl
      path: /etc/ssl/openssl.cnf
      used: own
      other: /etc/ssl/openssl.cnf.dpkg-dist
      diff: ''
sources:
  description: Sources of packages, as in M(steward.maintenance.system_patches_info).
  returned: always
  type: list
  elements: dict
  sample: [{source: http://deb.example.org/debian bookworm, age_seconds: 0, problem: ''}]
done:
  description:
    - First one item for all packages, with C(action) (V(upgrade) or V(return)), the number of C(changes), and
      C(evidence) with its C(directory) and the C(sha256) of each of its files, by which the record vouches for them.
    - Then one for each of RV(configuration_files), with C(action) (V(keep) or V(replace)), C(package), C(other) and the
      beginning of its C(diff), which is how both come into the record.
  returned: when packages were changed
  type: list
  elements: dict
  sample:
    - subject: packages
      action: upgrade
      changes: 1
      evidence:
        directory: /var/lib/steward/patching/evidence/2026-11-27T030000Z
        sha256: {difference.json: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
did:
  description: What was done beside the upgrade, such as a repair or the end of a run that was killed.
  returned: always
  type: list
  elements: str
  sample: []
evidence:
  description:
    - Directory with what was installed before and afterwards (C(sbom-before.json) and C(sbom-after.json), CycloneDX
      1.6), C(difference.json), and all else in C(upgrade.json). Empty when no package was changed. It is below
      O(state_dir), closed to others; the last 24 are kept, or as many as fit into 256 MiB.
  returned: always
  type: str
  sample: /var/lib/steward/patching/evidence/2026-11-27T030000Z
output:
  description: The end of what apt, dpkg or dnf said last. All of it is in C(apt.log) or C(dnf.log) in O(state_dir).
  returned: always
  type: str
  sample: Setting up openssl (3.0.16-1~deb12u1) ...
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._patching.arguments import (
    PATCH_ARGUMENTS,
    patch_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._patching.upgrading import Outcome, patch


def main() -> None:
    module = AnsibleModule(argument_spec=PATCH_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = patch(patch_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = outcome.beside()
    if module._diff and outcome.diff:
        beside["diff"] = outcome.diff
    finish(module, result, outcome.changed, **beside)


if __name__ == "__main__":
    main()
