#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_rotate
version_added: 0.2.0
short_description: Rotate the password with which an application logs in to PostgreSQL
description:
  - Makes a new password when the one in use is due, in seven steps that survive being killed. C(create) stores it as
    pending; C(set) has PostgreSQL accept it; C(test) logs in with it as the application does; C(finish) makes it the
    current one in the store; C(reload) gives it to the consumers and sees that they use it; C(observe) waits until
    nobody uses the old one; C(retire) closes that and sees that it opens nothing any more.
  - A step that fails before the last one has all taken back. The old password is then the current one, opens the
    database, and is with all consumers; the result says whether that was seen.
  - A run that was killed is taken up by the next one, which first asks store and database how far it came. A pending
    version without a run of this host is gone on with when it opens the database, else it is withdrawn.
  - With one user, the password is replaced, and whoever logs in between C(set) and the moment at which it has the new
    one is refused; the result has the length of that gap. With two O(users) and an O(owner) there is no gap, since both
    passwords are good until the old one is closed.
  - PostgreSQL is sent a SCRAM-SHA-256 verifier computed by the module, never a password, and logging of statements is
    off for that transaction where the login may switch it off.
  - Run it where the application runs, for that is where the logins are tried out.
options:
  name:
    description: Name or ARN of the secret (V(aws)), path below the mount (V(vault)), or name (V(files)). Its value is a
      JSON object with C(username) and C(password); what else is in it is kept.
    type: str
    required: true
  users:
    description:
      - The login role of the application, or two that alternate. Of the two, one may not exist yet; it is made with the
        memberships and settings of the other.
      - Two roles have to act as the O(owner), which C(GRANT owner TO user) and C(ALTER ROLE user SET role TO owner) do.
    type: list
    elements: str
    required: true
  owner:
    description: With two O(users), the role as which both act and to which all objects belong.
    type: str
    default: ''
  databases:
    description: The databases that the application logs in to, its main one first.
    type: list
    elements: str
    required: true
  app_host:
    description: Where the application logs in, host or socket directory. Empty means as O(login_host). The server has
      to ask for a password there, or nothing is begun.
    type: str
    default: ''
  app_port:
    description: The port there. V(0) means O(login_port).
    type: int
    default: 0
  app_ssl_mode:
    description: The C(sslmode) there. Empty means O(ssl_mode).
    type: str
    default: ''
    choices: ['', disable, allow, prefer, require, verify-ca, verify-full]
  standbys:
    description: Standbys that the application logs in to. The new password has to log in there before anybody is given
      it, and sessions there count as use. O(login_user) has to be able to log in there.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Host name or address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        default: 5432
  standby_timeout:
    description: How many seconds a standby may take to know the new password.
    type: int
    default: 60
  test_statements:
    description: Statements that the application has to be allowed. They are run with the new password in the first of
      O(databases), in a transaction that is taken back.
    type: list
    elements: str
    default: []
  period:
    description: How long a password may be in use.
    type: str
    default: 90d
  rotate_after_percent:
    description: It is rotated from so much of the O(period) on, from 1 to 100.
    type: int
    default: 80
  force:
    description: Rotate it now, however young it is.
    type: bool
    default: false
  present_user:
    description: Whose password O(present_password) is.
    type: str
    default: ''
  present_password:
    description: The password that is in use now, for a store that has none yet. It is stored when a login has proved
      it. With a store that has one, it is not looked at.
    type: str
    default: ''
  password_length:
    description: How many letters and digits a new password has, from 24 to 128.
    type: int
    default: 40
  observe_for:
    description: How long the application is watched before the old password is closed. With two O(users), this has to
      be as long as anybody may go on with a password that he has read, before he logs in with it (a cache).
    type: str
    default: 10s
  observe_timeout:
    description: How long the old password may still be used. After that the rotation stays open, with a finding that
      names who uses it, and the next run looks again. Both passwords are good meanwhile, if O(users) has two.
    type: str
    default: 5m
  overlap:
    description: With two O(users), how long both passwords are good after the switch, such as the longest time for
      which a client caches the old one. No run waits for it; the first one after it closes the old password. It does
      not count with O(old_sessions=end).
    type: str
    default: 0s
  old_sessions:
    description:
      - What becomes of sessions that the old password let in. V(wait) for their end, V(keep) them, or V(end) them at
        once, which is for a password that others know.
      - V(auto) waits with two O(users), whose old one is closed, and keeps them with one.
    type: str
    choices: [auto, wait, keep, end]
    default: auto
  failed_logins_log:
    description:
      - Where logins that the server refuses can be seen, so that too many of them after the switch bring the old
        password back. PostgreSQL counts them nowhere but in its log.
      - An absolute path is the server's log file on the host that runs the module. V(server) reads the file that the
        server's C(logging_collector) writes, through O(login_user), which then needs C(pg_monitor), and C(EXECUTE) on
        C(pg_current_logfile()) and C(pg_read_binary_file(text, bigint, bigint)). Standbys are not looked at.
      - Before anything is touched, a login with a made-up password has to turn up there. Empty means that nobody looks.
    type: str
    default: ''
  failed_logins_allowed:
    description: How many logins of the new password's role may be refused from the switch (two O(users)), or from the
      end of C(reload) on (one), until the old password is closed. Those of strangers count, too.
    type: int
    default: 5
  rollback:
    description: Take back the rotation that this host has left open, instead of going on with it. Once the old password
      is closed, there is no way back.
    type: bool
    default: false
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
  - steward.maintenance._secrets.pools
  - steward.maintenance._postgres
  - steward.maintenance._application.health
  - steward.maintenance._attributes
  - steward.maintenance._attributes.actiongroup_postgres
