#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_info
version_added: 0.2.0
short_description: Look at certificates in files, and at what servers really serve
description:
  - That a certificate was issued, lies on the disk and is served are three facts. This module looks at the last two,
    and each difference is a finding, such as a server that still serves the certificate of before the renewal.
  - It makes a TLS handshake with every address behind each endpoint, hundreds of them side by side. Certificates that
    have ended, have another name or an unknown authority are looked at like all others, and it says which check failed.
  - How soon a certificate ends is told as the share of its lifetime that is left, so that one rule is right for
    certificates of 90, 64, 47, 45 and 6 days.
  - The verdict is V(unknown) when an address is dead, hangs or does not speak TLS, or a file could not be read. The
    others are judged all the same.
  - It makes no request beside the handshakes, and asks no OCSP responder.
options:
  endpoints:
    description: What serves certificates.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Name or IP address of the server.
        type: str
        required: true
      port:
        description: TCP port. 0 means the usual one of O(endpoints[].starttls), which is 443 for V(none).
        type: int
        default: 0
      addresses:
        description:
          - IP addresses at which to look, instead of those that O(endpoints[].host) has, such as the nodes behind a
            load balancer.
        type: list
        elements: str
        default: []
      address_family:
        description: Look at IPv4 addresses only, at IPv6 addresses only, or at V(any).
        type: str
        choices: [any, ipv4, ipv6]
        default: any
      server_name:
        description: The name that is asked for in the handshake (SNI). Empty means O(endpoints[].host).
        type: str
        default: ''
      starttls:
        description:
          - The protocol in which TLS is asked for. V(none) means that it begins at once, as in HTTPS, SMTPS, IMAPS and
            LDAPS.
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
            O(endpoints[].server_name). An empty list means that any name will do.
        type: list
        elements: str
      certificate:
        description:
          - File with the certificate that should be served, on the host that runs the module. With C(*) in it, the
            newest of the files that it names, of those with the same type of key as what is served.
          - Empty means that this is not known. Then all addresses of the endpoint must serve the same.
        type: path
        default: ''
  certificates:
    description: Files with certificates, on the host that runs the module.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of a PEM file. The first certificate in it is the server's, the others are its chain.
        type: path
        required: true
      key:
        description:
          - Absolute path of the private key, which may be the same file. That it belongs to the certificate is checked,
            and that other accounts cannot read it.
        type: path
        default: ''
      names:
        description: Names for all of which it must be valid.
        type: list
        elements: str
        default: []
      kind:
        description:
          - V(server) is the certificate of a server with its chain. V(authorities) is a bundle of authorities, of
            which all dates are judged and nothing else.
        type: str
        choices: [server, authorities]
        default: server
  trust:
    description: Absolute path of a PEM bundle with the authorities that are trusted. Empty means those of the system.
    type: path
    default: ''
  stapling:
    description:
      - See as well whether an OCSP answer is stapled, by one more connection to each address, in TLS 1.2. Authorities
        end OCSP, so a stapled answer is a remnant, and without one a certificate that says must-staple is refused.
    type: bool
    default: false
  limits:
    description:
      - By severity, the share of the lifetime that is left from which on it is a finding. One that has ended is always
        V(critical).
    type: dict
    default: {high: '< 10%', medium: '< 25%'}
  calendar:
    description:
      - Whose announced changes are told 90 days before they hold, as findings of severity V(info), those of Let's
        Encrypt or of all public authorities. The table is part of this collection, as it was known at its release.
    type: list
    elements: str
    choices: [lets_encrypt, public]
    default: []
  timeout:
    description: The longest that all may take at one address.
    type: str
    default: 5s
  deadline:
    description: The longest that all endpoints may take together. What is not over then is V(unknown).
    type: str
    default: 1m
  jobs:
    description: How many addresses are looked at side by side, from 1 to 1000.
    type: int
    default: 100
extends_documentation_fragment:
  - steward.maintenance._attributes
  - steward.maintenance._attributes.info_module
requirements:
  - cryptography 3.3 or newer (C(python3-cryptography)).
  - For the chain of files, the program C(openssl).
notes:
  - What came beside the server's own certificate is told from Python 3.10 on. Whether it is trusted is told by all.
  - Whether an OCSP answer is stapled cannot be seen by Python's C(ssl). That a certificate demands one is.
seealso:
  - module: steward.maintenance.certificate_deploy
  - module: steward.maintenance.certificate_issue
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Look at the site at each of its addresses, and at the mail and database servers
  steward.maintenance.certificate_info:
    endpoints:
      - host: www.example.com
      - host: mail.example.com
        starttls: smtp
      - host: db1.example.com
        starttls: postgres
    trust: /etc/ssl/certs/ca-certificates.crt

