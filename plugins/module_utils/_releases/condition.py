# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release that is there is still what was installed and proved.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import inventory, parts
from .inventory import Package
from .place import Described, Place, ReleaseError

_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Condition:
    """What was written of it, what is there, and how that differs; `damage` is empty when it does not."""

    described: Described
    packages: tuple[Package, ...]
    damage: str


def condition_of(place: Place, release: str) -> Condition:
    """:raises ReleaseError: when it is no release that was installed here."""
    found, root = place.described(release), place.path_of(release)
    try:
        known = [parts.Part.from_dict(one) for one in found["parts"]]
        packages = tuple(parts.installed_in(known, root))
        digests = parts.lock_digests(known, root)
        changed = digests != found["locks"]
        other = inventory.digest_of(packages) != found["contents_sha256"]
        named = [
            str(one["package"]) for one in inventory.difference(inventory.packages_from(found["packages"]), packages)
        ]
    except (ReleaseError, OSError) as exc:
        return Condition(found, (), str(exc))
    except (KeyError, TypeError) as exc:
        return Condition(found, (), f"what was written of it cannot be read: {exc}")
    if changed:
        return Condition(found, packages, "a lock is another one than the one that was installed from")
    told = ", ".join(named[:_MOST_NAMED]) or "its packages"
    return Condition(found, packages, f"other contents of {told}" if other else "")


def packages_of(place: Place, release: str) -> list[Package]:
    """As they were when it was installed; nothing of what was not installed by us."""
    return inventory.packages_from(place.described(release)["packages"]) if place.has(release) else []


def lines(application: str, release: str, packages: t.Iterable[Package]) -> str:
    """A release and its packages as a text, of which a difference can be made."""
    told = sorted({f"{one.ecosystem} {one.name} {one.version}" for one in packages})
    return "".join(f"{line}\n" for line in ([f"{application} {release}"] if release else []) + told)