attributes:
  check_mode:
    support: full
    details:
      - Reads the store, and logs in nowhere.
  diff_mode:
    support: full
    details:
      - The diff shows versions and users, never a value.
  idempotent:
    support: full
    details:
      - With O(force=true), every run rotates.
notes:
  - O(login_user) needs C(pg_read_all_stats), and C(CREATEROLE) or, from PostgreSQL 16 on, that with the C(ADMIN OPTION)
    on the roles. Its session holds a lock in O(login_database), so all runs for the same roles have to name one.
  - Only clients that know SCRAM-SHA-256 can log in afterwards.
seealso:
  - module: steward.maintenance.secret_info
  - module: steward.maintenance.secret_rotate_jwt
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Rotate the shop's database password when it is due
  steward.maintenance.secret_rotate:
    name: shop-database
    store:
      kind: files
      directory: /var/lib/steward/store
      recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudj7ccqsagh4vk]
      identity_file: /etc/steward/age.key
    login_host: db.example.com
    login_user: steward
    login_password: "{{ steward_password }}"
    users: [shop_a, shop_b]
    owner: shop
    databases: [shop]
    test_statements:
      - SELECT 1 FROM orders LIMIT 1
      - INSERT INTO orders (note) VALUES ('probe')
    consumers:
      - name: api
        files:
          - path: /etc/shop/api.env
            kind: env
            values:
              DB_USER: "{username}"
              DB_PASSWORD: "{password}"
        commands: [[systemctl, restart, shop-api]]
        prove_sessions: true
        application_name: shop-api

- name: Rotate behind PgBouncer, and go back when more than three logins are refused
  steward.maintenance.secret_rotate:
    name: shop/database
    store:
      kind: vault
      url: https://vault.example.com:8200
      token_file: /etc/steward/vault.token
    login_host: db.example.com
    users: [shop_a, shop_b]
    owner: shop
    databases: [shop]
    pools:
      - user: steward
        password: "{{ pgbouncer_password }}"
        userlist: /etc/pgbouncer/userlist.txt
    failed_logins_log: server
    failed_logins_allowed: 3
    observe_for: 10m

