# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is to do now: everything due in a good order, and everything else with its reason.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from .._core.clock import parse_time, write_time
from .._core.durations import format_duration
from .._core.result import BAD_VERDICTS
from .._core.suggest import InputError
from .catalogue import Activity, in_order
from .due import CLOCK_TOLERANCE, Decision, History, decide, ends_by, why_outside
from .gate import gate
from .settings import Settings

Data = t.Mapping[str, t.Any]


def applicable(settings: Settings, groups: t.Collection[str]) -> list[str]:
    """The activities whose records must be read to know what is due on a host of these groups."""
    return [name for name, one in settings.activities.items() if not why_outside(one, groups, settings.wish)]


def make_plan(
    settings: Settings, groups: t.Collection[str], answer: Data, asked_at: datetime.datetime
) -> dict[str, t.Any]:
    """The plan from what the host answered; `asked_at` is the controller's clock at that moment."""
    now = parse_time(answer["now"])
    found: Data = answer["history"]
    warnings = _clock_warning(now, asked_at)
    decisions = []
    for name, activity in settings.activities.items():
        try:
            history = History.from_dict(found[name]) if name in found else None
        except (InputError, KeyError, TypeError) as exc:
            warnings.append(f"the last record of {name} cannot be used ({exc}): it counts as never done")
            history = None
        decisions.append(decide(activity, groups, history, now, settings.wish))
    warnings += [decision.warning for decision in decisions if decision.warning]
    due = [
        dict(entry, **_limits(ends_by(settings.activities[entry["name"]], now, settings.wish), now - asked_at))
        for entry in _in_good_order([one for one in decisions if one.is_due], settings.wish.change_request)
    ]
    bad = [_still_bad(decision) for decision in decisions if decision.still_bad]
    chain = answer["chain"]
    if not chain["intact"]:
        bad.append(outcome("the records", "failed", f"their chain is broken: {chain['problem']}"))
    deferred = [_deferred(decision) for decision in decisions if not decision.is_due]
    return {
        "due": due,
        "deferred": deferred,
        "bad": bad,
        "has_work": bool(due or bad),
        "warnings": warnings,
        "chain": chain,
        "now": answer["now"],
        "clock_skew_seconds": round((now - asked_at).total_seconds()),
        "msg": _told(due, bad, decisions, now),
    }


def empty_plan(settings: Settings, groups: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """The plan of a host that nothing in the catalogue asks anything of: it need not even be contacted."""
    answer = {"now": write_time(now), "history": {}, "chain": {"length": 0, "intact": True, "problem": "", "torn": 0}}
    return dict(make_plan(settings, groups, answer, now), msg="nothing in the catalogue is asked of this host")


def outcome(activity: str, verdict: str, told: str) -> dict[str, t.Any]:
    """One activity's end as it is told at the end of a run; `line` is what a person reads at night."""
    return {
        "activity": activity,
        "verdict": verdict,
        "is_bad": verdict in BAD_VERDICTS,
        "line": f"{activity} {verdict}: {told}",
    }


def _clock_warning(now: datetime.datetime, asked_at: datetime.datetime) -> list[str]:
    skew = now - asked_at
    if abs(skew) <= CLOCK_TOLERANCE:
        return []
    direction = "ahead of" if skew > datetime.timedelta(0) else "behind"
    told = format_duration(abs(skew).total_seconds())
    return [f"the host's clock is {told} {direction} the controller's; what is due follows the host's clock"]


def _refusal(activity: Activity, change_request: str) -> dict[str, t.Any]:
    result = gate(activity.change, activity.title, change_request)
    return result.to_dict() if result else {}


def _in_good_order(decisions: list[Decision], change_request: str) -> list[dict[str, t.Any]]:
    """What is overdue first, else in catalogue order; and nothing before what it should come after."""
    urgent = sorted(decisions, key=lambda decision: not decision.is_overdue)
    reasons = {decision.activity.name: decision for decision in urgent}
    return [
        dict(
            _short(activity),
            reason=reasons[activity.name].reason,
            overdue=reasons[activity.name].is_overdue,
            refused=_refusal(activity, change_request),
        )
        for activity in in_order([decision.activity for decision in urgent])
    ]


def _short(activity: Activity) -> dict[str, str]:
    keys = ("name", "title", "guide", "type", "every", "role", "entry", "change", "owner", "result_variable")
    return {key: getattr(activity, key) for key in keys}


def _deferred(decision: Decision) -> dict[str, str]:
    return {"activity": decision.activity.name, "reason": decision.reason, "until": _written(decision.until)}


def _limits(end: datetime.datetime | None, skew: datetime.timedelta) -> dict[str, str]:
    """Until when the role may be at work, by the host's clock; and the same by ours, for what has not begun by then."""
    return {"deadline": _written(end), "begin_by": _written(end - skew if end else None)}


def _written(moment: datetime.datetime | None) -> str:
    return write_time(moment) if moment else ""


def _still_bad(decision: Decision) -> dict[str, t.Any]:
    when = f"; tried again from {write_time(decision.until)}" if decision.until else ""
    now = "" if decision.is_held else ", or now with -e cycle_force=true"
    return outcome(decision.activity.name, decision.still_bad, f"{decision.reason}{when}{now}")


def _told(due: t.Sequence[Data], bad: t.Sequence[Data], decisions: t.Sequence[Decision], now: datetime.datetime) -> str:
    """The one line that an idle run shows for a host."""
    parts = []
    if due:
        parts.append("due now: " + ", ".join(entry["name"] for entry in due))
    else:
        later = sorted((one.until, one.activity.name) for one in decisions if one.until and one.until > now)
        following = f"; next: {later[0][1]} in {format_duration((later[0][0] - now).total_seconds())}" if later else ""
        parts.append(f"nothing due{following}")
    if bad:
        parts.append("needs attention: " + ", ".join(f"{entry['activity']} {entry['verdict']}" for entry in bad))
    return "; ".join(parts)
