#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_deploy
version_added: 0.2.0
short_description: Bring a certificate and its key into use, prove it by handshakes, or go back to the previous ones
description:
  - Puts the pair beside the one in use, swaps both by one rename of a symbolic link, tests the configuration, reloads
    the service, and makes TLS handshakes with every listener at every address. When any of that fails, the previous
    pair is put back in its place, the service is reloaded where it needs it, and the listeners are looked at again.
  - The service reads C(current/fullchain.pem) and C(current/privkey.pem) below O(directory), or
    C(current/combined.pem), which has both, for HAProxy. Point its configuration there once.
  - Before anything is touched the pair is looked at more closely than C(nginx -t) does, which takes certificates that
    have ended or have another name. The key must belong to the certificate, the chain must lead to a trusted authority,
    which is tried by a handshake in memory, and dates, names, extended key usage, key size and the clock must be right.
  - Issuing is another matter. A deployment that failed is tried again with the same files, as often as it takes.
  - Every step is in a journal. Killed at any moment, the next run goes on from there, or takes back what was wanted
    then when it is given another pair.
options:
  certificate:
    description: Absolute path of a PEM file with the server's certificate, followed by its chain.
    type: path
    required: true
  key:
    description: Absolute path of a PEM file with the private key, not encrypted. It may be the same file.
    type: path
    required: true
  chain:
    description: Absolute path of a PEM file with the chain, when it is not in O(certificate).
    type: path
    default: ''
  directory:
    description: Absolute path of the directory that holds the pairs of this service. It is made where it is missing.
    type: path
    required: true
  owner:
    description: Account that owns the files. Empty means the one that runs the module.
    type: str
    default: ''
  group:
    description: Group of the files. Empty means that of the account that runs the module.
    type: str
    default: ''
  key_mode:
    description: Mode of the files with a key in them. Others than owner and group never get any right.
    type: str
    default: '0600'
  names:
    description: Names for all of which the certificate must be valid, beside those of O(listeners).
    type: list
    elements: str
    default: []
  listeners:
    description: Where the certificate is served. All of them must serve it in the end.
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
  trust:
    description: Absolute path of a PEM bundle with the authorities that are trusted. Empty means those of the system.
    type: path
    default: ''
  service:
    description:
      - The service, for its usual commands. V(nginx) is tested by C(nginx -t), V(haproxy) by C(haproxy -c) with
        C(/etc/haproxy/haproxy.cfg), V(apache) by C(apache2ctl configtest) or C(apachectl configtest). V(postgresql) has
        no test. The first three are reloaded by C(systemctl reload-or-restart), which starts one that could not start
        for want of its first certificate, and V(postgresql) by C(systemctl reload).
      - V(none) has no commands of its own.
    type: str
    choices: [none, nginx, haproxy, apache, postgresql]
    default: none
  test_commands:
    description: Commands that test the configuration, instead of those of O(service), each a list of words.
    type: list
    elements: list
    default: []
  reload_commands:
    description:
      - Commands that have the service load the files anew, instead of those of O(service), each a list of words. No
        shell reads them.
    type: list
    elements: list
    default: []
  command_timeout:
    description: The longest that one command may take.
    type: str
    default: 1m
  timeout:
    description: The longest that all may take at one address.
    type: str
    default: 5s
  proof_timeout:
    description: How long the listeners may take to serve the certificate after the reload, and again after a return.
    type: str
    default: 30s
  handshakes:
    description:
      - How many handshakes in a row must succeed at every address, from 1 to 100. Behind one address there may be
        several processes.
    type: int
    default: 3
  keep:
    description: How many older pairs are kept beside the one in use and the previous one, from 0 to 1000.
    type: int
    default: 3
  allow_older:
    description: Take a certificate that was issued before the one in use.
    type: bool
    default: false
  accept_down:
    description:
      - Go on when a listener cannot be looked at before. Where nothing is in use yet in O(directory), this is
        always so.
    type: bool
    default: false
  state_dir:
    description:
      - Directory with the journals. Empty means C(/var/lib/steward/certificates), in the user's state directory when
        not root.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks at the pair and at the listeners, and says what it would do.
  diff_mode:
    support: full
    details:
      - Shows version, fingerprint, names and end of the certificates before and after, and nothing of the keys.
  idempotent:
    support: full
requirements:
  - cryptography 3.3 or newer (C(python3-cryptography)).
  - Linux, for files in memory (C(memfd_create)).
notes:
  - Where an RSA and an ECDSA certificate are served side by side, each has its own O(directory) and is proved by
    itself, with O(listeners[].key_type).
seealso:
  - module: steward.maintenance.certificate_info
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Bring the renewed certificate into use, and prove it at both addresses
  steward.maintenance.certificate_deploy:
    certificate: /etc/letsencrypt/live/www.example.com/fullchain.pem
    key: /etc/letsencrypt/live/www.example.com/privkey.pem
    directory: /etc/steward/certificates/www.example.com
    service: nginx
    listeners:
      - host: www.example.com
        addresses: [127.0.0.1, '::1']

- name: The same for a PostgreSQL server, whose account must own the key
  steward.maintenance.certificate_deploy:
    certificate: /etc/ssl/issued/db1.pem
    key: /etc/ssl/issued/db1.key
    directory: /etc/steward/certificates/db1
    owner: postgres
    group: postgres
    trust: /etc/ssl/private-authority.pem
    service: postgresql
    listeners:
      - host: db1.example.com
        addresses: [127.0.0.1]
        starttls: postgres

- name: Whatever else serves TLS
  steward.maintenance.certificate_deploy:
    certificate: /etc/ssl/issued/mail.pem
    key: /etc/ssl/issued/mail.key
    directory: /etc/steward/certificates/mail
    test_commands: [[postfix, check]]
    reload_commands: [[postfix, reload], [doveadm, reload]]
    listeners:
      - {host: mail.example.com, starttls: smtp}
      - {host: mail.example.com, starttls: imap}
      - {host: mail.example.com, port: 993}
"""

RETURN = r"""
verdict:
  description:
    - V(ok), V(findings), V(unknown) when a listener could not be looked at before, or V(failed). V(unknown) and
      V(failed) fail the task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for a person.
  returned: always
  type: str
  sample: the certificate for www.example.com until 2027-01-25T07:15:00Z is in use now
reason:
  description: Why it was not brought into use, and where that leaves the service.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). Beside those of M(steward.maintenance.certificate_info) there are C(clock-wrong), C(deploy-failed),
      C(deploy-waits) and C(versions-left).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name. C(left_seconds) is the time until the certificate ends.
  returned: always
  type: dict
  sample: {left_seconds: 5183999, listeners: 2}
coverage:
  description: Listeners at which it was proved, of all.
  returned: always
  type: dict
  sample: {looked: 2, of: 2}
version:
  description: Name of the pair below C(versions) in O(directory). Empty when the pair was refused.
  returned: always
  type: str
  sample: 20261126T061500Z-0c1f6c5c7f1e9a02
previous:
  description: Name of the pair that was in use before. Empty when there was none.
  returned: always
  type: str
  sample: 20260926T061500Z-9d2c4f8a7b6e5d4c
removed:
  description: Names of the old pairs that were removed.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.deploy import Outcome, deploy
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.deploy_arguments import (
    DEPLOY_ARGUMENTS,
    deploy_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=DEPLOY_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = deploy(deploy_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = {"version": outcome.version, "previous": outcome.previous, "removed": outcome.removed}
    if module._diff and outcome.changed:
        beside["diff"] = outcome.diff
    finish(module, result, outcome.changed, **beside)


if __name__ == "__main__":
    main()
