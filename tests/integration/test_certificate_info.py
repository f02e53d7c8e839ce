# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_info as Ansible runs it: real servers, a real PostgreSQL, files, and what is told of them."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest
from support.certificates import Authority, Issued
from support.modules import run_module
from support.postgres import PrivatePostgres
from support.tls_servers import DIALOGUES, Server, context_of, free_address

NAME = "www.example.com"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Intermediate", Authority())


@pytest.fixture
def trust(tmp_path: pathlib.Path, authority: Authority) -> str:
    assert authority.parent is not None
    return authority.parent.write(tmp_path)


def _ids(answer: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(finding["id"], finding["severity"]) for finding in answer["findings"]]


def _at(server: Server, **about: t.Any) -> dict[str, t.Any]:
    return {"host": NAME, "port": server.port, "addresses": ["127.0.0.1"], **about}


def test_all_is_well(tmp_path: pathlib.Path, authority: Authority, trust: str) -> None:
    issued = authority.issue(NAME, "example.com", days=6, left=4)
    pair = issued.write(tmp_path)
    with Server(context_of(issued, tmp_path), DIALOGUES["smtp"]) as server:
        answer = run_module(
            "certificate_info",
            {
                "endpoints": [_at(server, starttls="smtp", certificate=str(pair.certificate))],
                "certificates": [{"path": str(pair.certificate), "key": str(pair.key), "names": [NAME]}],
                "trust": trust,
            },
            check=True,
        )
    assert not answer["failed"]
    assert not answer["changed"]
    assert (answer["verdict"], answer["findings"], answer["coverage"]) == ("ok", [], {"looked": 2, "of": 2})
    assert answer["figures"]["least_left_percent"] == pytest.approx(100 * 4 / 6, abs=0.1)
    (seen,) = answer["endpoints"]
    assert (seen["trusted"], seen["names_match"], seen["matches_disk"]) == (True, True, True)
    assert seen["certificate"]["fingerprint"] == issued.fingerprint
    assert seen["certificate"]["names"] == [NAME, "example.com"]
    (file,) = answer["certificates"]
    assert (file["trusted"], file["key_matches"]) == (True, True)


def test_renewed_on_the_disk_and_the_old_one_served_by_one_of_three(
    tmp_path: pathlib.Path, authority: Authority, trust: str
) -> None:
    old, new = authority.issue(NAME, left=40), authority.issue(NAME, left=89)
    new.write(tmp_path, "new")
    old.write(tmp_path, "old")
    with Server(context_of(new, tmp_path), host="127.0.0.1") as first:
        port = first.port
        with (
            Server(context_of(old, tmp_path), host="127.0.0.2", port=port),
            Server(context_of(new, tmp_path), host="127.0.0.3", port=port),
        ):
            about = {"host": NAME, "port": port, "addresses": ["127.0.0.1", "127.0.0.2", "127.0.0.3"]}
            with_disk = {**about, "certificate": str(tmp_path / "*w.pem")}
            compared = run_module("certificate_info", {"endpoints": [with_disk], "trust": trust})
            alone = run_module("certificate_info", {"endpoints": [about], "trust": trust})
    assert _ids(compared) == [("served-differs", "high")]
    assert _ids(alone) == [("addresses-differ", "high")]
    for answer in (compared, alone):
        assert answer["verdict"] == "findings"
        assert answer["findings"][0]["subject"] == f"{NAME}:{port} at 127.0.0.2"
        assert not answer["failed"]


