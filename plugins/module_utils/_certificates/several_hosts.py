# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One certificate on several hosts: who has it issued, who serves it, and what each host has and serves in the end.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Issued, deployed and served are three facts of each host. None of them is taken from what a task said that it did: they
are read from files and handshakes afterwards, at every host.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core.result import VERDICTS, Finding, Result, ResultError
from .._core.suggest import InputError, refuse_unknown

_WHERE = "certificate_rotation_certificates"
#: The two files of a host that are looked at, in this order.
_ISSUED, _DEPLOYED = 0, 1

Entry = t.Dict[str, t.Any]
Told = t.Mapping[str, t.Any]


def chosen_certificates(entries: t.Any, host: str, known: t.Collection[str]) -> list[Entry]:
    """The entries in which a host has a part, each with its `hosts`, and with `leads` and `serves`.

    One that names no hosts, or this one alone, is this host's own: `alone` is true then.

    :param known: the hosts of the inventory.
    :raises InputError: for the first thing that is wrong with the hosts of any entry, naming it.
    """
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, t.Mapping) for entry in entries):
        raise InputError(f"{_WHERE} is no list of dictionaries: each entry is a certificate")
    chosen = []
    for entry in entries:
        hosts, issuer = _hosts_of(entry, known)
        if hosts and host not in hosts:
            continue
        alone = not hosts or list(hosts) == [host]
        about = {"hosts": hosts or [host], "alone": alone, "leads": alone or issuer == host}
        chosen.append({**entry, **about})
    return chosen


def _hosts_of(entry: Told, known: t.Collection[str]) -> tuple[list[str], str]:
    """Where it is served, and who has it issued."""
    where = f"{_WHERE}: {entry.get('name')!r}"
    hosts, issuer = entry.get("hosts"), entry.get("issuer")
    if hosts is None:
        if issuer is not None:
            raise InputError(f"{where}: it has an issuer and no hosts: leave it out, or name the hosts that serve it")
        return [], ""
    if not isinstance(hosts, (list, tuple)) or not all(isinstance(one, str) and one for one in hosts):
        raise InputError(f"{where}: hosts is no list of hosts of the inventory")
    if not hosts:
        raise InputError(f"{where}: hosts is empty: name those that serve it, or leave it out where each has its own")
    double = next((one for one in hosts if list(hosts).count(one) > 1), None)
    if double:
        raise InputError(f"{where}: the host {double!r} is there twice")
    refuse_unknown(f"{where}: hosts has one that the inventory does not know", hosts, list(known))
    if issuer is not None:
        refuse_unknown(f"{where}: issuer is none of its hosts", [str(issuer)], list(hosts))
    by_http = entry.get("provider", "acme") == "acme" and entry.get("challenge", "http-01") == "http-01"
    if len(hosts) > 1 and by_http and not entry.get("webroot"):
        right = "name the webroot that each of them serves, for all of them show the challenge, or use dns-01"
        raise InputError(f"{where}: it is on several hosts and has no webroot: {right}")
    return list(hosts), str(issuer or hosts[0])


@dataclasses.dataclass(frozen=True)
class Facts:
    """What one host has and serves; fingerprints, and nothing where there is none."""

    host: str
    #: Why it could not be asked.
    unreachable: str = ""
    issued: str = ""
    deployed: str = ""
    #: By address of a listener.
    served: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Why there is none at an address.
    silent: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: When each certificate ends.
    ends: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def are(self, wanted: str) -> bool:
        return not self.unreachable and self._all() == {wanted}

    def _all(self) -> set[str]:
        return {self.issued, self.deployed, *(self.served.values() or ("",))}

    def told(self, wanted: str) -> str:
        """The three facts in words."""
        served = [f"{self._named(one, wanted)} at {where}{self._why(where)}" for where, one in self.served.items()]
        words = f"issued: {self._named(self.issued, wanted)}; deployed: {self._named(self.deployed, wanted)}"
        return f"{words}; served: {', '.join(served) or 'none'}"

    def other(self, wanted: str) -> str:
        """One that it has or serves instead."""
        return next((one for one in sorted(self._all()) if one and one != wanted), "")

    def _why(self, where: str) -> str:
        return f" ({self.silent[where]})" if where in self.silent else ""

    def _named(self, fingerprint: str, wanted: str) -> str:
        if not fingerprint:
            return "none"
        return "it" if fingerprint == wanted else f"the one that ends on {self.ends.get(fingerprint) or 'another day'}"


