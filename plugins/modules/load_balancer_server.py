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
  - nginx without a subscription has no runtime API. The one directive C(server) of O(nginx_file) gets or loses the
    parameter C(down), and every other byte stays; the file is exchanged in one move, tested, and reloaded, and the old
    one is back when nginx refuses it, or does not take it over. A server is out of the traffic when no worker has a
    connection to its address and the workers of before the reload are gone, for one of these might still choose it.
  - Run it on the balancer's host, with C(delegate_to).
options:
  state:
    description:
      - V(drained), V(returned) to how they were, or V(ready), whatever they were.
    type: str
    choices: [drained, returned, ready]
    required: true
  servers:
    description:
      - The servers, each a dictionary with C(pool) and C(server). Of HAProxy these are the names of the backend and of
        the server; of nginx the name of the upstream, and the address as the file has it.
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
  nginx_file:
    description:
      - The file of nginx's configuration with C(upstream NAME { ... }), where nginx is the balancer. All servers of the
        upstream must be in it. A symbolic link is followed.
    type: path
    default: ''
  nginx_pid_file:
    description: The file with the number of nginx's master process.
    type: path
    default: /run/nginx.pid
  nginx_test_command:
    description:
      - A command, as words, that tests nginx's configuration and prints it, as C(nginx -T) does. What it prints is not
        told; it shows that nginx reads the file.
    type: list
    elements: str
    default: [nginx, -T, -q]
  nginx_reload_command:
    description:
      - A command, as words, that reloads nginx. The workers must be others afterwards, and the master process the same.
    type: list
    elements: str
    default: [nginx, -s, reload]
  nginx_health_path:
    description:
      - nginx does not look how its servers are, so this module does. Each must answer a request over http for this path
        with the status 200; when empty, it must take a connection.
    type: str
    default: ''
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
        whoever holds them sees as an error. nginx cannot do that for one server alone; write C(worker_shutdown_timeout)
        into its configuration.
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
      - Shows how each server is set at each balancer; of nginx, the directive.
  idempotent:
    support: full
notes:
  - Needs rights on the socket of HAProxy; those of root will do. With nginx it needs those of root.
  - Idle connections that HAProxy keeps to a server for later requests do not count. Those of nginx do.
seealso:
  - name: Parameters of a server in an upstream of nginx
    description: What the parameter C(down) does.
    link: https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server
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

- name: Take it out of the traffic of nginx
  steward.maintenance.load_balancer_server:
    state: drained
    servers: [{pool: shop, server: "10.0.0.11:8080"}]
    nginx_file: /etc/nginx/conf.d/shop.conf
    nginx_health_path: /health
  delegate_to: balancer1
  become: true
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
