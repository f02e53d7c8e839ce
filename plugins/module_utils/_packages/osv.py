# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OSV knows of an advisory: how severe it is, and its other names. And how old the answers are.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

pip-audit tells no severity at all, and npm only the name that GitHub gave. See https://google.github.io/osv.dev/.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing as t
import urllib.parse

from .cvss import severity_of_vector
from .looks import Advisory, Pair
from .web import Http, NoAnswer

#: The public service, which pip-audit asks unless told otherwise.
PUBLIC = "https://api.osv.dev/v1/query"

_ORDER = ("", "low", "medium", "high", "critical")
_MOST_TITLE = 160
_MOST_QUERIES = 500
_MOST_PAGES = 50
#: A mirror need not have the batch.
_NOT_OFFERED = (404, 405, 501)
_WORDS = {"low": "low", "moderate": "medium", "medium": "medium", "high": "high", "critical": "critical"}


Query = t.Dict[str, t.Any]
#: As OSV calls the ecosystems.
_PYTHON, NODE = "PyPI", "npm"


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of one advisory. `fixes`: by the name of the package, for one may be about several."""

    severity: str
    aliases: tuple[str, ...]
    published: str
    withdrawn: bool = False
    title: str = ""
    fixes: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Osv:
    """Asks for advisories, each only once."""

    def __init__(self, http: Http, query_url: str, jobs: int) -> None:
        self._http = http
        self._jobs = jobs
        self._url = query_url or PUBLIC
        self._base = self._url.rsplit("/", 1)[0]

    def names(self, pairs: t.Collection[Pair], canary: Pair, ecosystem: str = _PYTHON) -> dict[Pair, list[str]]:
        """The names of all advisories of packages of one ecosystem, page by page.

        pip-audit takes the first page of an answer for the whole, and leaves out records that it cannot read.

        :raises NoAnswer: when the service fails, or does not know the canary: then its silence on others says nothing.
        """
        asked = list(dict.fromkeys([*pairs, canary]))
        found: dict[Pair, list[str]] = {pair: [] for pair in asked}
        waiting: list[tuple[Pair, str]] = [(pair, "") for pair in asked]
        ask: t.Callable[[list[Query]], list[dict[str, t.Any]] | None] = self._batch
        for _page in range(_MOST_PAGES):
            following: list[tuple[Pair, str]] = []
            for start in range(0, len(waiting), _MOST_QUERIES):
                part = waiting[start : start + _MOST_QUERIES]
                queries = [_query(pair, token, ecosystem) for pair, token in part]
                results = ask(queries)
                if results is None:
                    ask = self._one_by_one
                    results = self._one_by_one(queries)
                for (pair, _token), result in zip(part, results):
                    found[pair] += _names_in(result)
                    if result.get("next_page_token"):
                        following.append((pair, str(result["next_page_token"])))
            if not following:
                if not found[canary]:
                    raise NoAnswer(f"OSV tells no vulnerability of {canary[0]} {canary[1]}, which has one")
                return {pair: found[pair] for pair in pairs}
            waiting = following
        raise NoAnswer(f"OSV has more than {_MOST_PAGES} pages of advisories of one package")

    def _batch(self, queries: list[Query]) -> list[dict[str, t.Any]] | None:
        """The answers of one question for all; None where the service has no such question."""
        answer = self._http.ask(f"{self._base}/querybatch", {"queries": queries})
        if answer.status in _NOT_OFFERED:
            return None
        if answer.status != 200:
            raise NoAnswer(f"OSV answered {answer.status}")
        told = answer.json()
        results = told.get("results") if isinstance(told, dict) else None
        if (
            not isinstance(results, list)
            or len(results) != len(queries)
            or not all(isinstance(one, dict) for one in results)
        ):
            raise NoAnswer("OSV answered other questions than were asked")
        return results

    def _one_by_one(self, queries: list[Query]) -> list[dict[str, t.Any]]:
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(self._single, queries))

    def _single(self, query: Query) -> dict[str, t.Any]:
        told = self._http.found(self._url, query).json()
        if not isinstance(told, dict):
            raise NoAnswer("OSV gave an answer that is no list of advisories")
        return told

    def join(self, advisories: t.Iterable[Advisory]) -> tuple[dict[tuple[str, ...], Advisory | None], dict[str, str]]:
        """The advisories with what OSV adds, by the names they had before; and why it added nothing, by their id.

        One that was withdrawn is None.
        """
        asked = list({advisory.ids: advisory for advisory in advisories}.values())
        joined: dict[tuple[str, ...], Advisory | None] = {}
        missed: dict[str, str] = {}
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            for advisory, answer in zip(asked, pool.map(self._about, asked)):
                if isinstance(answer, Known):
                    joined[advisory.ids] = None if answer.withdrawn else _with(advisory, answer)
                else:
                    joined[advisory.ids] = advisory
                    missed[advisory.id] = answer
        return joined, missed

    def _about(self, advisory: Advisory) -> Known | str:
        """What is known under any of its names, GitHub's first, which has a severity most often.

        A record that was withdrawn says nothing of the others: GitHub withdraws duplicates of what goes on elsewhere.
        """
        names = sorted(advisory.ids, key=lambda name: (not name.startswith("GHSA-"), not name.startswith("CVE-")))
        known: list[Known] = []
        reason = ""
        for name in (name for name in names if not name.startswith("npm:")):
            try:
                record = self._record(name)
            except NoAnswer as exc:
                reason = str(exc)
                break
            if record is not None:
                known.append(_read(record))
                if known[-1].severity and not known[-1].withdrawn:
                    break
        holding = [one for one in known if not one.withdrawn]
        if not holding and reason:
            return reason
        telling = holding or known
        return Known(
            severity=max((one.severity for one in telling), key=_ORDER.index, default=""),
            aliases=tuple(alias for one in known for alias in one.aliases),
            published=next((one.published for one in telling if one.published), ""),
            withdrawn=bool(known) and not holding,
            title=next((one.title for one in telling if one.title), ""),
            fixes=next((one.fixes for one in telling if one.fixes), ()),
        )

    def _record(self, name: str) -> dict[str, t.Any] | None:
        answer = self._http.ask(f"{self._base}/vulns/{urllib.parse.quote(name, safe='')}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise NoAnswer(f"OSV answered {answer.status}")
        record = answer.json()
        if not isinstance(record, dict) or not record.get("id"):
            raise NoAnswer("OSV gave an answer that is no advisory")
        return record


def _query(pair: Pair, token: str, ecosystem: str) -> Query:
    query: Query = {"package": {"name": pair[0], "ecosystem": ecosystem}, "version": pair[1]}
    return {**query, "page_token": token} if token else query


def _names_in(result: dict[str, t.Any]) -> list[str]:
    """The names of the advisories of an answer; what was withdrawn is none.

    :raises NoAnswer: when one has no name.
    """
    vulns = result.get("vulns") or []
    if not isinstance(vulns, list) or not all(isinstance(one, dict) and one.get("id") for one in vulns):
        raise NoAnswer("OSV tells advisories without their names")
    return [str(one["id"]) for one in vulns if not one.get("withdrawn")]


def _with(advisory: Advisory, known: Known) -> Advisory:
    return dataclasses.replace(
        advisory,
        ids=tuple(dict.fromkeys((*advisory.ids, *known.aliases))),
        severity=max(advisory.severity, known.severity, key=_ORDER.index),
        published=known.published,
        title=advisory.title or known.title[:_MOST_TITLE],
        fixes_of=() if advisory.title or advisory.fixes is None else known.fixes,
    )


def _read(record: dict[str, t.Any]) -> Known:
    fixes: dict[str, list[str]] = {}
    for affected in record.get("affected") or []:
        if not isinstance(affected, dict):
            continue
        package = affected.get("package")
        name = str(package.get("name") or "") if isinstance(package, dict) else ""
        for one in affected.get("ranges") or []:
            if isinstance(one, dict) and one.get("type") in ("ECOSYSTEM", "SEMVER"):
                events = [str(event["fixed"]) for event in one.get("events") or [] if "fixed" in event]
                fixes.setdefault(name, []).extend(events)
    by_package = tuple((name, tuple(versions)) for name, versions in fixes.items())
    aliases = [str(alias) for alias in (record["id"], *(record.get("aliases") or []))]
    title = " ".join(str(record.get("summary") or record.get("details") or "").split())
    is_withdrawn = bool(record.get("withdrawn"))
    return Known(
        severity_of(record), tuple(aliases), str(record.get("published") or ""), is_withdrawn, title, by_package
    )


def severity_of(record: dict[str, t.Any]) -> str:
    """The worst that the record says: by a word of its database, or by a CVSS vector. Empty when it says nothing."""
    said = [""]
    specific = record.get("database_specific")
    if isinstance(specific, dict):
        said.append(_WORDS.get(str(specific.get("severity") or "").lower(), ""))
    affected = record.get("affected")
    scores = list(record.get("severity") or [])
    for one in affected if isinstance(affected, list) else []:
        scores += list(one.get("severity") or []) if isinstance(one, dict) else []
    said += [severity_of_vector(str(one.get("score") or "")) for one in scores if isinstance(one, dict)]
    return max(said, key=_ORDER.index)
