# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """Documentation of STORE_ARGUMENTS in plugins/module_utils/_secrets/arguments.py."""

    DOCUMENTATION = r"""
options:
  store:
    description: The store that holds the secret. Options of another kind than O(store.kind) are refused.
    type: dict
    required: true
    suboptions:
      kind:
        description:
          - V(files) keeps each version in a file encrypted with the program C(age), on the host that runs the module.
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
        description: For V(files), public keys that the versions are encrypted to.
        type: list
        elements: str
        default: []
      identity_file:
        description: For V(files), the file with the private key, which has no passphrase. Only its path is passed on.
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
