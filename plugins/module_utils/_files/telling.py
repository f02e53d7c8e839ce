# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a tree: sentences, findings, and the verdict.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .._core.durations import format_duration
from .._core.result import Finding, Result, ok_or_findings
from .._core.sizes import format_size
from .common import first_of
from .plan import Tally
from .sending import REFUSED, UNREADABLE, UNSTEADY, Counts


class Told:
    """What there is to say about one tree, collected while it is backed up."""

    def __init__(self, tree: str) -> None:
        self.tree = tree
        self.findings: list[Finding] = []
        self.failures: list[str] = []
        self.figures: dict[str, float] = {}

    def fail(self, why: str) -> None:
        self.failures.append(f"{self.tree}: {why}")

    def find(self, name: str, severity: str, message: str, action: str) -> None:
        self.findings.append(Finding(name, severity, self.tree, message, action=action))

    def planned(self, action: str, reason: str, estimate: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {"database": "", "subject": self.tree, "action": action, "reason": reason, "estimate": dict(estimate)}

    def result(self, summary: str, figures: t.Mapping[str, float], tally: Tally, counts: Counts) -> Result:
        """The verdict: what could not be read or kept makes it failed, for the backup is not whole without it."""
        missing = counts.count(UNREADABLE) + counts.count(REFUSED) + counts.count(UNSTEADY) + tally.blind_count
        of = tally.files + tally.blind_count
        looked = max(0, of - missing)
        if self.failures:
            reason = "; ".join(self.failures)
            return Result("failed", summary, reason, tuple(self.findings), dict(figures), looked, of)
        return ok_or_findings(summary, self.findings, figures, looked, of)

    def tell_troubles(self, tally: Tally, counts: Counts) -> None:
        """What was not done, and why."""
        if tally.blind_count:
            told = first_of(tally.blind, tally.blind_count)
            self.fail(f"{tally.blind_count} places could not be looked at, and what was kept of them stays: {told}")
        unreadable = counts.troubles.get(UNREADABLE, [])
        if unreadable:
            count = counts.count(UNREADABLE)
            self.fail(f"{count} files could not be read: {first_of(unreadable, count)}")
        refused = counts.troubles.get(REFUSED, [])
        if refused:
            count = counts.count(REFUSED)
            self.fail(f"{count} files could not be kept: {first_of(refused, count)}")
        unsteady = counts.troubles.get(UNSTEADY, [])
        if unsteady:
            count = counts.count(UNSTEADY)
            message = (
                f"{count} files were altered whenever they were read, and are kept as they were before, if they were:"
                f" {first_of(unsteady, count)}"
            )
            action = "back them up by a tool of their own, from a snapshot, or at another time; or exclude them"
            self.find("files-unsteady", "medium", message, action)
        if tally.lost_count:
            told = first_of(tally.lost, tally.lost_count)
            message = f"{tally.lost_count} objects are not as they were sent; what is here is sent again: {told}"
            self.find("files-lost", "high", message, "see who changes objects there: older runs may lack them")


def foretold(tree: str, tally: Tally) -> str:
    sending = sum(tally.send.values())
    return (
        f"{tree}: {sending} of {tally.files} files would be read and sent where they changed"
        f" ({format_size(tally.send_bytes)}), {tally.gone} are gone"
    )


def summary_of(
    tree: str, place: str, tally: Tally, counts: Counts, figures: t.Mapping[str, float], nothing: bool
) -> str:
    whole = f"{tally.files} files ({format_size(tally.bytes)})"
    if nothing:
        told = f"{tree}: nothing changed in {whole}; all of them are in {place}"
    else:
        told = (
            f"{tree}: {counts.count('sent')} of {whole} sent to {place} ({format_size(counts.sent_bytes)} in"
            f" {format_duration(figures['duration_seconds'])}), {counts.removed} gone and kept"
        )
    vanished = int(figures["vanished_files"])
    return f"{told}, {vanished} vanished meanwhile" if vanished else told
