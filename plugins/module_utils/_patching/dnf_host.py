# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 4 and rpm of this host: their programs, as they are set up, and a process that asks dnf's own library.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

Where the environment has STEWARD_DNF_CONFIG, that file is read instead of dnf's own, and the installroot in it is where
packages are: what APT_CONFIG is for apt.
"""

from __future__ import annotations

import configparser
import copy
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import typing as t

from .._core.durations import format_duration
from . import dnf_program
from .programs import Done, PatchingError, environment, run_changing, run_looking, tail

CONFIG = "STEWARD_DNF_CONFIG"
#: "4.14.0"; dnf5 says "dnf5 version 5.2.8.1".
_VERSION = re.compile(r"4\.\d+\.\d+.*")
_INTERPRETER = re.compile(r"#!\s*(/\S*python\S*)")
_PYTHONS = ("/usr/libexec/platform-python", "/usr/bin/python3")


class Dnf:
    """dnf and rpm of this host. `cache`: where lists are that are not those of the host."""

    def __init__(self, timeout: float, cache: str = "") -> None:
        self.timeout = timeout
        self.cache = cache
        self.environment = environment()
        missing = [name for name in ("dnf", "rpm") if not self.which(name)]
        if missing:
            raise PatchingError(f"{', '.join(missing)} is not on this host")
        self.config = self.environment.get(CONFIG, "")
        self.root = self._root()
        self._python = self._interpreter()
        self._session: _Session | None = None
        self._where: dict[str, str] = {}
        self._loaded: dict[str, t.Any] | None = None

    def which(self, name: str) -> str:
        return shutil.which(name, path=self.environment["PATH"]) or ""

    def apart(self, cache: str) -> Dnf:
        """The same with lists in another place, and with the same process, which has not read any yet."""
        apart = copy.copy(self)
        apart.cache, apart._loaded = cache, None
        return apart

    def call(self, *argv: str, must: bool = True, timeout: float = 0) -> Done:
        """Run a program that only looks.

        :raises PatchingError: when it cannot be run, or does not end in time; with `must`, when it does not end well.
        """
        ended = run_looking(self._words(argv), self.environment, timeout or self.timeout)
        if must and ended.status:
            raise PatchingError(f"{' '.join(argv[:2])} ended with status {ended.status}: {ended.said}")
        return ended

    def change(self, argv: t.Sequence[str], log: str, timeout: float) -> Done:
        """Run a program that changes packages. What was known of them before is forgotten."""
        self.close()
        return run_changing(self._words(argv), log, self.environment, timeout)

    def ask(self, question: str, **about: t.Any) -> t.Any:
        """Have dnf's library answer.

        :raises PatchingError: when it cannot.
        """
        if self._session is None or self._session.is_over:
            self._loaded = None
            self._session = _Session(self._python, self.environment, self.timeout)
            self._where = self._session.ask("open", config=self.config, root=self.root)
        return self._session.ask(question, **about)

    def load(self, refresh: bool = False) -> dict[str, t.Any]:
        """What each repository is like, once a session; with `refresh`, anew from where they come from."""
        if self._session is None or self._session.is_over or refresh:
            self._loaded = None
        if self._loaded is None:
            if self._session is not None and self._session.has_lists:
                # It reads lists once: these are wanted anew, or those that it has are in another place.
                self.close()
            self._loaded = t.cast("dict[str, t.Any]", self.ask("load", cache=self.cache, refresh=refresh))
            t.cast("_Session", self._session).has_lists = True
        return self._loaded

    def where(self, what: str) -> str:
        """`version`, `cache`, `persisted` or `architecture`, as dnf is set up."""
        if not self._where:
            self.ask("where")
        return self._where[what]

    def close(self) -> None:
        """End the session: the next question is answered by what is there then."""
        if self._session is not None:
            self._session.close()
        self._session, self._loaded = None, None

    def _words(self, argv: t.Sequence[str]) -> list[str]:
        program, *arguments = argv
        options: list[str] = []
        if program == "dnf":
            options = ["--color=never", *(["--config", self.config] if self.config else [])]
            options += ["--installroot", self.root] if self.root != "/" else []
        elif program.startswith("rpm") and self.root != "/" and not {"--package", "--checksig"} & set(arguments):
            options = ["--root", self.root]
        return [program, *options, *arguments]

    def _root(self) -> str:
        """Of the configuration that was given; dnf's own never has another one than the host's."""
        if not self.config:
            return "/"
        reader = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            with open(self.config, encoding="utf-8") as file:
                reader.read_file(file)
        except (OSError, configparser.Error) as exc:
            raise PatchingError(f"{CONFIG} is {self.config}, which cannot be read: {exc}") from exc
        root = reader.get("main", "installroot", fallback="/")
        if not os.path.isabs(root):
            raise PatchingError(f"{CONFIG} is {self.config}, whose installroot is {root!r}: write an absolute path")
        return root.rstrip("/") or "/"

    def _interpreter(self) -> str:
        """What dnf itself runs with: its library is there and nowhere else. dnf5 is no program of Python's."""
        try:
            with open(self.which("dnf"), "rb") as file:
                match = _INTERPRETER.match(file.readline(200).decode("utf-8", "replace"))
        except OSError:
            match = None
        if match and os.access(match.group(1), os.X_OK):
            return match.group(1)
        said = self.call("dnf", "--version", must=False).out.strip().partition("\n")[0]
        if not _VERSION.fullmatch(said):
            known = "this module knows dnf 4, whose library answers otherwise"
            raise PatchingError(f"this host has {said or 'a dnf that does not tell its version'}; {known}")
        found = next((path for path in _PYTHONS if os.access(path, os.X_OK)), "")
        if not found:
            raise PatchingError(f"the Python that dnf runs with is not there: {', '.join(_PYTHONS)}")
        return found


