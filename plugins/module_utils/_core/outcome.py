# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module ends: one place decides which verdict fails a task.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from .result import Result


class ModuleLike(t.Protocol):
    """The two ways out of an AnsibleModule; this floor knows no more of it."""

    def exit_json(self, **kwargs: t.Any) -> t.NoReturn: ...

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn: ...


def finish(module: ModuleLike, result: Result, changed: bool, **beside: t.Any) -> t.NoReturn:
    """End the module with the result shape, `changed` and whatever the module returns beside them.

    A verdict of `failed` or `unknown` fails the task: what was not proved must not look green. The whole shape travels
    with the failure, so that a rescue can record it.
    """
    answer = dict(beside, changed=changed, **result.to_dict())
    if result.is_bad:
        module.fail_json(msg=f"{result.summary}: {result.reason}", **answer)
    module.exit_json(**answer)