- name: Rotate a password that somebody has seen, at once
  steward.maintenance.secret_rotate:
    name: shop/database
    store: {kind: aws, region: eu-central-1}
    login_host: db.example.com
    users: [shop]
    databases: [shop]
    force: true
    old_sessions: end
"""

RETURN = r"""
missing_hosts:
  description: Those of O(elsewhere) that have not been seen to use what is current.
  returned: always
  type: list
  elements: str
  sample: []
stays_open:
  description: Whether a later run goes on with this rotation.
  returned: always
  type: bool
verdict:
  description: V(ok), V(findings), V(unknown) or V(failed). V(unknown) and V(failed) fail the task. V(unknown) is also
    that another run is at work.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence with the figures that matter.
  returned: always
  type: str
  sample: shop_b has a new password, proved by 1 logins; the old one opens nothing any more
reason:
  description: Which step failed and why, and whether the old password was seen to open.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about, each with C(id), C(severity), C(subject), C(message) and C(action).
  returned: always
  type: list
  elements: dict
figures:
  description:
    - Measured numbers, with the unit in the name.
    - With one user, C(store_gap_seconds) is how long those who read the store were refused. C(consumers_gap_seconds) is
      the longest that a consumer was, where there are any. A run that took up another one does not know them.
  returned: always
  type: dict
  sample: {duration_seconds: 12.4, tested_logins: 1, store_gap_seconds: 0.06, consumers_gap_seconds: 1.9}
coverage:
  description: Whether the secret was looked at.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
rotated:
  description: Whether a new password is in use.
  returned: always
  type: bool
version:
  description: Identifier of the version that is current now.
  returned: always
  type: str
  sample: 4f6c1d8e-0d0c-4a3e-9c1e-7d6a5f4e3b2a
old_version:
  description: Identifier of the version that was current before.
  returned: always
  type: str
  sample: 9a1b7c55-3f6e-4a57-8a8b-0e3c5f2d1c00
planned:
  description: In check mode, the steps that would be taken.
  returned: always
  type: list
  elements: str
  sample: []
written:
  description: The consumers' files that were written, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/etc/shop/api.env]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._core.health import HEALTH_ARGUMENTS, health_from
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.arguments import (
    LOGIN_ARGUMENTS,
    login_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation import DatabasePassword
from ansible_collections.steward.maintenance.plugins.module_utils._postgres.rotation_arguments import (
    ROLE_ARGUMENTS,
    database_settings_from,
    pools_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.arguments import (
    CONSUMERS_ARGUMENT,
    NEED_ARGUMENTS,
    ROTATION_ARGUMENTS,
    STORE_ARGUMENTS,
    consumers_from,
    gates_from,
    need_from,
    others_from,
    policy_from,
    state_directory,
    store_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rollback import roll_back
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.rotate import rotate
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store import StoreError
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.work import Outcome, Work


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            LOGIN_ARGUMENTS,
            **STORE_ARGUMENTS,
            **NEED_ARGUMENTS,
            **ROTATION_ARGUMENTS,
            **CONSUMERS_ARGUMENT,
            **ROLE_ARGUMENTS,
            **HEALTH_ARGUMENTS,
        ),
        supports_check_mode=True,
    )
    params = module.params
    outcome = Outcome()
    try:
        target = DatabasePassword(login_from(params), database_settings_from(params))
        work = Work(
            store=store_from(params["store"], params["name"]),
            target=target,
            consumers=consumers_from(params["consumers"]),
            health=health_from(params),
            policy=policy_from(params, target.overlaps),
            need=need_from(params),
            state_dir=state_directory(params["state_dir"]),
            gates=gates_from(pools_from(params)),
            others=others_from(params),
        )
        go = roll_back if params["rollback"] else rotate
        result = go(work, module.check_mode, outcome)
    except (InputError, StoreError) as exc:
        module.fail_json(msg=str(exc))
    finish(module, result, outcome.changed, **outcome.beside())


if __name__ == "__main__":
    main()