def facts_of(host: str, look: Told | None) -> Facts:
    """What certificate_info saw on a host, of the pair that lies there, of the one in use, and of its listeners."""
    if look is None:
        return Facts(host, "it was not asked")
    if look.get("unreachable"):
        return Facts(host, _line(look.get("msg")) or "it cannot be reached")
    files, endpoints = look.get("certificates"), look.get("endpoints")
    if not isinstance(files, list) or not isinstance(endpoints, list) or len(files) <= _DEPLOYED:
        return Facts(host, f"it could not be looked at: {_line(look.get('msg')) or 'it gave no answer'}")
    ends: dict[str, str] = {}
    found = [_certificate_in(file.get("certificates"), ends) for file in files]
    served, silent = {}, {}
    for seen in endpoints:
        where = f"{seen.get('host')}:{seen.get('port')} at {seen.get('address') or 'no address'}"
        served[where] = _certificate_in([seen["certificate"]] if seen.get("certificate") else [], ends)
        if not served[where]:
            silent[where] = _line(seen.get("reason")) or "it does not say why"
    return Facts(host, "", found[_ISSUED], found[_DEPLOYED], served, silent, ends)


def _certificate_in(listed: t.Any, ends: dict[str, str]) -> str:
    if not listed:
        return ""
    own = listed[0]
    ends[own["fingerprint"]] = own["not_after"]
    return str(own["fingerprint"])


def result_of_hosts(
    name: str,
    issued: Told,
    hosts: t.Sequence[str],
    told: t.Mapping[str, Told],
    looks: t.Mapping[str, Told],
    left: t.Sequence[Told] = (),
    check: bool = False,
) -> dict[str, t.Any]:
    """What came of a certificate on all of its hosts, with `complete`: whether each has it, uses it and serves it.

    :param issued: what certificate_issue said.
    :param told: by host, what was said last of bringing it there and into use.
    :param looks: by host, what certificate_info saw afterwards.
    :param left: what was said of taking challenges away, where that failed.
    """
    wanted = str(issued.get("fingerprint") or "")
    if not wanted:
        told_of_it = Result("failed", f"{name}: no host has it", "it was not issued", of=len(hosts))
        if check:
            told_of_it = Result("ok", f"{name}: it would be issued and brought to {len(hosts)} hosts", of=len(hosts))
        return dict(told_of_it.to_dict(), changed=False, complete=False)
    findings, reasons, done, behind, right = [], [], [], [], 0
    verdict, stopped = "ok", ""
    for host in hosts:
        said = _result(told.get(host))
        facts = facts_of(host, looks.get(host))
        subject = f"{name} on {host}"
        if said:
            findings += [dataclasses.replace(each, subject=f"{host}: {each.subject}") for each in said.findings]
            if said.is_bad and not facts.unreachable:
                stopped = stopped or host
        if told.get(host, {}).get("changed") and not check:
            done.append(_done(subject, told[host]))
        if facts.are(wanted):
            right += 1
            continue
        if check and not facts.unreachable:
            behind.append(host)
            continue
        why = said.reason if said and said.is_bad else f"it was not its turn after {stopped}" if stopped else ""
        finding = _unlike(subject, facts, wanted, why)
        findings.append(finding)
        reasons.append(f"{host}: {finding.message}")
        # Who could not be asked is not known; who was asked and has it not has failed.
        verdict = _worse(verdict, "unknown" if facts.unreachable else "failed")
    findings += [_left_behind(name, each) for each in left]
    if verdict == "ok" and findings:
        verdict = "findings"
    would = f"; it would be brought to {', '.join(behind)}" if behind else ""
    summary = f"{name}: {right} of {len(hosts)} hosts have, use and serve the certificate that was issued{would}"
    result = Result(verdict, summary, "; ".join(reasons), tuple(findings), {}, right, len(hosts), tuple(done))
    changed = any(each.get("changed") for each in told.values())
    return dict(result.to_dict(), changed=changed, complete=right == len(hosts) and not check)


def _done(subject: str, told: Told) -> dict[str, str]:
    versions = {"before": str(told.get("previous") or ""), "after": str(told.get("version") or "")}
    return {"subject": subject, "action": "certificate brought there", **versions}


def _unlike(subject: str, facts: Facts, wanted: str, why: str) -> Finding:
    action = "bring it to order and run again: the same pair is brought there, nothing has to be issued anew"
    if facts.unreachable:
        message = f"what it has and serves is not known: {facts.unreachable}"
        return Finding("host-unreachable", "high", subject, message, "", wanted, action)
    message = facts.told(wanted) + (f" ({why})" if why else "")
    return Finding("host-behind", "high", subject, message, facts.other(wanted), wanted, action)


def _left_behind(name: str, told: Told) -> Finding:
    why = _line(told.get("msg")) or "it could not be taken away"
    action = "mend the cause, or take it away by hand"
    return Finding("challenge-left", "low", name, f"a proof for the authority is left on a host: {why}", action=action)


def _result(told: Told | None) -> Result | None:
    """What a module said, or Ansible in its place; nothing where nobody was asked."""
    if told is None or told.get("unreachable") or told.get("skipped"):
        return None
    try:
        return Result.from_dict(dict(told))
    except ResultError:
        return Result("failed", "it was not brought into use", _line(told.get("msg")) or "it failed and said nothing")


def _worse(one: str, other: str) -> str:
    return max(one, other, key=VERDICTS.index)


def _line(text: t.Any) -> str:
    return " ".join(str(text or "").split())[:500]
