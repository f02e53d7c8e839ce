# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that every module of this collection documents.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and says what it would do without changing anything.
  diff_mode:
    description: Returns details of what was changed, or would be changed in check mode, when in diff mode.
  idempotent:
    description: When run again on a system that needs nothing, it changes nothing and says so.
  platform:
    description: Target operating systems on which the module works.
    platforms: posix
    support: full
"""

    # For modules that only look.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and says what it would do without changing anything.
    support: full
    details:
      - This module only looks and never changes anything.
  diff_mode:
    description: Returns details of what was changed, or would be changed in check mode, when in diff mode.
    support: N/A
    details:
      - This module only looks and never changes anything.
  idempotent:
    description: When run again on a system that needs nothing, it changes nothing and says so.
    support: full
  platform:
    description: Target operating systems on which the module works.
    platforms: posix
    support: full
"""

    # For modules whose action plugin shows how far the work is.
    PROGRESS = r"""
options: {}
attributes:
  action:
    description: Has an action plugin of the same name, which runs on the controller.
    support: full
    details:
      - The action plugin runs the module as usual, and shows now and then how far it is, see O(progress). Every line
        takes a short module call of its own, over the same connection and with the same login. Its failure is silent.
  async:
    description: Can be run with the C(async) keyword.
    support: full
    details:
      - Progress is not shown then, see M(steward.maintenance.postgres_progress_info).
"""

    # For modules that take the S3 store from the action group.
    ACTIONGROUP_S3 = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/steward.maintenance.s3) in C(module_defaults) to set the store once.
    support: full
    membership:
      - steward.maintenance.s3
"""

    # For modules that take the PostgreSQL login from the action group.
    ACTIONGROUP_POSTGRES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/steward.maintenance.postgres) in C(module_defaults) to set the login once.
    support: full
    membership:
      - steward.maintenance.postgres
"""
