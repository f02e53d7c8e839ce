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

from .aws_session import AwsSession, AwsSettings, AwsUnusable, BotoCoreError, ClientError, code_of, moment_of, why_not
from .provider import Key, ProviderError

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


class Iam:
    """The access keys of one user."""

    id_field, secret_field = "access_key_id", "secret_access_key"

    def __init__(self, settings: AwsSettings, user: str) -> None:
        self.settings = settings
        self.user = user
        try:
            session = AwsSession(settings)
            #: The key with which we ask. It cannot be the one that is closed and deleted in the end.
            self.asking = session.access_key
            self._client: t.Any = session.client("iam")
            # An answer that is lost must not make the SDK ask for one more key: the caller looks for the lost one.
            self._making: t.Any = session.client("iam", attempts=1)
        except AwsUnusable as exc:
            raise ProviderError(str(exc)) from exc

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
                moment_of(entry.get("CreateDate")),
                self._used(entry["AccessKeyId"]),
            )
            for entry in found
        ]

    def create(self) -> dict[str, str]:
        made = self._call("create_access_key", self._making, UserName=self.user)["AccessKey"]
        return {self.id_field: made["AccessKeyId"], self.secret_field: made["SecretAccessKey"]}

    def refusal(self, value: t.Mapping[str, t.Any]) -> str:
        keys = {"access_key": value[self.id_field], "secret_key": value[self.secret_field]}
        as_that_key = dataclasses.replace(self.settings, **keys, session_token="", profile="")
        try:
            told = AwsSession(as_that_key).client("sts", attempts=1).get_caller_identity()
        except ClientError as exc:
            code = code_of(exc)
            if code in _REFUSALS:
                return _REFUSALS[code]
            raise ProviderError(f"whether the key is let in cannot be seen: STS answers {code}") from None
        except (BotoCoreError, AwsUnusable) as exc:
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
        return moment_of(told.get("AccessKeyLastUsed", {}).get("LastUsedDate"))

    def _call(self, operation: str, client: t.Any = None, **params: t.Any) -> dict[str, t.Any]:
        try:
            answer: dict[str, t.Any] = getattr(client or self._client, operation)(**params)
        except ClientError as exc:
            code = code_of(exc)
            raise _Refused(f"{self.place}: {exc.operation_name} is refused: {_CAUSES.get(code, code)}", code) from None
        except BotoCoreError as exc:
            raise ProviderError(f"{self.place} cannot be reached: {why_not(exc)}") from None
        return answer


class _Refused(ProviderError):
    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
