# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is renewed, whatever its lifetime is, and whatever its authority says."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from support.certificates import DAY, Authority

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.renewal import (
    Ari,
    AriFault,
    Moment,
    Window,
    moment_of,
    usual_moment,
    window_of,
)
from ansible_collections.steward.maintenance.plugins.module_utils._certificates.x509 import (
    Certificate,
    certificates_in,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import parse_time, utc_now, write_time

HOUR = datetime.timedelta(hours=1)
AUTHORITY = Authority()


def _certificate(days: float, left: float) -> Certificate:
    return certificates_in(AUTHORITY.issue("www.example.com", days=days, left=left).pem)[0]


def _silent() -> Window:
    raise AriFault("absent", "no word")


def _says(start: datetime.datetime, end: datetime.datetime, retry_after: float | None = None) -> t.Callable[[], Window]:
    return lambda: Window(start, end, "", retry_after)


def _moment(
    certificate: Certificate, ask: t.Callable[[], Window], kept: Ari | None = None, drawn: float = 0.5
) -> Moment:
    return moment_of(certificate, kept or Ari(), utc_now(), ask, lambda: drawn)


@pytest.mark.parametrize(
    ("days", "share"),
    [(90, 1 / 3), (64, 1 / 3), (47, 1 / 3), (45, 1 / 3), (160 / 24, 1 / 2), (6, 1 / 2), (0.25, 1 / 2)],
)
def test_a_share_of_any_lifetime_decides(days: float, share: float) -> None:
    certificate = _certificate(days, left=days - 0.001)
    moment = _moment(certificate, _silent)
    assert moment.source == "lifetime"
    left = (certificate.not_after - moment.at).total_seconds()
    assert abs(left / certificate.lifetime - share) < 0.001
    # At the moment it is issued nobody wants it issued again.
    assert moment.at > utc_now()
    assert usual_moment(_certificate(days, left=days * share * 0.99)) < utc_now()


@pytest.mark.parametrize("days", [90, 64, 47, 45, 6])
def test_no_run_of_a_whole_life_issues_too_often(days: float) -> None:
    """Looked at twice a day from the first to the last hour, it is due from one moment on."""
    certificate, due = _certificate(days, left=days), []
    for hour in range(0, int(days * 24), 12):
        now = certificate.not_before + hour * HOUR
        due.append(moment_of(certificate, Ari(), now, _silent, lambda: 0).at <= now)
    assert due == sorted(due)
    assert 0.3 < due.count(True) / len(due) < 0.6
    assert due.count(True) >= 5, "too few attempts are left"


def test_a_moment_of_the_window_is_drawn_and_kept() -> None:
    certificate, now = _certificate(90, 60), utc_now()
    first = _moment(certificate, _says(now + 10 * HOUR, now + 20 * HOUR))
    assert abs((first.at - now) - 15 * HOUR) < HOUR / 60
    assert first.source == "ari"

    def never() -> Window:
        raise AssertionError("asked too soon")

    assert _moment(certificate, never, first.ari, 0.9).at == first.at
    asked = Ari(**{**vars(first.ari), "asks_again": ""})
    same = _says(now + 10 * HOUR, now + 20 * HOUR)
    assert _moment(certificate, same, asked, 0.9).at == first.at
    assert _moment(certificate, _says(now - 2 * HOUR, now - HOUR), asked, 0.9).at < now


def test_a_window_that_leaves_no_time_is_cut_and_one_that_is_too_late_is_not_believed() -> None:
    certificate, now = _certificate(90, 60), utc_now()
    last = certificate.not_after - 15 * DAY
    assert _moment(certificate, _says(now, now + 1000 * DAY), drawn=1).at <= last + HOUR
    late = _moment(certificate, _says(last + HOUR, last + 2 * HOUR))
    assert (late.source, late.ari.fault) == ("lifetime", "too-late")


@pytest.mark.parametrize(
    ("retry_after", "hours"), [(None, 6), (0, 1 / 60), (7200, 2), (86400, 12), (10 * 365 * 86400, 12)]
)
def test_when_it_is_asked_again(retry_after: float | None, hours: float) -> None:
    now = utc_now()
    ari = _moment(_certificate(90, 60), _says(now + HOUR, now + 2 * HOUR, retry_after)).ari
    assert abs((parse_time(ari.asks_again) - now) - hours * HOUR) < datetime.timedelta(seconds=2)


def test_silence_keeps_what_was_heard_and_nonsense_does_not() -> None:
    certificate, now = _certificate(90, 60), utc_now()
    heard = Ari(**{**vars(_moment(certificate, _says(now + HOUR, now + 2 * HOUR)).ari), "asks_again": ""})
    for fault, source in (("unreachable", "ari"), ("malformed", "lifetime"), ("refused", "lifetime")):

        def ask(fault: str = fault) -> Window:
            raise AriFault(fault, "")

        moment = _moment(certificate, ask, heard)
        assert (moment.source, moment.ari.fault) == (source, fault)


def test_nobody_asks_about_a_certificate_that_has_ended_or_believes_what_was_said_of_another() -> None:
    def never() -> Window:
        raise AssertionError("asked")

    assert _moment(_certificate(90, -1), never).at < utc_now()
    certificate, now = _certificate(90, 60), utc_now()
    kept = Ari("another", chosen=write_time(now), asks_again=write_time(now + HOUR))
    assert _moment(certificate, _silent, kept).source == "lifetime"
    # A clock that was a year ahead when the last answer came.
    kept = Ari(certificate.fingerprint, asks_again=write_time(now + 365 * DAY))
    assert _moment(certificate, _silent, kept).ari.fault == "absent"


def test_moments_are_read_in_every_form_of_rfc_3339() -> None:
    texts = ("2026-11-26T10:00:00Z", "2026-11-26T12:00:00+02:00", "2026-11-26t10:00:00.123456789z")
    for start in texts:
        window = window_of({"suggestedWindow": {"start": start, "end": "2026-11-26T10:00:01.5Z"}})
        assert write_time(window.start) == texts[0]


@pytest.mark.parametrize(
    "answer",
    [
        None, [], {}, {"suggestedWindow": []}, {"suggestedWindow": {"start": "2026-11-26T10:00:00Z"}},
        {"suggestedWindow": {"start": 1, "end": 2}}, {"suggestedWindow": {"start": "now", "end": "later"}},
        {"suggestedWindow": {"start": "2026-11-26T10:00:00", "end": "2026-11-27T10:00:00"}},
        {"suggestedWindow": {"start": "2026-11-26T10:00:00Z", "end": "2026-11-26T10:00:00Z"}},
        {"suggestedWindow": {"start": "0001-01-01T00:00:00+23:00", "end": "9999-12-31T23:59:59-23:00"}},
    ],
)  # fmt: skip
def test_what_is_no_window_is_malformed(answer: t.Any) -> None:
    with pytest.raises(AriFault) as caught:
        window_of(answer)
    assert caught.value.name == "malformed"