- name: See that each node behind the load balancer serves the newest certificate on the disk
  steward.maintenance.certificate_info:
    endpoints:
      - host: www.example.com
        addresses: [192.0.2.11, 192.0.2.12, 2001:db8::13]
        certificate: /etc/letsencrypt/archive/www.example.com/fullchain*.pem
    certificates:
      - path: /etc/letsencrypt/live/www.example.com/fullchain.pem
        key: /etc/letsencrypt/live/www.example.com/privkey.pem
        names: [www.example.com, example.com]
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
    7 of 7 places looked at; the least lifetime is left to www.example.com:443 at 192.0.2.12: ends in 4 d 2 h, 5 % of
    its lifetime left
reason:
  description: What could not be looked at, and why, of five places at most; RV(endpoints) has all of them.
  returned: always
  type: str
  sample: ''
findings:
  description:
    - What somebody should know, each with C(id), C(severity), C(subject), C(message), C(value), C(threshold) and
      C(action).
    - The ids are C(certificate-expired), C(certificate-not-yet-valid), C(certificate-ends-soon), C(certificate-name),
      C(certificate-untrusted), C(certificate-usage), C(certificate-key-weak), C(certificate-digest-weak),
      C(certificate-must-staple), C(chain-out-of-date), C(chain-order), C(handshake-weak), C(served-differs),
      C(addresses-differ), C(key-missing), C(key-mismatch), C(key-exposed) and C(calendar-change).
  returned: always
  type: list
  elements: dict
  sample:
    - id: served-differs
      severity: high
      subject: www.example.com:443 at 192.0.2.12
      message: >-
        it still serves an older one, which ends on 2026-12-01T07:15:00Z; the newest on the disk is valid from
        2026-11-20T09:00:00Z
      value: 0c1f6c5c7f1e6c1d7c0f54f5cb4bfa12a1b9e1d6c1f0e9a7b4d2c3b2a1908f7e
      threshold: 9d2c4f8a7b6e5d4c3b2a19081706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4
      action: reload the server, and see why that did not happen or did not help
figures:
  description:
    - Measured numbers, with the unit in the name. C(places) are files and addresses. C(least_left_percent) is the
      smallest share of a lifetime that is left, negative when it has ended, C(first_end_seconds) the time until the
      first certificate ends, and C(first_end_timestamp_seconds) that moment in seconds since 1970.
  returned: always
  type: dict
  sample:
    duration_seconds: 0.42
    endpoints: 3
    first_end_seconds: 352800
    first_end_timestamp_seconds: 1796108100
    least_left_percent: 4.6
    places: 7
    unlooked_places: 0
coverage:
  description: Files and addresses that were looked at, of all of them. A name without an address counts as one.
  returned: always
  type: dict
  sample: {looked: 7, of: 7}
endpoints:
  description: What was seen, one entry for each address of each endpoint.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: As it was given.
      type: str
      returned: always
    port:
      description: The TCP port.
      type: int
      returned: always
    address:
      description: The IP address. Empty when the name has none.
      type: str
      returned: always
    starttls:
      description: As it was given.
      type: str
      returned: always
    looked:
      description: Whether all of it could be looked at.
      type: bool
      returned: always
    reason:
      description: Why not.
      type: str
      returned: always
    protocol:
      description: The version of TLS that was agreed on, such as V(TLSv1.3).
      type: str
      returned: always
    staples:
      description:
        - Whether an OCSP answer is stapled. Null when O(stapling) is not set, or when that cannot be seen, as of a
          server without TLS 1.2.
      type: bool
      returned: always
    trusted:
      description: Whether the chain leads to an authority that is trusted, dates apart. Null when that is not known.
      type: bool
      returned: always
    names_match:
      description: Whether the certificate is valid for all names. Null when that is not known, or any name will do.
      type: bool
      returned: always
    matches_disk:
      description: Whether it is the newest on the disk. Null when that is not known.
      type: bool
      returned: always
    certificate:
      description:
        - The certificate, with C(subject), C(issuer), C(serial) (hexadecimal), C(fingerprint) (SHA-256), C(names),
          C(not_before), C(not_after), C(lifetime_seconds), C(left_seconds), C(left_percent), C(key_type), C(key_size)
          (bits), C(signature_hash), C(must_staple) and C(ocsp_urls). Null when none was seen.
      type: dict
      returned: always
    chain:
      description: What came beside it, in that order and the same shape. Null when this Python cannot tell.
      type: list
      elements: dict
      returned: always
certificates:
  description: What was seen in files, one entry for each.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      returned: always
    looked:
      description: Whether all of it could be looked at.
      type: bool
      returned: always
    reason:
      description: Why not.
      type: str
      returned: always
    trusted:
      description: Whether the chain leads to an authority that is trusted. Null when that is not known or not asked.
      type: bool
      returned: always
    key_matches:
      description: Whether the key is there and belongs to the certificate. Null when none was named.
      type: bool
      returned: always
    certificates:
      description: All certificates in the file, in its order, in the shape of RV(endpoints[].certificate).
      type: list
      elements: dict
      returned: always
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.arguments import (
    INFO_ARGUMENTS,
    settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.info import Told, look_around
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=INFO_ARGUMENTS, supports_check_mode=True)
    told = Told()
    try:
        result = look_around(settings_from(module.params), told)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, False, **dataclasses.asdict(told))


if __name__ == "__main__":
    main()
