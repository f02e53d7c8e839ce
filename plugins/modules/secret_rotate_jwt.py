#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_rotate_jwt
version_added: 0.2.0
short_description: Rotate the keys that sign JSON Web Tokens
description:
  - Publishes a new key, waits until every verifier has it, has it sign, waits until no token of the old one is valid
    any more, and removes the old one. So no valid token is refused, and no old one is accepted once it is over.
  - A run makes the moves whose time has come, and ends. It says which move is next and when. Run it often, say hourly;
    a run that comes late makes the waits longer, and nothing else. The waits are computed from O(cache_life),
    O(signer_life), O(token_life) and O(clock_skew), and counted from the moment at which the consumers were seen to
    have what they were given.
  - Each move is a new version in the store, stored as pending first, then promoted, then brought to the consumers. One
    that fails is taken back, and one that was killed is taken up by the next run. The store alone says how far it is.
  - V(HS256) has shared secrets, of which verifiers try all, or choose by C(kid). V(ES256) has key pairs, made by the
    program C(openssl), and verifiers get a JWK set.
options:
  name:
    description: Name or ARN of the secret (V(aws)), path below the mount (V(vault)), or name (V(files)). Its value is
      written by this module alone.
    type: str
    required: true
  algorithm:
    description: The algorithm of the signatures.
    type: str
    required: true
    choices: [HS256, ES256]
  token_life:
    description: The longest that a token is valid, refresh tokens that are signed with these keys included.
    type: str
    required: true
  cache_life:
    description: How long a verifier may go on with the keys that it has, once it could have newer ones. V(0s) when all
      of them are O(consumers), which are seen to take them up.
    type: str
    required: true
  signer_life:
    description: How long a signer may go on with the key that it has. Empty means as O(cache_life).
    type: str
    default: ''
  clock_skew:
    description: How far the clocks of signers and verifiers may be apart.
    type: str
    default: 1m
  period:
    description: How long a key may sign.
    type: str
    default: 90d
  rotate_after_percent:
    description: It is followed by another one from so much of the O(period) on, from 1 to 100.
    type: int
    default: 80
  force:
    description: Publish a new key now, however young the one that signs is. The waits stay as they are.
    type: bool
    default: false
  emergency:
    description:
      - B(Ends all sessions.) Replace all keys by a new one at once, for a key that others know. Every token that was
        signed before is refused from then on, and verifiers that still cache the old keys refuse the new ones.
      - Each run with this replaces them.
    type: bool
    default: false
  rollback:
    description:
      - Take the rotation back, as long as the old key is there. A new key that may have signed stays accepted until no
        token of it can be valid any more, and the old one signs again; one that was never published is gone at once.
      - The old key is still due then, so once that is over, a run without this option publishes another new one.
    type: bool
    default: false
  present_secret:
    description: For V(HS256), the shared secret that is in use, for a store that has none yet. With a store that has
      one, it is not looked at. It needs 32 bytes or more.
    type: str
    default: ''
  state_dir:
    description:
      - Directory of the journals, from which a run that was killed is taken up. Always the same one for a secret.
      - Empty means C(secrets) beside the records, which is C(/var/lib/steward/secrets) for root.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._secrets
  - steward.maintenance._secrets.consumers
  - steward.maintenance._secrets.elsewhere
  - steward.maintenance._application.health
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Tells the first move that is due. Those after it depend on when it is made.
  diff_mode:
    support: full
    details:
      - The diff shows identifiers of keys, never a value.
  idempotent:
    support: full
    details:
      - Not with O(force=true) or O(emergency=true).
notes:
  - O(consumers[].prove_sessions) and the kind V(userlist) are for passwords, and refused here.
seealso:
  - module: steward.maintenance.secret_rotate
  - module: steward.maintenance.secret_info
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Rotate the keys of the shop's tokens, hourly
  steward.maintenance.secret_rotate_jwt:
    name: shop/jwt
    store:
      kind: vault
      url: https://vault.example.com:8200
      token_file: /etc/steward/vault.token
    algorithm: ES256
    token_life: 12h
    cache_life: 1h
    signer_life: 0s
    consumers:
      - name: published keys
        files:
          - path: /srv/www/.well-known/jwks.json
            kind: text
            content: "{jwks}"
        probe: [/usr/local/bin/see_jwks]
      - name: login service
        files:
          - path: /etc/shop/signing.pem
            kind: text
            content: "{signing_key}"
          - path: /etc/shop/signing.env
            kind: env
            values: {SIGNING_KID: "{signing_kid}"}
        commands: [[systemctl, reload, shop-login]]
        probe: [/usr/local/bin/see_login_kid]
"""

RETURN = r"""
missing_hosts:
  description: Those of O(elsewhere) that have not been seen to use what is current.
  returned: always
  type: list
  elements: str
  sample: []
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task. V(unknown) is that
    another run is at work.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: '2 keys, 20260823-1a2b3c4d signs; done: publish, note_published; next: sign at 2026-11-26T04:16:00Z'
reason:
  description: Which step of which move failed, and why.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description: Measured numbers, with the unit in the name.
  returned: always
  type: dict
  sample: {keys: 2, wait_seconds: 3660, duration_seconds: 1.2}
coverage:
  description: Whether the keys were looked at.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
moves:
  description: The moves that were made, or the first that would be in check mode. V(first) makes the first key,
    V(publish), V(sign), V(remove), V(replace), V(withdraw) and V(sign_back) do what they say, V(note_published) and
    V(note_signed) write down
    since when the consumers have it.
  returned: always
  type: list
  elements: str
  sample: [publish, note_published]
next_move:
  description: The move that is waited for. Empty when the keys are as they should be.
  returned: always
  type: str
  sample: sign
next_at:
  description: When its time comes, in UTC.
  returned: always
  type: str
  sample: "2026-11-26T04:16:00Z"
version:
  description: Identifier of the version that is current now.
  returned: always
  type: str
  sample: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a
keys:
  description: The keys, the oldest first, without what is secret of them.
  returned: always
  type: list
  elements: dict
  contains:
    kid:
      description: Identifier of the key.
      type: str
      sample: 20260823-1a2b3c4d
    made:
      description: When it was made, in UTC.
      type: str
      sample: "2026-08-23T03:15:00Z"
    published:
      description: Since when the consumers have it. Empty when that is not known yet.
      type: str
      sample: "2026-08-23T03:15:02Z"
    signs_since:
      description: Since when it signs. Empty when it does not, or when that is not known yet.
      type: str
      sample: "2026-08-23T04:16:05Z"
    withdrawn:
      description: When its rotation was taken back, in UTC. It is accepted until its tokens have ended.
      type: str
      sample: ""
    signs:
      description: Whether it is the one that signs.
      type: bool
      sample: true
written:
  description: The consumers' files that were written.
  returned: always
  type: list
  elements: str
  sample: [/srv/www/.well-known/jwks.json]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    NEED_ARGUMENTS,
    STORE_ARGUMENTS,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.key_arguments import (
    KEY_ARGUMENTS,
    key_work_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.key_work import KeyOutcome
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate_keys import rotate_keys
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            STORE_ARGUMENTS, **NEED_ARGUMENTS, **KEY_ARGUMENTS, **CONSUMERS_ARGUMENT, **HEALTH_ARGUMENTS
        ),
        supports_check_mode=True,
    )
    outcome = KeyOutcome()
    try:
        work = key_work_from(module.params)
        result = rotate_keys(work, module.check_mode, outcome, module.params["rollback"])
    except (InputError, StoreError) as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
