#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_issue
version_added: 0.2.0
short_description: Have a certificate issued when it is due, by an ACME authority, one of your own, or itself
description:
  - Decides whether a certificate is due, and has it issued with a fresh key into a new directory below
    C(versions) in O(directory), to which C(current) then leads. What a service uses is not touched. Bringing it into
    use is the business of M(steward.maintenance.certificate_deploy).
  - It is due when there is none, when names, key type, authority or profile are others than is wanted, when its key is
    not secret any more (O(compromised)), when a share of its lifetime is left, and when its authority says so by
    ARI (RFC 9773). There is no number of days anywhere.
  - The authority's word is asked for at most as often as it wants, at least twice a day when the module runs that
    often. One moment of its window is drawn once and kept. When it cannot be had or used, RV(renewal.fallback) names
    why, and the share of the lifetime decides.
  - A challenge is looked at from this host first, at every address of the name and along redirects. When it is not
    there, the authority is not asked, and no failed validation is counted.
  - What failed is tried again after a minute, ten, a hundred, then once a day, by name and for all certificates of the
    account. The less lifetime is left, the sooner. Where the authority says when (C(Retry-After)), not before.
  - Killed at any moment, the next run goes on with the order and the key of the last one.
options:
  names:
    description:
      - DNS names and IP addresses that the certificate is for. The certificate is issued anew when they change. A star
        (C(*.example.com)) needs O(challenge=dns-01).
    type: list
    elements: str
    required: true
  directory:
    description:
      - Absolute path of the directory that holds the issued pairs. It is made where it is missing. It is another one
        than that of M(steward.maintenance.certificate_deploy).
    type: path
    required: true
  provider:
    description:
      - Who issues. V(acme) is an authority that speaks ACME (RFC 8555), V(own_ca) one whose key lies on this host, and
        with V(self_signed) the certificate signs itself.
    type: str
    choices: [acme, own_ca, self_signed]
    default: acme
  key_type:
    description: Type of the key, which is made anew each time. For a twin, use a second task with another O(directory).
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096]
    default: ecdsa-p256
  renew_left:
    description:
      - Share of the lifetime that is left when it is renewed, like V(33%). Empty means a third, and half for
        certificates that live for less than ten days, which is what authorities call short-lived.
    type: str
    default: ''
  compromised:
    description:
      - SHA-256 fingerprints of certificates whose keys are not secret any more. When the one in place is among them, it
        is issued anew, once.
    type: list
    elements: str
    default: []
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
  keep:
    description: How many older pairs are kept beside the newest and the previous one, from 0 to 1000.
    type: int
    default: 3
  trust:
    description:
      - Absolute path of a PEM bundle that what was issued must lead to, or it is not put into place. Empty means that
        this is left to the deployment.
    type: path
    default: ''
  profile:
    description: Profile to order, one of those that the authority offers. Empty means its default.
    type: str
    default: ''
  preferred_chain:
    description: Common name of the root or authority that the chain should lead to. Empty means the usual chain.
    type: str
    default: ''
  order_timeout:
    description: The longest that an order may take in one run. The next run goes on with it.
    type: str
    default: 5m
  retry_now:
    description:
      - Try again before a failed name's time, and once more where the same names had five certificates within a week or
        their lifetime, but never before the moment that the authority asked for.
    type: bool
    default: false
  challenge:
    description: How it is shown that the names are yours.
    type: str
    choices: [http-01, dns-01]
    default: http-01
  webroot:
    description:
      - Absolute path of a directory that the web server serves for all O(names). Empty means that the module itself
        listens on O(http_port) for as long as the order takes.
    type: path
    default: ''
  http_address:
    description: Address to listen at without a O(webroot). Empty means all of them.
    type: str
    default: ''
  http_port:
    description: Port to listen on, and to look at first. Authorities ask on port 80.
    type: int
    default: 80
  dns_hook:
    description:
      - Program with its first arguments that makes and removes TXT records, for O(challenge=dns-01). It is started with
        C(present) or C(cleanup), the name of the record and its text behind them, and must be able to do both twice.
    type: list
    elements: str
    default: []
  dns_hook_timeout:
    description: The longest that it, or C(nsupdate), may take.
    type: str
    default: 2m
  nsupdate_server:
    description:
      - DNS server that takes dynamic updates of the zone (RFC 2136), as an IP address, with C(#) and a port where it is
        not 53, for O(challenge=dns-01) instead of O(dns_hook). The program C(nsupdate) makes and removes the records.
    type: str
    default: ''
  nsupdate_key:
    description:
      - Absolute path of the file with the key (TSIG) with which updates are signed, as C(tsig-keygen) writes it. Empty
        means that they are not signed.
    type: path
    default: ''
  nsupdate_zone:
    description: The zone that is updated. Empty means that C(nsupdate) finds it.
    type: str
    default: ''
  hand_out:
    description:
      - Order it, and stop before the authority is asked, when there is anything to show. RV(challenges) has what other
        hosts that serve the names have to show as well. The next call, without this option, goes on with that order.
    type: bool
    default: false
  look_first:
    description: Look at the challenge from this host before the authority is asked.
    type: bool
    default: true
  look_at:
    description:
      - IP addresses at which to look, instead of those that the names have, for a host that cannot reach its own public
        address.
    type: list
    elements: str
    default: []
  resolvers:
    description:
      - DNS servers that must all have the record, as IP addresses, with C(#) and a port where it is not 53. Name those
        of the zone. Empty means O(nsupdate_server), or those of the system, which may remember that there was none.
    type: list
    elements: str
    default: []
  look_timeout:
    description: The longest that one look may take.
    type: str
    default: 10s
  propagation_timeout:
    description: How long to wait until all O(resolvers) have the record.
    type: str
    default: 2m
  lifetime:
    description: Lifetime of what V(own_ca) and V(self_signed) issue. It never outlives its authority.
    type: str
    default: 90d
  authority_certificate:
    description: Absolute path of the certificate of your own authority, followed by those above it.
    type: path
    default: ''
  authority_key:
    description: Absolute path of its key.
    type: path
    default: ''
  authority_passphrase:
    description: Passphrase of that key. Empty means that it is not encrypted.
    type: str
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._acme
attributes:
  check_mode:
    support: full
    details:
      - Says whether it would be issued and why. It asks the authority for its directory and for ARI only, and writes
        nothing.
  diff_mode:
    support: full
    details:
      - Shows fingerprint, names and end of the certificates before and after, and nothing of the keys.
  idempotent:
    support: full
requirements:
  - cryptography 3.3 or newer (C(python3-cryptography)).
  - For V(acme), the library acme 2.0 or newer (C(python3-acme)), which Debian has from 12 on. Tested with 2.1 and 5.9.
notes:
  - The authority's rate limits count for all of an organisation. This module keeps to what the authority tells it, and
    does not count for you.
seealso:
  - module: steward.maintenance.certificate_deploy
  - module: steward.maintenance.certificate_info
  - module: steward.maintenance.certificate_revoke
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Have a certificate of Let's Encrypt, through the web server that is there
  steward.maintenance.certificate_issue:
    names: [www.example.com, example.com]
    directory: /var/lib/steward/issued/www.example.com
    webroot: /var/www/html
    contact: [ops@example.com]
    terms_agreed: true
  register: issued

- name: Bring it into use
  steward.maintenance.certificate_deploy:
    certificate: "{{ issued.fullchain }}"
    key: "{{ issued.key }}"
    directory: /etc/steward/certificates/www.example.com
    service: nginx
    listeners:
      - host: www.example.com

- name: Have one of an authority of our own for the database
  steward.maintenance.certificate_issue:
    names: [db1.example.com]
    directory: /var/lib/steward/issued/db1
    provider: own_ca
    authority_certificate: /etc/ssl/private-authority.pem
    authority_key: /etc/ssl/private/private-authority.key
    lifetime: 47d
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
  sample: >-
    the certificate for www.example.com until 2027-02-24T07:15:00Z is not due; it is due on 2027-01-25T03:11:09Z, as
    its authority says
reason:
  description: Why nothing was issued although it is due.
  returned: always
  type: str
findings:
  description:
    - What somebody should know, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action). Beside those of M(steward.maintenance.certificate_info) there are C(issue-failed), C(issue-waiting),
      C(issue-refused), C(clock-wrong), C(ari-unreachable), C(ari-refused), C(ari-malformed), C(ari-too-late),
      C(replaces-refused), C(chain-not-offered), C(lifetime-cut), C(challenge-left), C(issue-too-often) and
      C(versions-left).
  returned: always
  type: list
  elements: dict
figures:
  description:
    - Measured numbers, with the unit in the name. C(ari_fallbacks) is 1 when the authority's word on renewals was not
      to be had or used, C(orders_resumed) is 1 when an order of an earlier run was used.
  returned: always
  type: dict
  sample: {ari_fallbacks: 0, duration_seconds: 4.2, issued: 1, left_percent: 99.9, nonces_refused: 0, requests: 14}
coverage:
  description: One certificate, of one.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
why:
  description: Why it was, or would be, issued. Empty when it is not due.
  returned: always
  type: str
  sample: there is none yet
fullchain:
  description: File with the newest certificate and its chain. Empty when there is none.
  returned: always
  type: str
  sample: /var/lib/steward/issued/www/versions/20261126T061500Z-0c1f6c5c7f1e9a02/fullchain.pem
key:
  description: File with its key. Empty when there is none.
  returned: always
  type: str
  sample: /var/lib/steward/issued/www/versions/20261126T061500Z-0c1f6c5c7f1e9a02/privkey.pem
fingerprint:
  description: Its SHA-256 fingerprint. Empty when there is none.
  returned: always
  type: str
  sample: 0c1f6c5c7f1e6c1d7c0f54f5cb4bfa12a1b9e1d6c1f0e9a7b4d2c3b2a1908f7e
version:
  description: Name of the newest pair below C(versions) in O(directory). Empty when there is none.
  returned: always
  type: str
  sample: 20261126T061500Z-0c1f6c5c7f1e9a02
previous:
  description: Name of the pair that was the newest before. Empty when there was none.
  returned: always
  type: str
  sample: 20260926T061500Z-9d2c4f8a7b6e5d4c
removed:
  description: Names of the old pairs that were removed.
  returned: always
  type: list
  elements: str
challenges:
  description: For O(hand_out), what is to be shown, each with C(name), C(path) below the webroot, and C(content).
  returned: always
  type: list
  elements: dict
renewal:
  description: When it is due next, and by whose word. Empty when there is no certificate.
  returned: always
  type: dict
  contains:
    at:
      description: The moment.
      type: str
      returned: when there is a certificate
    source:
      description: V(ari) or V(lifetime).
      type: str
      returned: when there is a certificate
    fallback:
      description:
        - Why the authority's word was not to be had or used; V(absent), V(no-identifier), V(unreachable), V(refused),
          V(malformed) or V(too-late). Empty when it was, or when nobody asks.
      type: str
      returned: when there is a certificate
    window:
      description: Start and end of the authority's window. Empty when there is none.
      type: list
      elements: str
      returned: when there is a certificate
    asks_again:
      description: When the authority is asked next. Empty when nobody asks.
      type: str
      returned: when there is a certificate
    explanation:
      description: Where the authority explains its window. Empty when it does not.
      type: str
      returned: when there is a certificate
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue import issue
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_arguments import (
    ISSUE_ARGUMENTS,
    issue_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.issue_settings import Outcome
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=ISSUE_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = issue(issue_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = dataclasses.asdict(outcome)
    changed, diff = beside.pop("changed"), beside.pop("diff")
    if module._diff and changed:
        beside["diff"] = diff
    finish(module, result, changed, **beside)


if __name__ == "__main__":
    main()
