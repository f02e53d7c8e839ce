# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWS is asked, for all that we ask of it: who asks, where, how long an answer may take, how often it is tried.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import typing as t

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:  # told by AwsSession(), where somebody can read it
    boto3 = None

#: What the SDK raises: without it nothing does.
BotoCoreError: t.Any = botocore.exceptions.BotoCoreError if boto3 else OSError
ClientError: t.Any = botocore.exceptions.ClientError if boto3 else ConnectionError

#: Where services that are everywhere, like IAM, have their endpoint.
_GLOBAL = {"iam": "us-east-1", "sts": "us-east-1"}


class AwsUnusable(Exception):
    """The SDK is missing, or cannot make anything of the settings; the text says which."""


@dataclasses.dataclass(frozen=True)
class AwsSettings:
    """Where AWS is and who asks. Empty texts leave the choice to the SDK."""

    region: str = ""
    endpoint_url: str = ""
    access_key: str = ""
    secret_key: str = dataclasses.field(default="", repr=False)
    session_token: str = dataclasses.field(default="", repr=False)
    profile: str = ""
    ca_cert: str = ""
    timeout: int = 20
    attempts: int = 4


class AwsSession:
    """One who asks.

    :raises AwsUnusable: when that cannot be.
    """

    def __init__(self, settings: AwsSettings) -> None:
        if boto3 is None:
            raise AwsUnusable("boto3 is missing for this Python: install python3-boto3, or boto3 with pip")
        self.settings = settings
        with _told():
            self._session: t.Any = boto3.session.Session(
                aws_access_key_id=settings.access_key or None,
                aws_secret_access_key=settings.secret_key or None,
                aws_session_token=settings.session_token or None,
                profile_name=settings.profile or None,
                region_name=settings.region or None,
            )

    @property
    def access_key(self) -> str:
        """Who asks, as far as that is known without asking."""
        with _told():
            credentials = self._session.get_credentials()
        return credentials.access_key if credentials else ""

    def client(self, service: str, attempts: int = 0) -> t.Any:
        """:param attempts: how often a request is made at most; as the settings have it when 0."""
        settings = self.settings
        with _told():
            return self._session.client(
                service,
                region_name=settings.region or _GLOBAL.get(service),
                endpoint_url=settings.endpoint_url or None,
                verify=settings.ca_cert or None,
                config=botocore.config.Config(
                    connect_timeout=settings.timeout,
                    read_timeout=settings.timeout,
                    # An answer that was lost is asked for again.
                    retries={"mode": "standard", "total_max_attempts": attempts or settings.attempts},
                ),
            )


@contextlib.contextmanager
def _told() -> t.Iterator[None]:
    try:
        yield
    except (BotoCoreError, OSError, ValueError) as exc:
        raise AwsUnusable(f"AWS cannot be asked with these settings: {exc}") from exc


def code_of(exc: t.Any) -> str:
    """The code of a refusal; its words may quote what was sent, so they are not told."""
    return str(exc.response.get("Error", {}).get("Code", ""))


def why_not(exc: Exception) -> str:
    """Why there is no answer, in our own words."""
    kinds = botocore.exceptions
    if isinstance(exc, (kinds.NoCredentialsError, kinds.PartialCredentialsError)):
        return "there are no credentials: give access_key and secret_key, a profile, or what the SDK reads by itself"
    if isinstance(exc, (kinds.ConnectTimeoutError, kinds.ReadTimeoutError)):
        return "it did not answer in time"
    if isinstance(exc, kinds.SSLError):
        return "no trusted TLS connection"
    return "no connection" if isinstance(exc, kinds.HTTPClientError) else type(exc).__name__


def moment_of(value: t.Any) -> datetime.datetime | None:
    return value.astimezone(datetime.timezone.utc) if isinstance(value, datetime.datetime) else None
