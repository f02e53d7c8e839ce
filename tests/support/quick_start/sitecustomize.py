# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every Python that a test starts does first: nothing that a program could see, but it starts sooner.

Ansible sends each module in a zip file, and of what Python imports from one it compiles every file in every process:
more than half of the time of a short module. Nor does Ansible keep what it compiles of a collection, and it loads
filters anew in the process of each task. Here what was compiled is kept, by the digest of its source. And the garbage
of a process that lives for a second is not collected a hundred times.

The tests of this checkout ask for it (see tests/conftest.py); benchmarks and users have nothing of it.
"""

from __future__ import annotations

import gc
import os
import sys

_COLLECTIONS = "ansible.utils.collection_loader._collection_finder"


class KeptCode:
    """Code by the digest of its source, as this very Python compiled it."""

    def __init__(self, directory):
        self.directory = directory

    def of(self, source, filename, compiled):
        """:param compiled: compiles it where it is not there yet."""
        import _imp
        import hashlib
        import marshal

        text = source.encode() if isinstance(source, str) else bytes(source)
        path = os.path.join(self.directory, f"{sys.implementation.cache_tag}-{hashlib.sha256(text).hexdigest()}")
        try:
            with open(path, "rb") as file:
                code = marshal.loads(file.read())  # noqa: S302 - the tests' own files
        except (OSError, ValueError, EOFError, TypeError):
            code = compiled()
            self._keep(path, marshal.dumps(code))
            return code
        _imp._fix_co_filename(code, filename)
        return code

    def _keep(self, path, content):
        """Write a file that is there as a whole or not at all; that it cannot be written is no harm."""
        half = f"{path}.{os.getpid()}"
        try:
            with open(half, "wb") as file:
                file.write(content)
            os.rename(half, path)
        except OSError:
            pass

    def serve_zips(self):
        import zipimport

        plain = zipimport._compile_source

        def compile_source(pathname, source):
            return self.of(source, pathname, lambda: plain(pathname, source))

        zipimport._compile_source = compile_source

    def serve_collections(self, module):
        """The loader of collections finds this before the function of the same name that Python has."""

        def compile_collection(source, filename, mode, flags=0, dont_inherit=False):
            return self.of(source, filename, lambda: compile(source, filename, mode, flags, dont_inherit))

        module.compile = compile_collection


class WhenLoaded:
    """Has something done to a module as soon as it is loaded; an entry of sys.meta_path."""

    def __init__(self, name, action):
        self.name = name
        self.action = action

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        from importlib.machinery import PathFinder

        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            plain = spec.loader.exec_module

            def exec_module(module):
                plain(module)
                self.action(module)

            spec.loader.exec_module = exec_module
        return spec


if os.environ.get("STEWARD_KEPT_CODE"):
    gc.set_threshold(50_000, 20, 20)
    kept = KeptCode(os.environ["STEWARD_KEPT_CODE"])
    kept.serve_zips()
    sys.meta_path.insert(0, WhenLoaded(_COLLECTIONS, kept.serve_collections))
