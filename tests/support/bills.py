# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence by the digests that a record has of it, and lists of parts judged by the schema of CycloneDX 1.6."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import pathlib
import typing as t

_SCHEMAS = ("bom-1.6", "spdx", "jsf-0.82")


@functools.lru_cache(maxsize=1)
def _validator() -> t.Any:
    """With the schema that comes with cyclonedx-python-lib. Managed hosts have none of this: see `kept`."""
    from jsonschema import Draft7Validator
    from referencing import Registry, Resource

    place = importlib.resources.files("cyclonedx.schema._res")
    schemas = {
        name: json.loads((place / f"{name}.SNAPSHOT.schema.json").read_text(encoding="utf-8")) for name in _SCHEMAS
    }
    known: Registry[t.Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values()
    )
    return Draft7Validator(schemas["bom-1.6"], registry=known)


def problems(bill: dict[str, t.Any]) -> list[str]:
    """What the schema has against it."""
    return [error.message for error in _validator().iter_errors(bill)]


def kept(evidence: dict[str, t.Any]) -> dict[str, t.Any]:
    """The files of evidence, which are all that its digests name and nothing else, and closed to others."""
    place = pathlib.Path(evidence["directory"])
    files = {path.name: path.read_bytes() for path in place.iterdir()}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == evidence["sha256"]
    assert place.stat().st_mode & 0o77 == 0
    return {name: json.loads(data) if name.endswith(".json") else data.decode() for name, data in files.items()}


def valid(evidence: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same, and the schema has nothing against its lists of parts."""
    files = kept(evidence)
    found = {name: problems(bill) for name, bill in files.items() if name.startswith("sbom-")}
    assert found, "there is no list of parts"
    assert not any(found.values()), found
    return files


def purls(bill: dict[str, t.Any]) -> set[str]:
    return {one["purl"] for one in bill["components"]}
