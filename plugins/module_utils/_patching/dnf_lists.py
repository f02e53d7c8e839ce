# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of dnf's repositories, each judged by itself, and which of them can tell what is a security fix.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

With skip_if_unavailable (the default of Red Hat's and Fedora's dnf.conf) dnf goes on without a repository that it could
not reach, and ends well. So each is loaded by itself, and one that failed is told whatever that option says.
"""

from __future__ import annotations

import fnmatch
import re
import time
import typing as t

from .._core.durations import format_duration
from .._core.masking import mask_secrets
from . import archives
from .lists import Lists, Source
from .programs import tail

_CREDENTIALS = re.compile(r"(://)[^/@]+@")
_SLACK = 60
#: Of what makes nobody the wiser about security fixes.
BLIND = "it has no advisories (updateinfo), so nobody can tell which of its versions are security fixes"


def judged(repositories: t.Sequence[t.Mapping[str, t.Any]], max_age: float) -> Lists:
    """Each repository with its age and its problem.

    :param max_age: how old a list may be, in seconds; 0 when they were just fetched.
    """
    found = []
    for about in repositories:
        url = _CREDENTIALS.sub(r"\1", about["url"])
        source = Source(f"{about['id']} {url}".strip(), about["id"], about["age"])
        if about["problem"]:
            source.problem = tail(_CREDENTIALS.sub(r"\1", str(mask_secrets(about["problem"]))), 3, " | ")
        elif max_age and source.age_seconds is not None and source.age_seconds > max_age + _SLACK:
            old, limit = format_duration(source.age_seconds), format_duration(max_age)
            source.problem = f"dnf last had it {old} ago, longer than {limit}"
        found.append(source)
    return Lists(found, manager="dnf")


def unseen(
    repositories: t.Sequence[t.Mapping[str, t.Any]],
    known: Lists,
    rules: t.Sequence[t.Mapping[str, str]],
    fixes_alone: bool,
    max_age: float,
) -> str:
    """Why security fixes could not be seen; empty when they could. A repository that cannot tell gets its problem.

    :param rules: which repositories hold nothing but what counts as a fix.
    :param fixes_alone: whether fixes are to be told from the rest. If not, all is upgraded, and what cannot tell is
        noted as blind.
    """
    by_id = {about["id"]: about for about in repositories}
    for source in known.sources:
        about = by_id[source.file]
        counts = any(fnmatch.fnmatchcase(source.file, rule["label"]) for rule in rules)
        age = time.time() - about["published"]
        if source.problem or counts:
            continue
        if about["advisories"]:
            if max_age and about["published"] and age > max_age:
                old, limit = format_duration(age), format_duration(max_age)
                source.problem = (
                    f"it was published {old} ago, longer than {limit}: a mirror stands still, or it is not maintained"
                )
        elif fixes_alone:
            source.problem = f"{BLIND}; name it in security_repositories if all that it brings counts as a fix"
        else:
            known.blind.append(source.file)
    return ""


def rules(patterns: t.Sequence[str]) -> list[dict[str, str]]:
    """Repositories by their ids, as an archive is known elsewhere."""
    return [{"label": pattern} for pattern in patterns]


def told(origins: t.Sequence[archives.Origin]) -> list[str]:
    return list(dict.fromkeys(origin.told() for origin in origins))