def test_what_is_dead_or_hangs_is_unknown_and_the_rest_is_judged(
    tmp_path: pathlib.Path, authority: Authority, trust: str
) -> None:
    with Server(context_of(authority.issue(NAME, left=-1), tmp_path)) as server, Server(None) as mute:
        answer = run_module(
            "certificate_info",
            {
                "endpoints": [_at(server), _at(mute), {"host": "127.0.0.1", "port": free_address()}],
                "trust": trust,
                "timeout": "1s",
            },
        )
    assert answer["failed"]
    assert answer["verdict"] == "unknown"
    assert answer["coverage"] == {"looked": 1, "of": 3}
    assert _ids(answer) == [("certificate-expired", "critical")]
    assert "not over after 1 s" in answer["reason"]
    assert "Connection refused" in answer["reason"]
    assert [seen["looked"] for seen in answer["endpoints"]] == [True, False, False]


def test_a_real_postgresql_is_asked_in_its_own_protocol(authority: Authority, trust: str) -> None:
    issued = authority.issue("db1.example.com")
    with PrivatePostgres() as server:
        about = {"host": "db1.example.com", "port": server.port, "addresses": ["127.0.0.1"], "starttls": "postgres"}
        without = run_module("certificate_info", {"endpoints": [about], "trust": trust})
        pair = issued.write(server.data, "tls")
        if server.account:
            for path in (pair.certificate, pair.key):
                shutil.chown(path, server.account)
        server.configure(ssl="on", ssl_cert_file="tls.pem", ssl_key_file="tls.key")
        server.restart()
        answer = run_module("certificate_info", {"endpoints": [about], "trust": trust})
    assert without["verdict"] == "unknown"
    assert "it has no TLS (ssl is off)" in without["reason"]
    assert answer["verdict"] == "ok"
    assert answer["endpoints"][0]["certificate"]["fingerprint"] == issued.fingerprint


def test_no_word_of_a_key_is_told(tmp_path: pathlib.Path, authority: Authority, trust: str) -> None:
    pair = authority.issue(NAME).write(tmp_path)
    other = authority.issue(NAME)
    pair.key.write_bytes(other.key_pem)
    answer = run_module(
        "certificate_info",
        {"certificates": [{"path": str(pair.certificate), "key": str(pair.key)}], "trust": trust},
    )
    assert _ids(answer) == [("key-mismatch", "critical")]
    told = json.dumps(answer)
    assert not [line for line in other.key_pem.decode().splitlines()[1:-1] if line in told]


def test_what_cannot_be_right_is_refused(tmp_path: pathlib.Path) -> None:
    answer = run_module("certificate_info", {"endpoints": [{"host": "www.example.com:443"}]})
    assert answer["failed"]
    assert answer["msg"].startswith("endpoints[0].host is 'www.example.com:443'")
    answer = run_module("certificate_info", {"endpoints": [{"host": NAME}], "trust": str(tmp_path / "none")})
    assert "cannot be read as a bundle of certificates: No such file" in answer["msg"]
    answer = run_module("certificate_info", {"endpoints": [{"host": NAME, "startls": "smtp"}]})
    assert "startls" in answer["msg"]


def test_some_of_a_hundred_endpoints_dead_or_mute_in_one_call(
    tmp_path: pathlib.Path, authority: Authority, trust: str
) -> None:
    """In small what make bench-certificates measures with 500."""
    issued: Issued = authority.issue(NAME)
    with Server(context_of(issued, tmp_path), host="0.0.0.0") as well, Server(None, host="0.0.0.0") as mute:
        ports = {"well": well.port, "mute": mute.port, "dead": free_address()}
        kinds = ["mute" if number % 25 == 0 else "dead" if number % 25 == 1 else "well" for number in range(100)]
        endpoints = [
            {"host": NAME, "port": ports[kind], "addresses": [f"127.0.2.{number + 1}"]}
            for number, kind in enumerate(kinds)
        ]
        answer = run_module("certificate_info", {"endpoints": endpoints, "trust": trust, "timeout": "2s"})
    assert answer["coverage"] == {"looked": 92, "of": 100}
    assert [seen["looked"] for seen in answer["endpoints"]] == [kind == "well" for kind in kinds]
    assert answer["findings"] == []
    assert "and 3 more" in answer["reason"]
