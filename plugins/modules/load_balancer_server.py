#!/usr/bin/python
# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: load_balancer_server
version_added: 0.2.0
short_description: Take servers out of the traffic of a load balancer, proved by their connections, or let them in
description:
  - V(drained) lets servers get no new requests, and waits until none of them has a connection or a waiting request at
    any of the balancers. It is refused, before anything is changed, when fewer than O(min_ready) other servers of a
    pool are up and get requests, unless the servers are down themselves. The others are looked at again afterwards, and
    if they went down meanwhile, all is put back.
  - V(returned) sets the servers as they were before they were drained, and waits until the balancer finds them up. A
    server that somebody else had taken out before stays out, and is told.
  - A balancer that cannot be asked, or gives no whole answer, gives V(unknown). A server that nobody checks is not
    counted as up.
  - How a server was set is on the disk before it is changed. Killed at any moment, the next run goes on from there.
  - Run it on the balancer's host, with C(delegate_to).
options:
  state:
    description:
      - V(drained), V(returned) to how they were, or V(ready), whatever they were.
    type: str
    choices: [drained, returned, ready]
    required: true
  servers:
    description: The servers, each a dictionary with C(pool) (of HAProxy, the backend) and C(server) (its name there).
    type: list
    elements: dict
    required: true
  haproxy:
    description:
      - Sockets of HAProxy's runtime API with the level admin, each a path or C(host:port). With several processes or
        balancers name all of them, for the servers must be out of the traffic everywhere.
    type: list
    elements: str
    default: []
  drain_commands:
    description:
      - Commands, each a list of words, that drain a server of another balancer. POOL and SERVER stand for the names.
    type: list
    elements: list
    default: []
  ready_commands:
    description: Commands, each a list of words, that let a server get requests. POOL and SERVER stand for the names.
    type: list
    elements: list
    default: []
  servers_command:
    description:
      - A command, as words, that prints how all servers of POOL stand, as a JSON list of dictionaries with C(server),
        C(admitted) (whether it is set to get requests), C(up) (whether it was found well; null when nobody looked) and
        C(connections).
    type: list
    elements: str
    default: []
  min_ready:
    description: How many other servers of the pool must be up and get requests.
    type: int
    default: 1
  timeout:
    description: How long connections may take to end, or a server to be found up. Also how long a command may take.
    type: str
    default: 1m
  on_timeout:
    description:
      - What to do with connections that do not end in time. V(return) puts all back and fails. V(end) ends them, which
        whoever holds them sees as an error.
    type: str
    choices: [return, end]
    default: return
  state_dir:
    description: Directory on this host with how servers were set. C(balancers) beside the records when empty.
    type: path
    default: ''
extends_documentation_fragment:
  - steward.maintenance._attributes
attributes:
  check_mode:
    support: full
    details:
      - Asks the balancers, and says what would be done, or why it would be refused.
  diff_mode:
    support: full
    details:
      - Shows how each server is set at each balancer.
  idempotent:
    support: full
notes:
  - Needs rights on the socket of HAProxy; those of root will do.
  - Idle connections that HAProxy keeps to a server for later requests do not count.
seealso:
  - module: steward.maintenance.release_switch
author:
  - The steward.maintenance authors (@steward)
"""

EXAMPLES = r"""
- name: Take this host out of the traffic, unless fewer than two others are up
  steward.maintenance.load_balancer_server:
    state: drained
    servers: [{pool: shop, server: "{{ inventory_hostname }}"}]
    haproxy: [/run/haproxy/admin.sock]
    min_ready: 2
  delegate_to: balancer1

- name: Let it in again, as it was
  steward.maintenance.load_balancer_server:
    state: returned
    servers: [{pool: shop, server: "{{ inventory_hostname }}"}]
    haproxy: [/run/haproxy/admin.sock]
  delegate_to: balancer1
"""

RETURN = r"""
verdict:
  description:
    - V(ok), V(findings), V(unknown) when a balancer could not be asked, or V(failed). V(unknown) and V(failed) fail the
      task.
  returned: always
  type: str
  sample: ok
summary:
  description: One sentence for a person.
  returned: always
  type: str
  sample: 'shop/web1: out of the traffic, without a connection'
reason:
  description: Why it was not done, naming the balancer and the servers.
  returned: always
  type: str
  sample: ''
findings:
  description: What somebody should know about. The ids are V(was-out-before), V(sessions-ended) and V(left-drained).
  returned: always
  type: list
  elements: dict
  sample: []
figures:
  description: How many servers and balancers.
  returned: always
  type: dict
  sample: {servers: 1, balancers: 1}
coverage:
  description: Servers at balancers whose state was seen, of all.
  returned: always
  type: dict
  sample: {looked: 1, of: 1}
servers:
  description: Each server at each balancer, in the balancer's own words before and after.
  returned: always
  type: list
  elements: dict
  sample:
    - balancer: HAProxy at /run/haproxy/admin.sock
      pool: shop
      server: web1
      before: ready
      after: drain
      status: UP
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.arguments import (
    BALANCER_ARGUMENTS,
    balancer_settings_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.draining import Outcome, balance
from ansible_collections.steward.maintenance.plugins.module_utils._core.outcome import finish
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def main() -> None:
    module = AnsibleModule(argument_spec=BALANCER_ARGUMENTS, supports_check_mode=True)
    outcome = Outcome()
    try:
        result = balance(balancer_settings_from(module.params), module.check_mode, outcome)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    beside = {"servers": outcome.servers}
    if module._diff and outcome.diff:
        beside["diff"] = outcome.diff
    finish(module, result, outcome.changed, **beside)


if __name__ == "__main__":
    main()
