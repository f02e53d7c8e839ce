# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of modules that look after secrets.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._core.durations import parse_duration
from .._core.records import default_path
from .._core.sealing import check_recipients
from .._core.suggest import InputError, refuse_unknown
from .ages import Watched
from .aws_session import AwsSettings
from .consumers import Consumer
from .gates import Gate, Pool
from .listing import JWT
from .listing import KINDS as KINDS_OF_SECRETS
from .placing import ENV, KINDS, TEXT, USERLIST, Placed
from .rotation import Others, Policy
from .store import LONGEST_PASSWORD, SHORTEST_PASSWORD, Store
from .store_aws import Aws
from .store_files import Files
from .store_kv import Kv, KvSettings
from .work import Need

AWS, VAULT, FILES = "aws", "vault", "files"
AUTO, WAIT, KEEP, END = "auto", "wait", "keep", "end"

#: Documented by the fragment ``steward.maintenance._secrets``.
STORE_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "store": {
        "type": "dict",
        "required": True,
        "options": {
            "kind": {"type": "str", "choices": [FILES, VAULT, AWS], "required": True},
            "directory": {"type": "path", "default": ""},
            "recipients": {"type": "list", "elements": "str", "default": []},
            "identity_file": {"type": "path", "default": ""},
            "vault_password_file": {"type": "path", "default": "", "no_log": False},  # a path
            "url": {"type": "str", "default": ""},
            "token": {"type": "str", "default": "", "no_log": True},
            "token_file": {"type": "path", "default": "", "no_log": False},  # a path
            "mount": {"type": "str", "default": ""},
            "namespace": {"type": "str", "default": ""},
            "region": {"type": "str", "default": ""},
            "endpoint_url": {"type": "str", "default": ""},
            "access_key": {"type": "str", "default": "", "no_log": False},
            "secret_key": {"type": "str", "default": "", "no_log": True},
            "session_token": {"type": "str", "default": "", "no_log": True},
            "profile": {"type": "str", "default": ""},
            "ca_cert": {"type": "path", "default": ""},
            "timeout": {"type": "int", "default": 20},
        },
    },
}

#: Documented by the module secret_info.
WATCHED_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "store": {**STORE_ARGUMENTS["store"], "required": False},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": False,  # names, no values
        "options": {
            "name": {"type": "str", "required": True},
            "period": {"type": "str", "default": "90d"},
            "kind": {"type": "str", "choices": ["", *KINDS_OF_SECRETS], "default": ""},
            "store": {**STORE_ARGUMENTS["store"], "required": False},
        },
    },
}

#: Documented by the modules that rotate.
NEED_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "period": {"type": "str", "default": "90d"},
    "rotate_after_percent": {"type": "int", "default": 80},
    "force": {"type": "bool", "default": False},
    "elsewhere": {"type": "list", "elements": "str", "default": []},
    "taken_up": {"type": "dict"},
    "state_dir": {"type": "path", "default": ""},
}

#: Documented by the module secret_take_up.
TAKE_UP_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": list(KINDS_OF_SECRETS), "required": True},
    "state_dir": {"type": "path", "default": ""},
}

#: Documented by the module secret_rotate.
ROTATION_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "present_user": {"type": "str", "default": ""},
    "present_password": {"type": "str", "default": "", "no_log": True},
    "password_length": {"type": "int", "default": 40, "no_log": False},  # a number
    "observe_for": {"type": "str", "default": "10s"},
    "observe_timeout": {"type": "str", "default": "5m"},
    "overlap": {"type": "str", "default": "0s"},
    "old_sessions": {"type": "str", "choices": [AUTO, WAIT, KEEP, END], "default": AUTO},
    "failed_logins_allowed": {"type": "int", "default": 5},
    "rollback": {"type": "bool", "default": False},
}

#: Documented by the fragment ``steward.maintenance._secrets.consumers``.
CONSUMERS_ARGUMENT: dict[str, dict[str, t.Any]] = {
    "consumers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "kind": {"type": "str", "choices": list(KINDS), "required": True},
                    "content": {"type": "str", "default": ""},
                    "values": {"type": "dict", "default": {}},
                },
            },
            "commands": {"type": "list", "elements": "list", "default": []},
            "probe": {"type": "list", "elements": "str", "default": []},
            "prove_sessions": {"type": "bool", "default": False},
            "application_name": {"type": "str", "default": ""},
            "processes": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "str", "default": "1m"},
        },
    },
}

