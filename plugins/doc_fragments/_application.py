# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of modules that stop and start an application, or ask how it is.

Note that this doc fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the arguments in plugins/module_utils/_core/application.py and health.py."""

    DOCUMENTATION = r"""
options:
  systemd_units:
    description: Units of systemd that belong to the application, on the host that runs the module.
    type: list
    elements: str
    default: []
  compose_directory:
    description: Directory of a compose project that the application belongs to. Empty means that there is none.
    type: path
    default: ''
  compose_services:
    description:
      - Services of the project in O(compose_directory), such as V(api) and V(worker). One that is misspelt is refused
        before anything is stopped.
      - Empty means all of them. Then one that runs counts as started, for some may be there to run once and end.
    type: list
    elements: str
    default: []
  compose_command:
    description: The compose program, as words, of either generation, such as V([docker-compose]).
    type: list
    elements: str
    default: [docker, compose]
  stop_commands:
    description:
      - Commands that stop whatever else uses the database, each a list of words. No shell reads them.
      - They need O(start_commands) and O(running_command) beside them.
    type: list
    elements: list
    default: []
  start_commands:
    description: Commands that start it again, each a list of words. Each has to end by itself.
    type: list
    elements: list
    default: []
  running_command:
    description:
      - A command, as words, that tells whether it runs. Exit status 0 means that it does, 1 or 3 that it does not;
        any other means that this could not be seen, and nothing is done.
    type: list
    elements: str
    default: []
  stop_timeout:
    description: The longest that the application may take to stop. Then all is taken back.
    type: str
    default: 1m
  start_timeout:
    description: The longest that the application may take to start.
    type: str
    default: 1m
"""

    HEALTH = r"""
options:
  health_url:
    description: An URL that answers with O(health_status) when the application is well. Redirections are not followed.
    type: str
    default: ''
  health_status:
    description: The HTTP status that O(health_url) has to answer with.
    type: int
    default: 200
  health_command:
    description: A command, as words, that ends with status 0 when the application is well.
    type: list
    elements: str
    default: []
  health_timeout:
    description: How long the application may take until it is well. It is asked again and again meanwhile.
    type: str
    default: 1m
"""
