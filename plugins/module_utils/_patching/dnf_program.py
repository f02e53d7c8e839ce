# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: FA100 - platform-python of RHEL 8 is Python 3.6, which knows no "annotations" in __future__
"""The program that dnf's own Python runs for us: it asks dnf's library (the API of dnf 4) and answers in JSON.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Its text is given to the interpreter that dnf itself runs with, which may be older than the one that runs the modules;
so nothing of the collection is imported here. One process answers many questions, for dnf takes a second or more to
read the lists of packages. It changes nothing but the cache of lists and of downloaded packages, and the former only
when it is told to refresh them. Each line that comes in is a question, each that goes out the answer to it.
"""

import glob
import json
import os
import shutil
import sys
import tempfile
import typing as t

#: So many transactions back: who has had more than these since one was cut off has noticed.
_TRANSACTIONS = 100


class Answers:
    """What dnf says, by the names of the questions."""

    def __init__(self, given: t.Dict[str, t.Any], scratch: str) -> None:
        import dnf
        import dnf.rpm

        self._scratch = scratch
        self._base = base = dnf.Base()
        conf = base.conf
        if given["config"]:
            conf.config_file_path = given["config"]
        conf.read()
        if given["root"] != "/":
            conf.installroot = given["root"]
        conf.debuglevel = conf.errorlevel = 0
        conf.substitutions.update_from_etc(conf.installroot, varsdir=conf.varsdir)
        conf.substitutions["releasever"] = dnf.rpm.detect_releasever(conf.installroot) or ""
        for name in ("cachedir", "logdir", "persistdir"):
            conf.prepend_installroot(name)
        self._cache, self._persisted = conf.cachedir, conf.persistdir
        # To ask why a package is there opens dnf's history, and to open it may change it: a copy will do.
        conf.persistdir = os.path.join(scratch, "persisted")
        if os.path.isdir(self._persisted):
            shutil.copytree(self._persisted, conf.persistdir, ignore=shutil.ignore_patterns("*.pid"), symlinks=True)
        os.makedirs(conf.persistdir, exist_ok=True)
        # What others read in dnf's logs is what was done, not what was asked.
        conf.logdir = scratch
        conf.install_weak_deps = False

    def where(self) -> t.Dict[str, t.Any]:
        import dnf

        about = {"version": dnf.VERSION, "cache": self._cache, "persisted": self._persisted}
        return dict(about, architecture=self._base.conf.substitutions["basearch"])

    def history(self) -> t.List[t.List[str]]:
        """What was installed by a transaction that did not come to its end, and not by a later one that did."""
        import dnf.db.history

        place = os.path.join(self._scratch, "history")
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place)
        # A copy of what is there now: this may be asked more than once.
        files = glob.glob(os.path.join(self._persisted, "history.sqlite*"))
        for path in files:
            shutil.copy2(path, place)
        if not files:
            return []
        history = dnf.db.history.SwdbInterface(place)
        seen, found = set(), []
        for transaction in history.old()[:_TRANSACTIONS]:
            ended = bool(transaction.end_timestamp)
            for one in transaction.packages():
                try:
                    key = (one.name, one.arch, one.evr)
                except AttributeError:
                    # A group or an environment.
                    continue
                if key not in seen:
                    seen.add(key)
                    if not ended:
                        found.append(list(key))
        history.close()
        return found

    def side_by_side(self) -> t.List[str]:
        """The packages of which several versions are meant to be installed beside each other."""
        import rpm

        transactions = rpm.TransactionSet(self._base.conf.installroot)
        names = set()
        for provided in self._base.conf.installonlypkgs:
            for header in transactions.dbMatch("providename", provided):
                names.add(_text(header["name"]))
        transactions.closeDB()
        return sorted(names)

    def load(self, cache: str, refresh: bool) -> t.Dict[str, t.Any]:
        """Read what is installed and what each repository has. `cache`: where its lists are, if not where they are."""
        import dnf.exceptions
        import dnf.repo

        base = self._base
        if cache:
            base.conf.cachedir = cache
        base.init_plugins()
        base.pre_configure_plugins()
        base.read_all_repos()
        base.configure_plugins()
        found = []
        for repo in list(base.repos.iter_enabled()):
            # One that cannot be had is never passed over in silence, whatever skip_if_unavailable says.
            about = {"id": repo.id, "url": self._url(repo), "problem": "", "age": None, "published": 0}
            try:
                if refresh:
                    repo._repo.expire()
                    repo.load()
            except dnf.exceptions.RepoError as exc:
                about["problem"] = str(exc)
            repo._repo.setSyncStrategy(dnf.repo.SYNC_ONLY_CACHE)
            try:
                repo.load()
                about["age"] = max(0, repo._repo.getAge())
                about["published"] = repo._repo.getMaxTimestamp()
            except dnf.exceptions.RepoError as exc:
                about["problem"] = about["problem"] or f"dnf has never fetched it: {exc}"
                repo.disable()
            about["advisories"] = bool(repo.enabled and repo.get_metadata_path("updateinfo"))
            found.append(about)
        base.fill_sack(load_system_repo=True)
        return {"repositories": found, "locks": self._locks(), "excludes": list(base.conf.excludepkgs)}

    def tables(self, names: t.List[str]) -> t.Dict[str, t.Any]:
        """Every version of these packages in a repository, what keeps it out, and what advisories say."""
        import hawkey

        sack = self._base.sack
        everything = self._ignoring()
        every = sack.query(everything).available().filter(name=names)
        allowed = {_id(one) for one in sack.query().available().filter(name=names)}
        unlocked = {_id(one) for one in sack.query(hawkey.IGNORE_REGULAR_EXCLUDES).available().filter(name=names)}
        rows = []
        for one in every:
            out = "" if _id(one) in allowed else "excluded" if _id(one) in unlocked else "module"
            rows.append([one.name, one.arch, one.evr, one.reponame, one.downloadsize, one.installsize, out])
        about = []
        newest = sack.query(everything).installed().filter(name=names).latest(1)
        for fixed in newest.get_advisory_pkgs(hawkey.GT):
            advisory = fixed.get_advisory(sack)
            if advisory.type == hawkey.ADVISORY_SECURITY:
                cves = [one.id for one in advisory.references if one.type == hawkey.REFERENCE_CVE]
                about.append([fixed.name, fixed.arch, fixed.evr, advisory.id, advisory.severity or "", cves])
        return {"versions": rows, "advisories": about}

    def upgrade(self) -> t.Dict[str, t.Any]:
        """What an upgrade of everything would do."""
        base = self._base
        base.reset(goal=True)
        base.conf.best = False
        return self._resolved(base.upgrade_all)

    def install(self, words: t.List[str]) -> t.Dict[str, t.Any]:
        """What upgrades to these very packages would do."""
        base = self._base
        base.reset(goal=True)
        base.conf.best = True

        def mark() -> None:
            for word in words:
                base.upgrade(word)

        return self._resolved(mark)

    def back(self, words: t.List[str], files: t.List[str]) -> t.Dict[str, t.Any]:
        """What it would do to go back to these."""
        base = self._base
        # Files first: they are added to what is known, which makes a new goal necessary.
        local = base.add_remote_rpms(files) if files else []
        base.reset(goal=True)
        base.conf.best = True

        def mark() -> None:
            for word in words:
                base.downgrade_to(word, strict=True)
            for one in local:
                base.package_downgrade(one, strict=True)

        return self._resolved(mark)

    def fetch(self, words: t.List[str]) -> t.Dict[str, t.Any]:
        """Download these very packages to the cache: where each is."""
        import dnf.exceptions
        import dnf.subject

        wanted = []
        for word in words:
            found = list(dnf.subject.Subject(word).get_best_query(self._base.sack).available())
            if not found:
                return {"problem": f"no repository has {word}"}
            wanted.append(found[0])
        try:
            self._base.download_packages(wanted)
        except dnf.exceptions.DownloadError as exc:
            return {"problem": str(exc)}
        return {"files": [one.localPkg() for one in wanted]}

    def _resolved(self, mark: t.Callable[[], t.Any]) -> t.Dict[str, t.Any]:
        import dnf.exceptions

        try:
            mark()
            self._base.resolve(allow_erasing=False)
        except dnf.exceptions.Error as exc:
            return {"problem": str(exc)}
        transaction = self._base.transaction
        come = [
            [one.name, one.arch, one.evr, one.reponame, one.downloadsize, one.installsize]
            for one in transaction.install_set
        ]
        gone = [[one.name, one.arch, one.evr] for one in transaction.remove_set]
        replaced = [
            [old.name, old.arch, new.name]
            for new in transaction.install_set
            for old in self._base._goal.obsoleted_by_package(new)
            if old.name != new.name
        ]
        return {"come": come, "gone": gone, "replaced": replaced}

    def _locks(self) -> t.List[str]:
        """The names that the plugin versionlock keeps in their version."""
        import configparser

        for place in self._base.conf.pluginconfpath:
            reader = configparser.ConfigParser(interpolation=None)
            reader.read(os.path.join(place, "versionlock.conf"))
            path = reader.get("main", "locklist", fallback="")
            if path and os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    lines = [line.partition("#")[0].strip() for line in file]
                return [line for line in lines if line]
        return []

    def _url(self, repo: t.Any) -> str:
        return str((list(repo.baseurl) or [repo.metalink or repo.mirrorlist or ""])[0])

    @staticmethod
    def _ignoring() -> t.Any:
        import hawkey

        return hawkey.IGNORE_EXCLUDES


def _text(value: t.Any) -> str:
    """rpm's texts are bytes up to RHEL 8's version."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _id(one: t.Any) -> t.Tuple[str, str, str, str]:
    return (one.name, one.arch, one.evr, one.reponame)


def main() -> None:
    """Answer until nobody asks any more."""
    # Plugins and libraries print what they like: the answers have a way of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    scratch = tempfile.mkdtemp(prefix="steward-dnf-")
    try:
        asked = None
        for line in sys.stdin:
            question = json.loads(line)
            name = question.pop("question")
            try:
                if asked is None:
                    asked = Answers(question, scratch)
                    told = asked.where()
                else:
                    told = getattr(asked, name)(**question)
                answer: t.Dict[str, t.Any] = {"answer": told}
            except Exception as exc:  # noqa: BLE001 - whatever it is, who asked has to hear of it
                answer = {"error": f"{type(exc).__name__}: {exc}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        # dnf would clear away what it has downloaded, and we have it downloaded to be installed.
        answers.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
