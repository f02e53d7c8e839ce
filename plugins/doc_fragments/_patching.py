# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the modules for packages of the system.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of POLICY_ARGUMENTS in plugins/module_utils/_patching/arguments.py."""

    DOCUMENTATION = r"""
options:
  exclude:
    description: Shell patterns of names of packages that are left as they are. What is left is told, with its reason.
    type: list
    elements: str
    default: []
  postgresql:
    description:
      - V(leave) leaves all packages named C(postgresql*) as they are, for their scripts restart database servers.
        V(upgrade) upgrades them like all others, and so restarts the servers. Their security fixes that are left are
        findings.
    type: str
    choices: [leave, upgrade]
    default: leave
  accepted:
    description:
      - The accept list that M(steward.maintenance.dependency_info) takes as well. Of its entries, those with the
        ecosystem V(system) in C(scope) count here, for security fixes that are left as they are (on hold, excluded,
        kept back and so on), and for packages that no archive has. C(id) is the name of the package, or C(name=version)
        for that very fix, for apt's lists of packages hold no names of vulnerabilities. With dnf it may be that of an
        advisory or of a vulnerability as well. C(reason), C(owner) and C(until) are needed; C(host) narrows the scope.
      - A fix that an entry fits is no finding until that day is over. Entries that are expired, or that fit nothing,
        are findings. Nothing is left because of an entry.
    type: list
    elements: dict
    default: []
  host:
    description: The name of this host, for C(scope) of O(accepted). Empty means the one it has itself.
    type: str
    default: ''
  security_origins:
    description:
      - Archives that hold security fixes. Each entry has C(label) and C(codename), both, and C(origin) and C(archive)
        where those are needed, as C(apt-cache policy) tells them; shell patterns may be written. C(CODENAME) stands for
        O(codename).
      - The archive (suite) alone is never enough. It is renamed when a release ages.
      - The default knows Debian, Ubuntu and Ubuntu's ESM.
      - Of no meaning with dnf, whose repositories have advisories.
    type: list
    elements: dict
    default:
      - {label: Debian-Security, codename: CODENAME-security}
      - {label: Debian-Security, codename: CODENAME}
      - {origin: Ubuntu, label: Ubuntu, codename: CODENAME, archive: CODENAME-security}
      - {origin: UbuntuESM, label: UbuntuESM, codename: CODENAME, archive: CODENAME-infra-security}
      - {origin: UbuntuESMApps, label: UbuntuESMApps, codename: CODENAME, archive: CODENAME-apps-security}
  codename:
    description: Codename of the release, like V(bookworm). Empty means that of C(/etc/os-release). Not used with dnf.
    type: str
    default: ''
  security_repositories:
    description:
      - With dnf, shell patterns of ids of repositories whose newer versions all count as security fixes. For those that
        have no advisories (C(updateinfo)), and so cannot tell. One that has none and is not named here gives
        V(unknown) where fixes are to be told from the rest, and a finding where everything is upgraded.
      - Of no meaning with apt.
    type: list
    elements: str
    default: []
  max_age:
    description:
      - When O(refresh=false), a source that apt or dnf last had longer ago than this is not trusted, and the verdict is
        V(unknown). Each source counts for itself.
    type: str
    default: 24h
  max_release_age:
    description:
      - An archive for security fixes that was last published longer ago than this is not trusted, and the verdict is
        V(unknown). Its mirror stands still, or its release is not maintained any more; both look as if nothing waited.
        Empty for archives that are published rarely on purpose. A host without any archive for security fixes is
        V(unknown), too.
    type: str
    default: 30d
  timeout:
    description: How long one program that looks or fetches lists may take.
    type: str
    default: 10m
  state_dir:
    description:
      - Directory with the journal, the last upgrade, its logs, and previous versions that were put aside. Empty means
        C(/var/lib/steward/patching), in the user's state directory when not root.
    type: path
    default: ''
requirements:
  - The programs of apt and dpkg, or dnf 4 with rpm (and C(needs-restarting) and C(versionlock) of dnf-plugins-core,
    where those are to count). Other package managers, dnf5 among them, are refused by name.
"""
