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
import urllib.parse
import uuid

from .version import COLLECTION_VERSION

Table = t.Dict[str, t.Any]

TOOL = "steward.maintenance"


def package_url(kind: str, name: str, version: str, namespace: str = "", **qualifiers: str) -> str:
    """The package URL of one package, in its canonical form, see ECMA-427 (https://github.com/package-url/purl-spec).

    A colon is never encoded (docs/standard/characters-and-encoding.md there); qualifiers stand in order of their keys.

    :param name: with its scope in front of it, where npm has one.
    :param qualifiers: those that are empty are left out.
    """
    parts = [part for part in (*namespace.split("/"), *name.split("/")) if part]
    path = "/".join(urllib.parse.quote(part, safe=":") for part in parts)
    url = f"pkg:{kind}/{path}@{urllib.parse.quote(version, safe=':')}"
    told = [f"{key}={urllib.parse.quote(value, safe=':')}" for key, value in sorted(qualifiers.items()) if value]
    return f"{url}?{'&'.join(told)}" if told else url


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
