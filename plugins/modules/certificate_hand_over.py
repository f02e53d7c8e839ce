#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_hand_over
version_added: 0.2.0
short_description: Bring a certificate and its key from the host that had it issued to others, closed on its way
description:
  - One certificate for a name on several hosts is issued once. This module brings it to the others, in three calls. The
    host that is to have it asks (O(act=ask)), the one that had it issued gives (O(act=give)), and the first one takes
    (O(act=take)).
  - The key never leaves a host in clear. Who asks makes a key for this one time and returns its public half
    (RV(recipient)). Who gives seals the pair to it by HPKE (RFC 9180; P-256, HKDF-SHA256, AES-128-GCM). Who takes opens
    it and removes the key of this one time. What passes through the controller is of no use to anybody, then or later.
  - What is taken lies below C(versions) in O(directory), to which C(current) then leads, just as if it had been issued
    there. So M(steward.maintenance.certificate_deploy) brings it into use, and the host can go on as the one that has
    it issued.
  - Nothing but the certificate of O(fingerprint), with the key that belongs to it, is given or taken.
options:
  act:
    description: What this host has to do.
    type: str
    choices: [ask, give, take]
    required: true
  directory:
    description:
      - The O(steward.maintenance.certificate_issue#module:directory) on this host. For V(ask) and V(take) it is made
        where it is missing.
    type: path
    required: true
  fingerprint:
    description: SHA-256 fingerprint of the certificate.
    type: str
    required: true
  recipients:
    description: For O(act=give), the RV(recipient) of each host that asked, by the name of the host.
    type: dict
    default: {}
  sealed:
    description: For O(act=take), what the other host gave for this one. It is encrypted.
    type: str
    default: ''
  keep:
    description: For O(act=take), how many older pairs are kept beside the newest and the previous one, from 0 to 1000.
    type: int
    default: 3
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Says whether the pair is here. It makes no key, so RV(recipient) stays empty.
  diff_mode:
    support: none
    details:
      - What would change holds a key.
  idempotent:
    support: full
requirements:
  - cryptography 3.3 or newer (C(python3-cryptography)).
notes:
  - The key of this one time is in C(receive.pem) in O(directory), closed to all others, from V(ask) until V(take). A
    run that was stopped between the two leaves it, and the next one makes another.
seealso:
  - module: steward.maintenance.certificate_issue
  - module: steward.maintenance.certificate_deploy
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: See whether web2 has it, and which key it is to be sealed to
  steward.maintenance.certificate_hand_over:
    act: ask
    directory: /var/lib/steward/issued/www
    fingerprint: "{{ issued.fingerprint }}"
  delegate_to: web2
  register: asked

- name: Seal it
  steward.maintenance.certificate_hand_over:
    act: give
    directory: /var/lib/steward/issued/www
    fingerprint: "{{ issued.fingerprint }}"
    recipients:
      web2: "{{ asked.recipient }}"
  register: given
  when: not asked.holds

- name: Keep it there
  steward.maintenance.certificate_hand_over:
    act: take
    directory: /var/lib/steward/issued/www
    fingerprint: "{{ issued.fingerprint }}"
    sealed: "{{ given.sealed.web2 }}"
  delegate_to: web2
  when: not asked.holds
"""

RETURN = r"""
verdict:
  description: V(ok), V(findings) or V(failed), which fails the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for a person.
  returned: always
  type: str
  sample: the certificate 0c1f6c5c7f1e6c1d is here now
reason:
  description: Why it was not handed over.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). There is only C(versions-left).
  returned: always
  type: list
  elements: dict
  sample: []
figures:
  description: Empty.
  returned: always
  type: dict
  sample: {}
coverage:
  description: One certificate, of one.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
holds:
  description: Whether the pair is on this host, as its newest one.
  returned: always
  type: bool
  sample: true
recipient:
  description: The public half of the key to which it is to be sealed. Empty when the pair is here, and in check mode.
  returned: always
  type: str
  sample: ''
sealed:
  description: By host, the pair, encrypted to the key of that host. Empty but for O(act=give).
  returned: always
  type: dict
  sample: {}
version:
  description: Name of the pair below C(versions) in O(directory). Empty when it is not here.
  returned: always
  type: str
  sample: 20261126T061500Z-0c1f6c5c7f1e9a02
fullchain:
  description: File with the certificate and its chain. Empty when it is not here.
  returned: always
  type: str
  sample: /var/lib/steward/issued/www/versions/20261126T061500Z-0c1f6c5c7f1e9a02/fullchain.pem
key:
  description: File with its key. Empty when it is not here.
  returned: always
  type: str
  sample: /var/lib/steward/issued/www/versions/20261126T061500Z-0c1f6c5c7f1e9a02/privkey.pem
removed:
  description: Names of the old pairs that were removed.
  returned: always
  type: list
  elements: str
  sample: []
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.hand_over import Outcome, hand_over
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.hand_over_arguments import (
    HAND_OVER_ARGUMENTS,
    hand_over_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=HAND_OVER_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = hand_over(hand_over_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = dataclasses.asdict(outcome)
    finish(module, result, beside.pop("changed"), **beside)


if __name__ == "__main__":
    main()
