#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_revoke
version_added: 0.2.0
short_description: Revoke certificates when others are in use, and never while they are still served
description:
  - The last step after the key of a certificate became known to others. First have another one issued
    (M(steward.maintenance.certificate_issue) with C(compromised)), then bring it into use and prove it
    (M(steward.maintenance.certificate_deploy)), then revoke the old one.
  - Makes handshakes with all O(listeners) first. While one of them still serves a certificate that is to be revoked,
    or cannot be looked at, nothing is revoked. The same holds for the newest certificate of O(directory).
  - What has ended or was revoked before is left alone.
options:
  fingerprints:
    description: SHA-256 fingerprints of the certificates.
    type: list
    elements: str
    required: true
  directory:
    description: The O(steward.maintenance.certificate_issue#module:directory) in which they were issued.
    type: path
    required: true
  reason:
    description: Why, as it stands in the authority's list.
    type: str
    choices: [unspecified, key_compromise, superseded, cessation_of_operation]
    default: key_compromise
  listeners:
    description: Where they were served. None of them may serve one of them any more.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Name or IP address of the server.
        type: str
        required: true
      port:
        description: TCP port. 0 means the usual one of O(listeners[].starttls), which is 443 for V(none).
        type: int
        default: 0
      addresses:
        description: IP addresses at which to look, instead of those that O(listeners[].host) has.
        type: list
        elements: str
        default: []
      address_family:
        description: Look at IPv4 addresses only, at IPv6 addresses only, or at V(any).
        type: str
        choices: [any, ipv4, ipv6]
        default: any
      server_name:
        description: The name that is asked for in the handshake (SNI). Empty means O(listeners[].host).
        type: str
        default: ''
      starttls:
        description: The protocol in which TLS is asked for. V(none) means that it begins at once.
        type: str
        choices: [none, smtp, imap, postgres, ldap]
        default: none
      key_type:
        description:
          - Where an RSA and an ECDSA certificate are served side by side, the one to look at, in TLS 1.2.
            V(any) means the one that the server prefers.
        type: str
        choices: [any, ecdsa, rsa]
        default: any
      names:
        description:
          - Names for all of which the certificate must be valid. When it is left out, that is
            O(listeners[].server_name).
        type: list
        elements: str
  look_timeout:
    description: The longest that all may take at one address.
    type: str
    default: 5s
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._acme
attributes:
  check_mode:
    support: full
    details:
      - Looks at the listeners and says what would be revoked, without asking the authority.
  diff_mode:
    support: none
    details:
      - Nothing on the host is changed but a mark of what was revoked.
  idempotent:
    support: full
requirements:
  - cryptography 3.3 or newer (C(python3-cryptography)).
  - The library acme 2.0 or newer (C(python3-acme)), which Debian has from 12 on. Tested with 2.1 and 5.9.
notes:
  - The request is signed by the account that had them issued. Only ACME authorities are asked.
seealso:
  - module: steward.maintenance.certificate_issue
  - module: steward.maintenance.certificate_deploy
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Revoke the certificate whose key was on the stolen laptop, now that another one is served
  steward.maintenance.certificate_revoke:
    fingerprints: [0c1f6c5c7f1e6c1d7c0f54f5cb4bfa12a1b9e1d6c1f0e9a7b4d2c3b2a1908f7e]
    directory: /var/lib/steward/issued/www.example.com
    listeners:
      - {host: www.example.com, addresses: [192.0.2.11, 192.0.2.12]}
"""

RETURN = r"""
verdict:
  description: V(ok), V(unknown) when a listener could not be looked at, or V(failed). The last two fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for a person.
  returned: always
  type: str
  sample: 1 of 1 certificates were revoked; the others are revoked or have ended already
reason:
  description: Why they were not revoked.
  returned: always
  type: str
  sample: ''
findings:
  description: Empty.
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {duration_seconds: 0.4, revoked: 1}
coverage:
  description: Certificates that are revoked or have ended, of all that were named.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
revoked:
  description: Fingerprints of those that were, or would be, revoked by this run.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.revoke import Outcome, revoke
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.revoke_arguments import (
    REVOKE_ARGUMENTS,
    revoke_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=REVOKE_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = revoke(revoke_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, revoked=outcome.revoked)


if __name__ == "__main__":
    main()
