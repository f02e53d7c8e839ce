# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access keys of an IAM user of AWS.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

- A user has two keys at most, closed ones included.
- A new key is not known everywhere at once: it is tried until it is let in.
- It is tried with GetCallerIdentity, which no policy can forbid. The service counts that as use of the key.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .provider import Key, ProviderError

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:  # told by Iam(), where somebody can read it
    boto3 = None

_ABSENT = "NoSuchEntity"
_ACTIVE, _INACTIVE = "Active", "Inactive"
#: What GetCallerIdentity answers to a key that is closed, not known (yet), or whose secret is another one.
_REFUSALS = {
    "InvalidClientTokenId": "the key is not known, or closed",
    "SignatureDoesNotMatch": "the secret does not belong to the key, or the clock is wrong",
}
_CAUSES = {
    "AccessDenied": "the credentials may not do this",
    "InvalidClientTokenId": "the credentials are not known",
    "SignatureDoesNotMatch": "the secret key does not fit the access key, or the clock is wrong",
    "ExpiredToken": "the session token has expired",
    "LimitExceeded": "the user has two keys already",
    "NoSuchEntity": "there is no such user, or it has no such key",
    "ServiceFailure": "the service has an error of its own",
    "Throttling": "it is asked too often",
}
#: Global IAM has its endpoint there.
_REGION = "us-east-1"


@dataclasses.dataclass(frozen=True)
class IamSettings:
    """Where IAM is and who asks. Empty texts leave the choice to the SDK."""

    region: str = ""
    endpoint_url: str = ""
    access_key: str = ""
    secret_key: str = dataclasses.field(default="", repr=False)
    session_token: str = dataclasses.field(default="", repr=False)
    profile: str = ""
    ca_cert: str = ""
    timeout: int = 20
    attempts: int = 4


class Iam:
    """The access keys of one user."""

    id_field, secret_field = "access_key_id", "secret_access_key"

    def __init__(self, settings: IamSettings, user: str) -> None:
        if boto3 is None:
            raise ProviderError("boto3 is missing for this Python: install python3-boto3, or boto3 with pip")
        self.settings = settings
        self.user = user
        try:
            session = boto3.session.Session(
                aws_access_key_id=settings.access_key or None,
                aws_secret_access_key=settings.secret_key or None,
                aws_session_token=settings.session_token or None,
                profile_name=settings.profile or None,
                region_name=settings.region or None,
            )
            credentials = session.get_credentials()
            #: The key with which we ask. It cannot be the one that is closed and deleted in the end.
            self.asking: str = credentials.access_key if credentials else ""
            self._client: t.Any = self._client_of(session, "iam", settings.attempts)
            # An answer that is lost must not make the SDK ask for one more key: the caller looks for the lost one.
            self._making: t.Any = self._client_of(session, "iam", 1)
        except (botocore.exceptions.BotoCoreError, OSError, ValueError) as exc:
            raise ProviderError(f"{self.place} cannot be reached with these settings: {exc}") from exc

    @property
    def place(self) -> str:
        return f"IAM user {self.user}"

    def list_keys(self) -> list[Key]:
        found: list[t.Mapping[str, t.Any]] = []
        more: dict[str, t.Any] = {}
        while True:
            page = self._call("list_access_keys", UserName=self.user, **more)
            found += page["AccessKeyMetadata"]
            if not page.get("IsTruncated"):
                break
            more = {"Marker": page["Marker"]}
        return [
            Key(
                entry["AccessKeyId"],
                entry["Status"] == _ACTIVE,
                _moment(entry.get("CreateDate")),
                self._used(entry["AccessKeyId"]),
            )
            for entry in found
        ]

    def create(self) -> dict[str, str]:
        made = self._call("create_access_key", self._making, UserName=self.user)["AccessKey"]
        return {self.id_field: made["AccessKeyId"], self.secret_field: made["SecretAccessKey"]}

    def refusal(self, value: t.Mapping[str, t.Any]) -> str:
        session = boto3.session.Session(
            aws_access_key_id=value[self.id_field],
            aws_secret_access_key=value[self.secret_field],
            region_name=self.settings.region or _REGION,
        )
        try:
            told = self._client_of(session, "sts", 1).get_caller_identity()
        except botocore.exceptions.ClientError as exc:
            code = str(exc.response.get("Error", {}).get("Code", ""))
            if code in _REFUSALS:
                return _REFUSALS[code]
            raise ProviderError(f"whether the key is let in cannot be seen: STS answers {code}") from None
        except botocore.exceptions.BotoCoreError as exc:
            raise ProviderError(f"whether the key is let in cannot be seen: {type(exc).__name__}") from None
        arn = str(told["Arn"])
        return "" if arn.endswith(f"/{self.user}") else f"the key is one of {arn}, not of {self.user}"

    def enable(self, key: str) -> None:
        self._call("update_access_key", UserName=self.user, AccessKeyId=key, Status=_ACTIVE)

    def disable(self, key: str) -> None:
        self._call("update_access_key", UserName=self.user, AccessKeyId=key, Status=_INACTIVE)

    def delete(self, key: str) -> None:
        try:
            self._call("delete_access_key", UserName=self.user, AccessKeyId=key)
        except _Refused as exc:
            if exc.code != _ABSENT or any(found.id == key for found in self.list_keys()):
                raise

    def _used(self, key: str) -> datetime.datetime | None:
        told = self._call("get_access_key_last_used", AccessKeyId=key)
        return _moment(told.get("AccessKeyLastUsed", {}).get("LastUsedDate"))

    def _client_of(self, session: t.Any, service: str, attempts: int) -> t.Any:
        return session.client(
            service,
            region_name=self.settings.region or _REGION,
            endpoint_url=self.settings.endpoint_url or None,
            verify=self.settings.ca_cert or None,
            config=botocore.config.Config(
                connect_timeout=self.settings.timeout,
                read_timeout=self.settings.timeout,
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )

    def _call(self, operation: str, client: t.Any = None, **params: t.Any) -> dict[str, t.Any]:
        try:
            answer: dict[str, t.Any] = getattr(client or self._client, operation)(**params)
        except botocore.exceptions.ClientError as exc:
            code = str(exc.response.get("Error", {}).get("Code", ""))
            raise _Refused(f"{self.place}: {exc.operation_name} is refused: {_CAUSES.get(code, code)}", code) from None
        except botocore.exceptions.BotoCoreError as exc:
            raise ProviderError(f"{self.place} cannot be reached: {type(exc).__name__}") from None
        return answer


class _Refused(ProviderError):
    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _moment(value: t.Any) -> datetime.datetime | None:
    return value.astimezone(datetime.timezone.utc) if isinstance(value, datetime.datetime) else None
