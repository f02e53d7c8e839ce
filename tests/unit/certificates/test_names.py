# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a certificate is valid for (RFC 9525)."""

from __future__ import annotations

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._certificates.names import is_valid_for, plain_name
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["www.example.com"], "www.example.com"),
        (["WWW.Example.com"], "www.example.COM."),
        (["*.example.com"], "www.example.com"),
        (["*.example.com"], "*.example.com"),
        (["xn--bcher-kva.example"], "bücher.example"),
        (["192.0.2.7"], "192.0.2.7"),
        (["2001:db8::7"], "2001:DB8:0::7"),
        (["fe80::1"], "fe80::1%eth0"),
        (["other.example", "www.example.com"], "www.example.com"),
    ],
)
def test_valid(names: list[str], wanted: str) -> None:
    assert is_valid_for(names, wanted)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], "www.example.com"),
        (["example.com"], "www.example.com"),
        (["*.example.com"], "example.com"),
        (["*.example.com"], "a.www.example.com"),
        (["*.example.com"], ".example.com"),
        (["w*.example.com"], "www.example.com"),
        (["*.com"], "example.com"),
        (["*"], "localhost"),
        (["192.0.2.7"], "192.0.2.70"),
        (["*.0.2.7"], "192.0.2.7"),
        (["www.example.com"], "192.0.2.7"),
        (["192.0.2.7"], "www.example.com"),
    ],
)
def test_not_valid(names: list[str], wanted: str) -> None:
    assert not is_valid_for(names, wanted)


def test_what_is_no_name_is_refused() -> None:
    with pytest.raises(InputError, match="is no DNS name"):
        plain_name("ü" * 80)