class _Session:
    """A process of dnf's Python that answers."""

    def __init__(self, python: str, environ: t.Mapping[str, str], timeout: float) -> None:
        self._timeout = timeout
        #: Whether it has read lists of packages, which it does once.
        self.has_lists = False
        self.is_over = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        try:
            self._process = subprocess.Popen(
                [python, "-I", "-c", _text_of_helper()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=dict(environ),
            )
        except OSError as exc:
            self._said.close()
            raise PatchingError(f"{python} cannot be run: {exc.strerror or exc}") from exc

    def ask(self, question: str, **about: t.Any) -> t.Any:
        stdin = t.cast("t.IO[bytes]", self._process.stdin)
        try:
            stdin.write(json.dumps({"question": question, **about}).encode() + b"\n")
            stdin.flush()
        except (OSError, ValueError):
            raise PatchingError(f"dnf's library does not answer: {self._last_words()}") from None
        answer = json.loads(self._line(question))
        if "error" in answer:
            raise PatchingError(f"dnf's library cannot tell ({question}): {tail(answer['error'], 4, ' | ')}")
        return answer["answer"]

    def _line(self, question: str) -> bytes:
        """One whole line: it may come in pieces."""
        out = t.cast("t.IO[bytes]", self._process.stdout).fileno()
        deadline = time.monotonic() + self._timeout
        found = b""
        while not found.endswith(b"\n"):
            if not select.select([out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.close()
                raise PatchingError(f"dnf's library has not answered ({question}) in {format_duration(self._timeout)}")
            part = os.read(out, 1 << 16)
            if not part:
                raise PatchingError(f"dnf's library does not answer ({question}): {self._last_words()}")
            found += part
        return found

    def _last_words(self) -> str:
        if self._said.closed:
            return "it was ended"
        self._said.seek(0)
        return tail(self._said.read().decode("utf-8", "replace"), 4, " | ") or "it said nothing"

    def close(self) -> None:
        self.is_over = True
        if self._process.poll() is None:
            t.cast("t.IO[bytes]", self._process.stdin).close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()


def _text_of_helper() -> str:
    """Its source, from where this package is: a module that was sent to a host is in an archive."""
    spec = dnf_program.__spec__
    get = getattr(spec.loader, "get_source", None) if spec else None
    text = get(dnf_program.__name__) if get else None
    if not text:
        raise PatchingError(f"the text of {dnf_program.__name__} cannot be read")
    return t.cast("str", text)
