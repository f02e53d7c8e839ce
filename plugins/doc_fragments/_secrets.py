# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

_STORE = r"""      kind:
        description:
          - V(files) keeps each version in a file on the host that runs the module, encrypted with the program C(age),
            or in the format of C(ansible-vault).
          - V(vault) is a KV version 2 engine of HashiCorp Vault or OpenBao, over its HTTP API.
          - V(aws) is AWS Secrets Manager, and needs boto3.
        type: str
        required: true
        choices: [files, vault, aws]
      directory:
        description: For V(files), an existing directory, closed to others, below which each secret has one of its own.
        type: path
        default: ''
      recipients:
        description: For V(files) with C(age), public keys that the versions are encrypted to.
        type: list
        elements: str
        default: []
      identity_file:
        description: For V(files) with C(age), the file with the private key, which has no passphrase. Only its path is
          passed on.
        type: path
        default: ''
      vault_password_file:
        description: For V(files) with C(ansible-vault), the file with the password, instead of O(store.recipients) and
          O(store.identity_file). C(ansible-vault view) opens the versions. Needs the Python library C(cryptography). A
          script that prints the password is refused.
        type: path
        default: ''
      url:
        description: For V(vault), where it is. Redirections are not followed, so name the active node or the cluster.
        type: str
        default: ''
      token:
        description: For V(vault), the token. Needs C(create), C(read) and C(update) on data and metadata of the path,
          and C(delete) on the metadata of the path with the suffix C(.pending).
        type: str
        default: ''
      token_file:
        description: For V(vault), a file with the token, instead of O(store.token).
        type: path
        default: ''
      mount:
        description: For V(vault), where the engine is mounted. Empty means C(secret).
        type: str
        default: ''
      namespace:
        description: For V(vault), the namespace, where there are such.
        type: str
        default: ''
      region:
        description: For V(aws), the region. Empty leaves it to the SDK.
        type: str
        default: ''
      endpoint_url:
        description: For V(aws), another endpoint than the region's.
        type: str
        default: ''
      access_key:
        description: For V(aws), the access key. Empty leaves the credentials to the SDK.
        type: str
        default: ''
      secret_key:
        description: For V(aws), the secret key that belongs to it.
        type: str
        default: ''
      session_token:
        description: For V(aws), the session token of temporary credentials.
        type: str
        default: ''
      profile:
        description: For V(aws), a profile of the SDK's files.
        type: str
        default: ''
      ca_cert:
        description: For V(vault) and V(aws), a file with the certificates of the authorities that are trusted.
        type: path
        default: ''
      timeout:
        description: For V(vault) and V(aws), how many seconds an answer may take, from 1 to 3600.
        type: int
        default: 20
"""


