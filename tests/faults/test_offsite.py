# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a copy on its way and in the store, and what must happen: a reason that names the cause, never a
copy that is listed as complete and is not, and a next run that puts everything right."""

from __future__ import annotations

import datetime
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import pytest
from support import s3_faults as faults
from support.offsite import FILES, Offsite
from support.postgres import free_port
from support.s3_faults import FaultyStore

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import stamp, utc_now
from ansible_collections.steward.maintenance.plugins.module_utils._postgres import offsite as offsite_run

pytest_plugins = ("support.offsite_fixtures",)
pytestmark = pytest.mark.s3

NAME = "20261120T000000Z"
BIG = r"PUT .*/shop/3\.dat"
PART = r"PUT .*/shop/3\.dat\?.*partNumber=2"
SMALL = r"PUT .*/shop/toc\.dat"
RECORD = r"PUT .*/offsite\.json"
MANIFEST = r"PUT .*/manifest\.json"


def assert_failed_and_healed(broken: Offsite, proxy: FaultyStore, *told: str) -> None:
    """The run is red and says why, no copy is listed; without the fault, the next run completes it."""
    answer = broken.copy()
    assert answer["verdict"] == "failed", answer
    for words in told:
        assert words in answer["reason"]
    assert broken.listed() == []
    proxy.heal()
    again = broken.copy()
    assert not again["failed"], again
    broken.assert_sound(NAME)


@pytest.mark.parametrize(
    ("where", "action"),
    [(PART, faults.resetting_half_way), (SMALL, faults.resetting_half_way), (MANIFEST, faults.losing_the_answer)],
)
def test_a_connection_that_breaks_off_once(broken: Offsite, proxy: FaultyStore, where: str, action: object) -> None:
    broken.make(NAME)
    fault = proxy.inject(where, action, times=1)
    answer = broken.copy()
    assert not answer["failed"], answer
    assert fault.hits == 1
    broken.assert_sound(NAME)


def test_the_answer_to_the_completion_is_lost(broken: Offsite, proxy: FaultyStore) -> None:
    """The second attempt finds no upload, because the first one was heard."""
    broken.make(NAME)
    fault = proxy.inject(r"POST .*/shop/3\.dat\?.*uploadId=", faults.losing_the_answer, times=1)
    answer = broken.copy()
    assert not answer["failed"], answer
    assert fault.hits == 1
    broken.assert_sound(NAME)


def test_a_connection_that_always_breaks_off(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    fault = proxy.inject(PART, faults.resetting_half_way)
    assert_failed_and_healed(broken, proxy, "broke the connection off, in 3 attempts")
    assert fault.hits == 3


def test_what_had_arrived_is_not_sent_again(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(r"partNumber=5", faults.resetting_half_way)
    assert broken.copy()["failed"]
    proxy.heal()
    proxy.requests.clear()
    answer = broken.copy()
    parts = sorted(told.partition("partNumber=")[2][0] for told in proxy.requests if "partNumber=" in told)
    assert parts == ["5"]
    assert answer["figures"]["sent_bytes"] == FILES["shop/3.dat"] - 4 * 65536
    assert answer["figures"]["resumed_bytes"] > 4 * 65536
    broken.assert_sound(NAME)


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
def test_a_storm_that_passes(broken: Offsite, proxy: FaultyStore, status: int, code: str) -> None:
    broken.make(NAME)
    fault = proxy.inject(r"PUT ", faults.refusing(status, code), times=2)
    answer = broken.copy()
    assert not answer["failed"], answer
    assert fault.hits == 2
    broken.assert_sound(NAME)


def test_a_storm_that_does_not_pass(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    fault = proxy.inject(SMALL, faults.refusing(503, "SlowDown"))
    assert_failed_and_healed(
        broken, proxy, "the store did not recover in time: it kept answering SlowDown to PutObject"
    )
    assert fault.hits == 3


def test_a_bit_that_flips_on_the_line(broken: Offsite, proxy: FaultyStore) -> None:
    """The store is told the checksum, and refuses what does not fit."""
    broken.make(NAME)
    proxy.inject(PART, faults.flipping)
    assert_failed_and_healed(broken, proxy, "shop/3.dat did not arrive as it was sent", "BadDigest")


@pytest.mark.parametrize("where", [PART, RECORD])
def test_a_wrong_checksum_in_the_answer(broken: Offsite, proxy: FaultyStore, where: str) -> None:
    broken.make(NAME)
    proxy.inject(where, faults.saying_another_checksum)
    assert_failed_and_healed(broken, proxy, "the store answered with the SHA-256")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (r"PUT .*partNumber=3", "the store does not have a part as it was sent"),
        (SMALL, "was stored as something else"),
        (RECORD, "was stored as something else"),
    ],
)
def test_a_store_that_keeps_other_bytes(broken: Offsite, proxy: FaultyStore, where: str, told: str) -> None:
    broken.make(NAME)
    proxy.inject(where, faults.Liar().put)
    assert_failed_and_healed(broken, proxy, told)


def test_a_store_that_sticks_to_its_lie(broken: Offsite, proxy: FaultyStore) -> None:
    """What it says of the object is right, and only the bytes are not: they are read back."""
    broken.make(NAME)
    liar = faults.Liar()
    proxy.inject(SMALL, liar.put)
    proxy.inject(r"HEAD .*/shop/toc\.dat", liar.head)
    assert_failed_and_healed(broken, proxy, "shop/toc.dat was stored as something else", "are not the file's")


def test_an_object_that_vanishes_after_the_answer(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(SMALL, faults.dropping)
    assert_failed_and_healed(broken, proxy, "is not listed")


def test_a_manifest_that_vanishes_after_the_answer(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(MANIFEST, faults.dropping)
    assert_failed_and_healed(broken, proxy, "manifest.json is not there")


@pytest.mark.parametrize(
    ("where", "status", "code"),
    [(PART, 507, "InsufficientStorage"), (PART, 403, "QuotaExceeded"), (SMALL, 507, "XMinioStorageFull")],
)
def test_a_full_store(broken: Offsite, proxy: FaultyStore, where: str, status: int, code: str) -> None:
    """What was begun in parts gives its space back at once."""
    broken.make(NAME)
    fault = proxy.inject(where, faults.refusing(status, code))
    answer = broken.copy()
    assert answer["verdict"] == "failed"
    assert "the store is full" in answer["reason"]
    assert fault.hits == 1, "it makes no sense to ask a full store again"
    assert broken.bucket.uploads() == broken.listed() == []


def test_older_copies_stay_when_the_store_is_full(broken: Offsite, proxy: FaultyStore) -> None:
    old, young = (stamp(utc_now() - datetime.timedelta(days=days)) for days in (40, 1))
    broken.make(old)
    broken.copy()
    broken.make(young)
    proxy.inject(BIG, faults.refusing(507, "InsufficientStorage"))
    answer = broken.copy()
    assert (answer["verdict"], answer["pruned"]) == ("failed", [])
    broken.assert_sound(old)


@pytest.mark.parametrize(
    ("status", "code", "more", "told"),
    [
        (400, "ExpiredToken", "", "the session token has expired"),
        (403, "SignatureDoesNotMatch", "", "the store does not accept these credentials"),
        (
            403,
            "RequestTimeTooSkewed",
            "<ServerTime>2026-01-01T00:00:00Z</ServerTime>",
            "ahead of the store's: set it right",
        ),
        (404, "NoSuchBucket", "", "there is no bucket"),
        (403, "AccessDenied", "", "access denied: these credentials lack s3:ListBucket on"),
    ],
)
def test_refusals_name_their_cause(
    broken: Offsite, proxy: FaultyStore, status: int, code: str, more: str, told: str
) -> None:
    broken.make(NAME)
    proxy.inject(r"GET .*list-type=2", faults.refusing(status, code, more=more))
    answer = broken.copy()
    assert answer["verdict"] == "failed"
    assert told in answer["reason"]
    assert broken.bucket.listing() == []


def test_credentials_that_expire_half_way(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(PART, faults.refusing(400, "ExpiredToken"))
    assert_failed_and_healed(broken, proxy, f"{NAME}: the session token has expired")


def test_the_difference_of_the_clocks_is_told(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    theirs = (utc_now() + datetime.timedelta(minutes=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    proxy.inject(r"GET ", faults.refusing(403, "RequestTimeTooSkewed", more=f"<ServerTime>{theirs}</ServerTime>"))
    reason = broken.copy()["reason"]
    assert reason.startswith(("this host's clock is 20 min behind", "this host's clock is 19 min 5")), reason


@pytest.mark.parametrize(
    ("where", "right"),
    [(SMALL, "s3:PutObject"), (r"HEAD .*toc", "s3:GetObject"), (r"GET .*\?uploads", "s3:ListBucketMultipartUploads")],
)
def test_a_right_that_is_missing_is_named(broken: Offsite, proxy: FaultyStore, where: str, right: str) -> None:
    broken.make(NAME)
    proxy.inject(where, faults.refusing(403, "AccessDenied"))
    assert_failed_and_healed(broken, proxy, f"access denied: these credentials lack {right} on s3://")


def test_a_store_that_does_not_answer_in_time(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(SMALL, faults.slow(4))
    began = time.monotonic()
    answer = broken.copy(read_timeout=1, attempts=2)
    assert "did not answer in time, in 2 attempts" in answer["reason"]
    assert time.monotonic() - began < 20
    proxy.heal()
    assert not broken.copy()["failed"]
    broken.assert_sound(NAME)


def test_a_store_that_is_not_there(offsite: Offsite) -> None:
    offsite.make(NAME)
    answer = offsite.copy(endpoint_url=f"http://127.0.0.1:{free_port()}", attempts=2)
    assert "cannot be reached: no connection" in answer["reason"]


def test_a_certificate_that_nobody_vouches_for(offsite: Offsite, tmp_path: pathlib.Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    offsite.make(NAME)
    try:
        answer = offsite.copy(endpoint_url=f"https://localhost:{listener.getsockname()[1]}", attempts=1)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
    assert "no trusted TLS connection to https://localhost" in answer["reason"]
    assert "self-signed certificate" in answer["reason"]


def test_no_credentials_at_all(offsite: Offsite) -> None:
    offsite.make(NAME)
    answer = offsite.copy(access_key="", secret_key="")
    assert "there are no credentials: give access_key and secret_key" in answer["reason"]


def test_a_store_that_does_not_know_sha256(broken: Offsite, proxy: FaultyStore) -> None:
    """It is found out with the first object, told, and MD5 stands in; what arrives damaged is still refused."""
    broken.make(NAME)
    proxy.inject(PART, faults.flipping, times=1)
    proxy.inject(r"PUT|HEAD|POST", faults.without_sha256)
    assert "BadDigest" in broken.copy()["reason"]
    answer = broken.copy()
    assert answer["verdict"] == "findings", answer
    (finding,) = answer["findings"]
    assert finding["id"] == "offsite-no-sha256"
    assert "MD5 in the ETag" in finding["message"]
    broken.assert_sound(NAME)
    assert not broken.copy()["changed"]


def test_a_store_that_refuses_sha256(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(RECORD, faults.refusing(501, "NotImplemented"), times=1)
    answer = broken.copy()
    assert [finding["id"] for finding in answer["findings"]] == ["offsite-no-sha256"], answer
    broken.assert_sound(NAME)


def test_a_listing_that_breaks_off_is_not_taken_for_whole(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    broken.copy()

    def cut(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        answer = forward(request)
        answer.body = answer.body.replace(b"<IsTruncated>false", b"<IsTruncated>true")
        return answer

    proxy.inject(r"GET .*list-type=2", cut)
    answer = broken.copy()
    assert answer["verdict"] == "failed"
    assert "breaks off without saying how to go on" in answer["reason"]


def test_the_young_upload_of_somebody_else_is_left_alone(broken: Offsite, proxy: FaultyStore) -> None:
    broken.make(NAME)
    proxy.inject(r"GET .*\?uploads", faults.saying_begun_now)
    key = f"{broken.base('20261101T000000Z')}/shop/3.dat"
    broken.bucket.client.create_multipart_upload(Bucket=broken.bucket.name, Key=key)
    assert not broken.copy()["failed"]
    assert broken.bucket.uploads() == [key]


def test_a_backup_that_is_removed_while_it_is_copied(broken: Offsite, proxy: FaultyStore) -> None:
    """Retention here and the copying there do not wait for each other."""
    broken.make(NAME)

    def remove(request: faults.Request, forward: faults.Forward) -> faults.Answer:
        (broken.path / NAME).rename(broken.path / f"{NAME}.partial")
        return forward(request)

    proxy.inject(RECORD, remove, times=1)
    answer = broken.copy()
    assert answer["verdict"] == "failed"
    assert "cannot be read: No such file" in answer["reason"]
    assert broken.listed() == []


def test_two_at_once(broken: Offsite, proxy: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is told who is at it."""
    monkeypatch.setattr(offsite_run, "_LOCK_PATIENCE", 0.1)
    broken.make(NAME)
    (broken.path / ".offsite.lock").touch()
    holder = subprocess.Popen(["flock", str(broken.path / ".offsite.lock"), "sh", "-c", "echo held; sleep 60"],
                              stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        answer = broken.copy()
    finally:
        holder.kill()
        holder.wait()
    assert "another run holds" in answer["reason"]
    assert proxy.requests == []
