# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where copies are kept: the arguments in plugins/module_utils/_s3/settings.py.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  bucket:
    description: Name of the bucket. It must exist.
    type: str
    required: true
  prefix:
    description: What the keys of all objects begin with; a slash follows it. Empty means the top of the bucket.
    type: str
    default: steward
  endpoint_url:
    description:
      - Where the store is, with scheme and port, such as C(https://s3.example.com:9000); any store that speaks S3.
      - Empty means AWS, or what the SDK's own files and variables say.
    type: str
    default: ''
  region:
    description: The bucket's region. Empty leaves it to the SDK, and is C(us-east-1) where that says nothing.
    type: str
    default: ''
  access_key:
    description:
      - Name of the access key.
      - Empty leaves the credentials to the SDK, which looks into E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY),
        into its files and, on such machines, at the role of the machine.
    type: str
    default: ''
  secret_key:
    description:
      - The secret that belongs to O(access_key). It is handed on in memory, never on a command line.
    type: str
    default: ''
  session_token:
    description: The token that belongs to temporary credentials.
    type: str
    default: ''
  profile:
    description: Section of the SDK's files that holds the credentials.
    type: str
    default: ''
  addressing_style:
    description:
      - Whether the bucket is named in the path or in the host name.
      - V(auto) is V(path) with O(endpoint_url), and what the SDK thinks best without.
    type: str
    choices: [auto, path, virtual]
    default: auto
  ca_cert:
    description: File with the certificates of the authorities that are trusted to sign the store's certificate.
    type: path
    default: ''
  connect_timeout:
    description: Seconds to wait for a connection, from 1 to 3600.
    type: int
    default: 10
  read_timeout:
    description: Seconds to wait for the next bytes of an answer, from 1 to 3600.
    type: int
    default: 60
  attempts:
    description:
      - How often a request is tried when the store is busy (C(503 SlowDown) and its like), does not answer, or breaks
        the connection off, from 1 to 100. The pauses between the attempts grow, are random, and last 20 seconds at
        most.
    type: int
    default: 6
  streams:
    description:
      - Objects, and parts of objects, that are on their way at the same time, from 1 to 64. Twice as many times
        O(part_bytes) is the memory that this takes.
    type: int
    default: 4
  part_bytes:
    description:
      - Files that are larger than so many bytes are sent in parts of this size, from 65536 to 5368709120. Files of more
        than 10000 parts get larger ones.
      - AWS wants 5242880 at least. Other stores have rules of their own.
    type: int
    default: 16777216
requirements:
  - boto3 for the Python interpreter of the managed host (the package python3-boto3 will do)
"""
