# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one result shape that every check and every activity returns.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Engine, records, report and metrics know these keys only:

``verdict``   ``ok``, ``findings``, ``unknown`` (could not look, or looked at a part only), ``failed``, ``skipped``
``summary``   one sentence for a person, with the figures that matter
``reason``    why it was skipped, is unknown or failed, naming the cause; else empty
``findings``  list of L{Finding} as plain dictionaries
``figures``   measured numbers, with the unit in the name (``duration_seconds``, ``reclaimed_bytes``)
``coverage``  ``{"looked": n, "of": m}``
``done``      where an activity changes many things one by one: a list of dictionaries, each with what it was
              (``subject``, ``action``) and how it was found and left (``before``, ``after``); absent when empty
"""

from __future__ import annotations

import dataclasses
import typing as t

#: From best to worst. `skipped` is the weakest word: anything that was really looked at outranks it.
VERDICTS = ("skipped", "ok", "findings", "unknown", "failed")

#: From least to most severe.
SEVERITIES = ("info", "low", "medium", "high", "critical")

#: Verdicts after which nobody may say that the thing was done: the task, the host and the run end in failure.
BAD_VERDICTS = ("unknown", "failed")

_NEEDS_REASON = ("skipped", "unknown", "failed")


class ResultError(ValueError):
    """A result that does not have the shape; the message names the key, the value and what would be right."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that somebody should know about, and what to do with it."""

    id: str
    severity: str
    subject: str
    message: str
    value: t.Any = None
    threshold: t.Any = None
    action: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            known = ", ".join(SEVERITIES)
            raise ResultError(f"finding {self.id!r}: severity is {self.severity!r}, must be one of {known}")
        for key in ("id", "subject", "message"):
            if not getattr(self, key):
                raise ResultError(f"finding {self.id!r}: {key} is empty")

    def to_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a check or an activity has to say for itself.

    :raises ResultError: for a verdict that does not exist, or a `skipped`, `unknown` or `failed` without a reason.
    """

    verdict: str
    summary: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    figures: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    looked: int = 0
    of: int = 0
    done: tuple[t.Mapping[str, t.Any], ...] = ()

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ResultError(f"verdict is {self.verdict!r}, must be one of {', '.join(VERDICTS)}")
        if not self.summary:
            raise ResultError(f"a result with verdict {self.verdict!r} has no summary")
        if self.verdict in _NEEDS_REASON and not self.reason:
            raise ResultError(f"a result with verdict {self.verdict!r} must give its reason")
        if self.verdict == "findings" and not self.findings:
            raise ResultError("a result with verdict 'findings' must list at least one")

    @property
    def is_bad(self) -> bool:
        return self.verdict in BAD_VERDICTS

    def to_dict(self) -> dict[str, t.Any]:
        """The plain dictionary that Ansible, the records and the report carry."""
        shape: dict[str, t.Any] = {
            "verdict": self.verdict,
            "summary": self.summary,
            "reason": self.reason,
            "findings": [finding.to_dict() for finding in self.findings],
            "figures": dict(self.figures),
            "coverage": {"looked": self.looked, "of": self.of},
        }
        if self.done:
            shape["done"] = [dict(item) for item in self.done]
        return shape

    @classmethod
    def from_dict(cls, data: t.Mapping[str, t.Any]) -> Result:
        """Read a result back; keys beside the shape are left alone.

        :raises ResultError: naming the key that is missing or wrong.
        """
        if not isinstance(data, dict):
            raise ResultError(f"a result must be a dictionary, not {type(data).__name__}")
        for key in ("verdict", "summary"):
            if not isinstance(data.get(key), str):
                raise ResultError(f"the result has no {key} (got {data.get(key)!r})")
        figures = data.get("figures") or {}
        coverage = data.get("coverage") or {}
        for key, value in (("figures", figures), ("coverage", coverage)):
            if not isinstance(value, dict):
                raise ResultError(f"{key} of the result must be a dictionary, not {type(value).__name__}")
            for name, number in value.items():
                if isinstance(number, bool) or not isinstance(number, (int, float)):
                    raise ResultError(f"{key}.{name} of the result must be a number (got {number!r})")
        try:
            return cls(
                verdict=data["verdict"],
                summary=data["summary"],
                reason=str(data.get("reason") or ""),
                findings=tuple(Finding(**finding) for finding in data.get("findings") or ()),
                figures=dict(figures),
                looked=int(coverage.get("looked", 0)),
                of=int(coverage.get("of", 0)),
                done=_done(data.get("done")),
            )
        except TypeError as exc:
            raise ResultError(f"the findings of the result do not have the shape: {exc}") from exc


def _done(value: t.Any) -> tuple[t.Mapping[str, t.Any], ...]:
    """What was done; of somebody else's key of this name nothing is known, so it is left alone."""
    ours = isinstance(value, list) and all(isinstance(item, dict) and "subject" in item for item in value)
    return tuple(value) if ours else ()


def ok_or_findings(
    summary: str,
    findings: t.Iterable[Finding] = (),
    figures: t.Mapping[str, float] | None = None,
    looked: int = 0,
    of: int = 0,
) -> Result:
    """The result of something that looked at all it should: `findings` when there are any, else `ok`."""
    found = tuple(findings)
    return Result("findings" if found else "ok", summary, "", found, figures or {}, looked, of)


def merge(results: t.Iterable[Result], summary: str | None = None) -> Result:
    """Join the results of parts: the worst verdict wins, findings concatenate, coverage and figures add up.

    Reasons of the parts that share the worst verdict are kept; a better part's reason is still told after them,
    so that a skipped table is never lost behind a finding.

    :raises ResultError: when there is nothing to join (nothing looked at is not a verdict).
    """
    parts = list(results)
    if not parts:
        raise ResultError("there is no result to merge: nothing was looked at")
    worst = max((part.verdict for part in parts), key=VERDICTS.index)
    ordered = sorted(parts, key=lambda part: -VERDICTS.index(part.verdict))
    reasons = list(dict.fromkeys(part.reason for part in ordered if part.reason))
    figures: dict[str, float] = {}
    for part in parts:
        for name, number in part.figures.items():
            figures[name] = figures.get(name, 0) + number
    return Result(
        verdict=worst,
        summary=summary or "; ".join(part.summary for part in parts),
        reason="; ".join(reasons),
        findings=tuple(finding for part in parts for finding in part.findings),
        figures=figures,
        looked=sum(part.looked for part in parts),
        of=sum(part.of for part in parts),
        done=tuple(item for part in parts for item in part.done),
    )