class ModuleDocFragment:
    """Documentation of the arguments in plugins/module_utils/_secrets/arguments.py."""

    CONSUMERS = r"""
options:
  consumers:
    description: Who has the secret, beside those who read the store each time they need it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: A name for people.
        type: str
        required: true
      files:
        description: Files that hold it. They have to exist; owner, mode and extended attributes stay as they are.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Absolute path.
            type: path
            required: true
          kind:
            description: V(text) is replaced as a whole, in V(env) the variables of O(consumers[].files[].values), in
              V(userlist) (of PgBouncer) the line of the user.
            type: str
            required: true
            choices: [text, env, userlist]
          content:
            description:
              - What is written, with fields of the secret in braces. Braces around anything else are left alone.
              - For passwords, fields are what the secret has, such as C({username}) and C({password}), and
                C({password_url}), the password as in an URL, and C({verifier}), what PostgreSQL keeps of it. Empty
                means C({password}) for V(text), and C({verifier}) for V(userlist).
              - For keys, fields are C({algorithm}), C({signing_kid}), C({signing_key}), and C({jwks}) with ES256, or
                C({secrets}), a JSON list with the one that signs first, and C({secrets_by_kid}) with HS256.
            type: str
            default: ''
          values:
            description: For V(env), variables and what each is to be, with fields in braces.
            type: dict
            default: {}
      commands:
        description: Commands that have it taken up, each a list of words. No shell reads them.
        type: list
        elements: list
        default: []
      probe:
        description: A command, as words, that ends with status 0 when the new password is used. Tried again until it
          does or O(consumers[].timeout) is over.
        type: list
        elements: str
        default: []
      prove_sessions:
        description: For passwords, whether a session of the new one, begun since the reload, has to be seen in the
          database.
        type: bool
        default: false
      application_name:
        description: The C(application_name) that those sessions have. Empty means any.
        type: str
        default: ''
      processes:
        description:
          - A command, as words, that prints the identifiers of its processes. Each of them has to have been started
            with what the files of kind V(env) have, which is seen in its environment in C(/proc).
          - Such as C(systemctl show --property MainPID --value shop-api), or C(docker inspect --format {{.State.Pid}}
            shop-worker-1) for a service of compose, which C(docker compose restart) does not have read its C(env_file)
            again, and C(docker compose up --force-recreate) does.
        type: list
        elements: str
        default: []
      timeout:
        description: How long each of its commands, and the proof, may take; and for how long commands that fail are
          repeated when it is to get the old secret back.
        type: str
        default: 1m
"""

    ELSEWHERE = r"""
options:
  elsewhere:
    description:
      - Other hosts that have consumers of this secret. Until each of them was seen to use the new one, the old one
        stays open; what is taken back is closed only when each of them was seen to use the old one again.
      - They are told by M(steward.maintenance.secret_take_up), and the role secret_rotation does that.
    type: list
    elements: str
    default: []
  taken_up:
    description: What those hosts were seen to use just now, the identifier of a version by host. One that could not
      be asked is left out. Without this option they are taken for not asked yet.
    type: dict
"""

    POOLS = r"""
options:
  pools:
    description:
      - PgBouncers through which the application logs in. Each lets the new password in before anybody is given it,
        which is seen by a login through it, and forgets the role of the old one in the end.
      - What it holds open for the old role without need ends after C(reload), by C(RECONNECT).
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Host name, address or socket directory.
        type: str
        default: 127.0.0.1
      port:
        description: Its port.
        type: int
        default: 6432
      user:
        description: One of its C(admin_users).
        type: str
        default: pgbouncer
      password:
        description: The password of that user.
        type: str
        default: ''
      ssl_mode:
        description: What TLS is asked for.
        type: str
        default: prefer
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      ca_cert:
        description: File with the certificates of the authorities that are trusted.
        type: path
        default: ''
      database:
        description: The name that it gives to a database of the application. Empty means the first of O(databases).
        type: str
        default: ''
      userlist:
        description: Its C(auth_file) on the host that runs the module, in which the user's line is kept. Empty with
          C(auth_query), which needs nothing written.
        type: path
        default: ''
"""


# Outside of the class, where ansible-test understands nothing but plain strings.
ModuleDocFragment.DOCUMENTATION = (
    r"""
options:
  store:
    description: The store that holds the secret. Options of another kind than O(store.kind) are refused.
    type: dict
    required: true
    suboptions:
"""
    + _STORE
)

ModuleDocFragment.WATCHED = (
    r"""
options:
  store:
    description: The store that holds the secrets that name none of their own. Options of another kind than
      O(store.kind) are refused.
    type: dict
    suboptions: &store
"""
    + _STORE
    + r"""
  secrets:
    description: The secrets to look at.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name or ARN (V(aws)), path below the mount (V(vault)), or name (V(files)).
        type: str
        required: true
      period:
        description: How long a version may be in use, like V(90d).
        type: str
        default: 90d
      kind:
        description: What it is, as in the role secret_rotation. For V(jwt) the age is that of the key that signs, since
          each move of its rotation is a version of its own; so the value is read, which the others' never is.
        type: str
        choices: ['', database, jwt, api_key, command]
        default: ''
      store:
        description: The store of this one. Empty means O(store).
        type: dict
        suboptions: *store
"""
)
