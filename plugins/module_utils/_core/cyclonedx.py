# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of parts by CycloneDX 1.6, see https://cyclonedx.org/docs/1.6/json/.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The same parts give the same serial number.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
import uuid

from .version import COLLECTION_VERSION

Table = t.Dict[str, t.Any]

TOOL = "steward.maintenance"


def document(root: Table, components: t.Sequence[Table], dependencies: t.Sequence[Table], moment: str) -> Table:
    """:param root: what the parts are of, with its `bom-ref`."""
    told = json.dumps([root["bom-ref"], list(components), list(dependencies)], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": moment,
            "tools": {"components": [{"type": "application", "name": TOOL, "version": COLLECTION_VERSION}]},
            "component": root,
        },
        "components": list(components),
        "dependencies": list(dependencies),
    }