_OF_KIND = {
    FILES: ("directory", "recipients", "identity_file", "vault_password_file"),
    VAULT: ("url", "token", "token_file", "mount", "namespace"),
    AWS: ("region", "endpoint_url", "access_key", "secret_key", "session_token", "profile"),
}
#: Seconds that a database may take to start anew while a rotation is taken back.
_UNDO_PATIENCE = 60
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PATH = re.compile(r"[^\s/?#%][^?#%\x00-\x20]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT_CONTENT = {TEXT: "{password}", USERLIST: "{verifier}", ENV: ""}


def store_from(given: t.Mapping[str, t.Any], name: str) -> Store:
    """The place of one secret in a store.

    :raises InputError: naming the option, the value and what would be right.
    :raises StoreError: when what the store needs is not installed.
    """
    kind = given["kind"]
    for other, options in _OF_KIND.items():
        for option in options if other != kind else ():
            if given[option]:
                raise InputError(f"store.{option} is for kind {other!r}, but store.kind is {kind!r}")
    if not 1 <= given["timeout"] <= 3600:
        raise InputError(f"store.timeout is {given['timeout']}: it must be between 1 and 3600 seconds")
    if kind == FILES:
        return _files(given, name)
    return _vault(given, name) if kind == VAULT else _aws(given, name)


def _files(given: t.Mapping[str, t.Any], name: str) -> Files:
    if not _FILE_NAME.fullmatch(name):
        raise InputError(f"name is {name!r}: in a store of files it is a name without slashes, like shop-database")
    if not given["directory"]:
        raise InputError("store.directory is empty: a store of files needs it")
    password_file = given["vault_password_file"]
    for option in ("recipients", "identity_file"):
        if password_file and given[option]:
            raise InputError(f"store.{option} is for age, but store.vault_password_file is given: one of them says it")
    if password_file:
        return Files(given["directory"], name, (), "", password_file)
    if not given["identity_file"]:
        raise InputError("store.identity_file is empty: a store of files needs it, or vault_password_file")
    check_recipients(given["recipients"], "store.recipients")
    return Files(given["directory"], name, tuple(given["recipients"]), given["identity_file"])


def _vault(given: t.Mapping[str, t.Any], name: str) -> Kv:
    if not re.match(r"https?://[^/]", given["url"]):
        raise InputError(f'store.url is {given["url"]!r}: write it like "https://vault.example.com:8200"')
    if not _PATH.fullmatch(name) or name.endswith("/"):
        raise InputError(f"name is {name!r}: for a vault it is a path below the mount, like shop/database")
    token = given["token"]
    if given["token_file"]:
        if token:
            raise InputError("store.token and store.token_file are both given: one of them says it")
        try:
            with open(given["token_file"], encoding="utf-8") as file:
                token = file.read().strip()
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or "it is no text"
            raise InputError(f"store.token_file: {given['token_file']} cannot be read: {why}") from None
    if not token:
        raise InputError("store.token is empty: a vault needs token or token_file")
    mount = (given["mount"] or "secret").strip("/")
    return Kv(KvSettings(given["url"], token, mount, given["namespace"], given["ca_cert"], given["timeout"]), name)


def _aws(given: t.Mapping[str, t.Any], name: str) -> Aws:
    if not name:
        raise InputError("name is empty: give the name or the ARN of the secret")
    words = {option: given[option] for option in (*_OF_KIND[AWS], "ca_cert", "timeout")}
    return Aws(AwsSettings(**words), name)


def watched_from(params: t.Mapping[str, t.Any]) -> list[Watched]:
    """The secrets that are looked at, see L{store_from}."""
    names = [entry["name"] for entry in params["secrets"]]
    if not names:
        raise InputError("secrets is empty: name at least one")
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise InputError(f"secrets: {double!r} is there twice")
    watched = []
    for entry in params["secrets"]:
        given = entry["store"] or params["store"]
        if not given:
            raise InputError(f"secrets: {entry['name']!r} has no store, and there is none for all of them")
        period = seconds_from("secrets.period", entry["period"])
        watched.append(Watched(entry["name"], store_from(given, entry["name"]), period, entry["kind"] == JWT))
    return watched


def need_from(params: t.Mapping[str, t.Any]) -> Need:
    """:raises InputError: naming the option, the value and what would be right."""
    percent = percent_from(params)
    present = None
    if params["present_password"]:
        if not params["present_user"]:
            raise InputError("present_password is given without present_user: whose password is it?")
        present = (params["present_user"], params["present_password"])
    return Need(seconds_from("period", params["period"]), percent, params["force"], present)


def percent_from(params: t.Mapping[str, t.Any]) -> int:
    """:raises InputError: naming the value and what would be right."""
    percent = int(params["rotate_after_percent"])
    if not 1 <= percent <= 100:
        raise InputError(f"rotate_after_percent is {percent}: it must be between 1 and 100")
    return percent


def policy_from(params: t.Mapping[str, t.Any], overlaps: bool) -> Policy:
    """:raises InputError: naming the option, the value and what would be right."""
    length = params["password_length"]
    if not SHORTEST_PASSWORD <= length <= LONGEST_PASSWORD:
        right = f"between {SHORTEST_PASSWORD} and {LONGEST_PASSWORD}"
        raise InputError(f"password_length is {length}: it must be {right}")
    sessions = params["old_sessions"]
    if sessions == KEEP and overlaps:
        raise InputError(
            "old_sessions is 'keep': with two users the old one is closed, so wait for its sessions or end"
        )
    if sessions == AUTO:
        sessions = WAIT if overlaps else KEEP
    overlap = seconds_or_none("overlap", params["overlap"])
    if overlap and not overlaps:
        raise InputError(f"overlap is {params['overlap']!r}: with one user the old password is gone at once")
    if params["failed_logins_allowed"] < 0:
        raise InputError(f"failed_logins_allowed is {params['failed_logins_allowed']}: it must be 0 or more")
    return Policy(
        password_length=length,
        observe_for=seconds_or_none("observe_for", params["observe_for"]),
        observe_timeout=seconds_or_none("observe_timeout", params["observe_timeout"]),
        old_sessions=sessions,
        failed_logins_allowed=params["failed_logins_allowed"],
        overlap=0 if sessions == END else overlap,
        undo_patience=_UNDO_PATIENCE,
    )


def others_from(params: t.Mapping[str, t.Any]) -> Others:
    """:raises InputError: for what was said of a host that is none of them."""
    hosts, seen = params["elsewhere"], params["taken_up"]
    refuse_unknown("taken_up: unknown host", seen or {}, hosts)
    return Others(tuple(hosts), None if seen is None else {str(host): str(seen[host]) for host in seen})


def gates_from(pools: t.Sequence[tuple[Pool, str]]) -> tuple[Gate, ...]:
    """Pools that check logins themselves, each with the path of its userlist or an empty text."""
    return tuple(
        Gate(pool, Placed(path, USERLIST, _DEFAULT_CONTENT[USERLIST]) if path else None) for pool, path in pools
    )


def consumers_from(given: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Consumer, ...]:
    """:raises InputError: naming the consumer, the value and what would be right."""
    names = [entry["name"] for entry in given]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise InputError(f"consumers: {double!r} is there twice")
    return tuple(_consumer(entry) for entry in given)


def _consumer(entry: t.Mapping[str, t.Any]) -> Consumer:
    where = f"consumers: {entry['name']!r}"
    commands = tuple(tuple(_argv(f"{where}: commands", argv)) for argv in entry["commands"])
    probe = tuple(_argv(f"{where}: probe", entry["probe"])) if entry["probe"] else ()
    processes = tuple(_argv(f"{where}: processes", entry["processes"])) if entry["processes"] else ()
    sessions = entry["prove_sessions"]
    if commands and not (probe or sessions or processes):
        raise InputError(
            f"{where} has commands, but neither probe, processes nor prove_sessions: what shows that they had effect?"
        )
    if processes and not any(placed["kind"] == ENV for placed in entry["files"]):
        raise InputError(f"{where} has processes without a file of kind 'env': with what should they be started?")
    if not (entry["files"] or commands or probe or sessions):
        raise InputError(f"{where} has nothing: give files, commands, probe or prove_sessions")
    if entry["application_name"] and not sessions:
        raise InputError(f"{where} has application_name without prove_sessions")
    files = tuple(_placed(f"{where}: files", placed) for placed in entry["files"])
    timeout = seconds_from(f"{where}: timeout", entry["timeout"])
    name, application = entry["name"], entry["application_name"]
    return Consumer(name, files, commands, probe, sessions, application, timeout, processes)


def _placed(where: str, entry: t.Mapping[str, t.Any]) -> Placed:
    path, kind = entry["path"], entry["kind"]
    values = {str(name): str(template) for name, template in entry["values"].items()}
    if not os.path.isabs(path):
        raise InputError(f"{where}: {path!r} is no absolute path")
    if (kind == ENV) != bool(values):
        right = "needs values" if kind == ENV else "takes content, not values"
        raise InputError(f"{where}: {path} of kind {kind!r} {right}")
    if kind == ENV and entry["content"]:
        raise InputError(f"{where}: {path} of kind {kind!r} takes values, not content")
    for name in values:
        if not _VARIABLE.fullmatch(name):
            raise InputError(f"{where}: {path}: {name!r} is no name of a variable")
    return Placed(path, kind, entry["content"] or _DEFAULT_CONTENT[kind], values)


def _argv(where: str, argv: t.Any) -> t.Sequence[str]:
    if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) for word in argv):
        right = 'a command is a list of words, like ["systemctl", "reload", "api"]; no shell reads it'
        raise InputError(f"{where} has {argv!r}: {right}")
    return argv


def seconds_from(option: str, text: str) -> int:
    """:raises InputError: naming the option, the value and what would be right."""
    try:
        return parse_duration(text)
    except InputError as exc:
        raise InputError(f"{option}: {exc}") from None


def seconds_or_none(option: str, text: str) -> int:
    """As L{seconds_from}, with "0s" for no time at all."""
    return 0 if text in ("0", "0s") else seconds_from(option, text)


def state_directory(given: str) -> str:
    """Where the journals are: beside the records, unless told otherwise."""
    return given or os.path.join(os.path.dirname(default_path()), "secrets")
