# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a release, and whether the stage before says that this very release ran there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

The stage before tells it by its records, which have what its hosts had installed when they were proved well.
"""

from __future__ import annotations

import datetime
import typing as t

from .._core.clock import parse_time
from .._core.durations import format_duration
from .._core.result import BAD_VERDICTS
from .._core.suggest import InputError
from .inventory import CONTENTS, VERSIONS, Package, digest_of
from .place import Described

#: Of so many packages the names are in a record; of more, their digest alone.
MOST_NAMED = 300
#: What is the same on each host that has the same release, by what a person calls it.
_SAME = {"commit": "commit", "archive_sha256": "archive", "locks": "locks"}
_DIGESTS = {CONTENTS: "contents_sha256", VERSIONS: "inventory_sha256"}

Record = t.Mapping[str, t.Any]


class NotTested(Exception):
    """The stage before does not say that it was tested; the text says why."""

    def __init__(self, verdict: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


def described(about: t.Mapping[str, t.Any], packages: t.Sequence[Package]) -> Described:
    """What is written down of a release, in its directory."""
    return {
        **about,
        "inventory_sha256": digest_of(packages, VERSIONS),
        "contents_sha256": digest_of(packages, CONTENTS),
        "packages": [package.to_list() for package in packages],
    }


def evidence_of(found: Described) -> dict[str, t.Any]:
    """The same, short enough for a record."""
    listed = found["packages"]
    kept = {key: value for key, value in found.items() if key not in ("packages", "parts")}
    names = [f"{one[0]} {one[1]} {one[2]}" for one in listed] if len(listed) <= MOST_NAMED else []
    return {**kept, "package_count": len(listed), "packages": names}


class StageBefore:
    """What the hosts of the stage before say.

    :param stage: its name.
    :param hosts: the names of its hosts.
    :param answers: what the module records_info answered on each of them, in their order.
    :param compare: whether the contents of packages are compared, or their versions.
    :param soak: how many seconds the release has to be in use there, at least.
    """

    def __init__(
        self,
        stage: str,
        hosts: t.Sequence[str],
        answers: t.Sequence[t.Mapping[str, t.Any]],
        compare: str,
        soak: float = 0,
    ) -> None:
        if len(hosts) != len(answers):
            raise InputError(f"stage_before has {len(hosts)} hosts and {len(answers)} answers: give one for each host")
        if not hosts:
            raise InputError(f"stage_before: the stage {stage} has no hosts, so nobody can say what was tested")
        self.stage = stage
        self._told = list(zip(hosts, answers))
        self._compare = compare
        self._soak = soak

    def evidence(self, application: str, release: str, now: datetime.datetime) -> dict[str, t.Any]:
        """What was installed there, the same on all hosts.

        :raises NotTested: when a host has no record of it, or has another release, or they do not agree.
        """
        found: dict[str, t.Any] = {}
        first = ""
        for host, answer in self._told:
            one = self._of_host(host, answer, application, release, now)
            if found:
                other = self.mismatch(found, one)
                if other:
                    raise NotTested("failed", f"in {self.stage}, {first} and {host} do not have the same: {other}")
            else:
                found, first = one, host
        return found

    def mismatch(self, tested: t.Mapping[str, t.Any], here: t.Mapping[str, t.Any]) -> str:
        """What is other than it was tested, for a person; empty when nothing is. What is not known yet is left out."""
        for key, name in _SAME.items():
            if key in here and tested.get(key) != here[key]:
                return f"the {name} {_short(tested.get(key))} there, {_short(here[key])} here"
        key = _DIGESTS[self._compare]
        if key in here and tested.get(key) != here[key]:
            was, now = set(tested.get("packages") or ()), set(here.get("packages") or ())
            differ = sorted(was ^ now)[:3] if was and now else []
            named = (
                f" ({', '.join(differ)})"
                if differ
                else " (the same versions with other contents)"
                if was == now
                else ""
            )
            return f"the packages, by the digest {_short(tested.get(key))} there, {_short(here[key])} here{named}"
        return ""

    def _of_host(
        self, host: str, answer: t.Mapping[str, t.Any], application: str, release: str, now: datetime.datetime
    ) -> dict[str, t.Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
            why = (answer or {}).get("reason") or (answer or {}).get("msg") or "it gave no records"
            raise NotTested("unknown", f"the records of {host} in {self.stage} could not be read: {why}")
        chain = answer.get("chain") or {}
        if not chain.get("intact"):
            problem = chain.get("problem") or "its chain was not looked at"
            raise NotTested("unknown", f"the records of {host} in {self.stage} are no evidence: {problem}")
        told = [record for record in answer["records"] if _is_about(record, application)]
        if not told:
            raise NotTested("failed", f"{host} in {self.stage} has no record of a release of {application}")
        last = told[-1]
        if last["verdict"] in BAD_VERDICTS:
            raise NotTested(
                "failed", f"the last release of {application} on {host} in {self.stage} ended {last['verdict']}"
            )
        evidence = t.cast("dict[str, t.Any]", _item(last, application)["after"])
        if evidence.get("release") != release:
            has = evidence.get("release") or "none"
            raise NotTested("failed", f"{host} in {self.stage} has the release {has} of {application}, not {release}")
        self._refuse_young(host, told, application, release, now)
        return evidence

    def _refuse_young(
        self, host: str, told: t.Sequence[Record], application: str, release: str, now: datetime.datetime
    ) -> None:
        since = told[-1]["ended"]
        for record in reversed(told):
            if record["verdict"] in BAD_VERDICTS or _item(record, application)["after"].get("release") != release:
                break
            since = record["ended"]
        age = (now - parse_time(since)).total_seconds()
        if age < self._soak:
            wanted = format_duration(self._soak)
            reason = f"{host} in {self.stage} has the release {release} since {since}, which is less than {wanted}"
            raise NotTested("skipped", reason)


def _item(record: Record, application: str) -> t.Mapping[str, t.Any]:
    """What the record says of the application; without anything when it has nothing to say."""
    for item in record.get("done") or ():
        if item.get("subject") == application and isinstance(item.get("after"), dict):
            return t.cast("t.Mapping[str, t.Any]", item)
    return {"after": {}}


def _is_about(record: Record, application: str) -> bool:
    """A run that failed says nothing of any application, and might have been of this one."""
    if record.get("check_mode") or record.get("verdict") == "skipped":
        return False
    return record["verdict"] in BAD_VERDICTS or bool(_item(record, application)["after"])


def _short(value: t.Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(digest)}" for name, digest in sorted(value.items())) or "none"
    return str(value)[:16] if value else "none"
