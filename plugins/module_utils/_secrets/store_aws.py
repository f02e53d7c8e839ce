# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One secret in AWS Secrets Manager, by its own rules for tokens and staging labels.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

What is easily got wrong, and is not left to the service:

- PutSecretValue without VersionStages moves AWSCURRENT at once. The label is always named.
- A ClientRequestToken that comes again with another value is an error. It is looked up first, and told as ours.
- A label that is on a version can only be moved by naming that version in RemoveFromVersionId.
- PutSecretValue with a label takes it off the version that has it. Only a version that is still pending is promoted.
- After a rotation AWSPENDING must be on no other version than AWSCURRENT, or RotateSecret takes it for one that still
  runs. It is taken off.
"""

from __future__ import annotations

import typing as t

from . import store
from .aws_session import AwsSession, AwsSettings, AwsUnusable, BotoCoreError, ClientError, code_of, moment_of, why_not
from .store import CURRENT, PENDING, PREVIOUS, Secret, StoreError, Value, Version, check_token

_LABELS = {CURRENT: "AWSCURRENT", PENDING: "AWSPENDING", PREVIOUS: "AWSPREVIOUS"}
_STAGES = {label: stage for stage, label in _LABELS.items()}
_ABSENT = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"
_INVALID = "InvalidParameterException"
#: Words of an error that may quote what was sent are not told; these codes say enough with our own words.
_CAUSES = {
    "AccessDeniedException": "the credentials may not do this",
    "UnrecognizedClientException": "the credentials are not known",
    "InvalidSignatureException": "the secret key does not fit the access key, or the clock is wrong",
    "ExpiredTokenException": "the session token has expired",
    "DecryptionFailure": "the key of KMS cannot be used to decrypt it",
    "EncryptionFailure": "the key of KMS cannot be used to encrypt it",
    "InvalidRequestException": "the secret is marked for deletion, or managed by a service",
    "InvalidParameterException": "a label or a version is not where it was expected",
    "LimitExceededException": "a limit of the account is reached",
    "InternalServiceError": "the service has an error of its own",
}


class Aws:
    """One secret, by its name or its ARN."""

    def __init__(self, settings: AwsSettings, name: str) -> None:
        self.settings = settings
        self.name = name
        try:
            self._client: t.Any = AwsSession(settings).client("secretsmanager")
        except AwsUnusable as exc:
            raise StoreError(str(exc)) from exc

    @property
    def place(self) -> str:
        return f"secret {self.name} in AWS Secrets Manager"

    def versions(self) -> list[Version]:
        found: list[Version] = []
        more: dict[str, t.Any] = {}
        while True:
            page = self._call("list_secret_version_ids", IncludeDeprecated=True, **more)
            if page is None:
                return []
            for entry in page.get("Versions", []):
                stages = tuple(_STAGES[label] for label in entry.get("VersionStages", []) if label in _STAGES)
                found.append(Version(entry["VersionId"], stages, moment_of(entry.get("CreatedDate"))))
            if not page.get("NextToken"):
                return found
            if more.get("NextToken") == page["NextToken"]:
                raise StoreError(f"{self.place}: the listing of versions breaks off without saying how to go on")
            more = {"NextToken": page["NextToken"]}

    def read(self, stage: str) -> Secret | None:
        return self._get(VersionStage=_LABELS[stage])

    def read_version(self, version: str) -> Secret | None:
        return self._get(VersionId=version)

    def create_first(self, token: str, value: Value) -> None:
        check_token(token)
        versions = self.versions()
        current = store.labelled(versions, CURRENT)
        if current:
            if current.id != token:
                raise StoreError(f"{self.place} has a current version already: {current.id}")
            self._refuse_another_value(token, value)
            return
        text = store.encode(value)
        if not self._exists():
            self._must("create_secret", ClientRequestToken=token, SecretString=text, named=False, Name=self.name)
        else:  # a secret that was made without a value
            self._put(token, value, CURRENT)

    def create_pending(self, token: str, value: Value) -> None:
        check_token(token)
        versions = self.versions()
        pending, current = store.labelled(versions, PENDING), store.labelled(versions, CURRENT)
        if pending and pending.id not in (token, current.id if current else ""):
            raise store.PendingElsewhere(f"{self.place}: version {pending.id} is pending")
        self._refuse_another_value(token, value)
        if current and current.id == token:
            return
        self._put(token, value, PENDING)
        pending = store.labelled(self.versions(), PENDING)
        if pending is None:
            # The service takes a token that it knows for done; the label may be off since it was withdrawn.
            self._label(PENDING, to=token)
        elif pending.id != token:
            raise store.PendingElsewhere(f"{self.place}: version {pending.id} became pending at this very moment")

    def promote(self, token: str, replaces: str = "") -> None:
        versions = self.versions()
        current, pending = store.labelled(versions, CURRENT), store.labelled(versions, PENDING)
        if current is None or current.id != token:
            if replaces and (current is None or current.id != replaces):
                raise store.Overtaken(f"{self.place}: {current.id if current else 'none'} is the current version now")
            # PutSecretValue takes AWSPENDING off another version without a word: who has it now is asked here.
            if pending is None or pending.id != token:
                raise StoreError(f"{self.place}: version {token} is not pending")
            try:
                # The service moves the label only off the version that is named: nobody else's move is lost.
                self._label(CURRENT, to=token, off=current.id if current else "")
            except _Refused as exc:
                if exc.code != _INVALID:
                    raise
                raise store.Overtaken(f"{self.place}: another version became current at this very moment") from None
        self._unlabel(PENDING, token)

    def restore(self, version: str, token: str) -> None:
        current = store.labelled(self.versions(), CURRENT)
        if current is None or current.id != version:
            self._label(CURRENT, to=version, off=current.id if current else "")
        # The service has put AWSPREVIOUS on the version that is taken back: nobody may fall back on that one.
        for stage in (PENDING, PREVIOUS):
            self._unlabel(stage, token)

    def withdraw(self, token: str) -> None:
        self._unlabel(PENDING, token)

    def retire(self, version: str) -> None:
        self._unlabel(PREVIOUS, version)

    def _put(self, token: str, value: Value, stage: str) -> None:
        try:
            self._must(
                "put_secret_value",
                ClientRequestToken=token,
                SecretString=store.encode(value),
                VersionStages=[_LABELS[stage]],
            )
        except _Refused as exc:
            if exc.code != _EXISTS:
                raise
            raise store.TokenReused(f"{self.place}: token {token} has made another value already") from None

    def _refuse_another_value(self, token: str, value: Value) -> None:
        present = self.read_version(token)
        if present is not None and dict(present.value) != dict(value):
            raise store.TokenReused(f"{self.place}: token {token} has made another value already")

    def _unlabel(self, stage: str, version: str) -> None:
        bearer = store.labelled(self.versions(), stage)
        if bearer and bearer.id == version:
            self._label(stage, off=version)

    def _label(self, stage: str, to: str = "", off: str = "") -> None:
        moves = {"MoveToVersionId": to, "RemoveFromVersionId": off}
        given: dict[str, t.Any] = {name: version for name, version in moves.items() if version}
        try:
            self._must("update_secret_version_stage", VersionStage=_LABELS[stage], **given)
        except _Refused as exc:
            # An answer that was lost makes the SDK ask again, and then the label is where it should be already.
            bearer = store.labelled(self.versions(), stage) if exc.code == _INVALID else None
            at = bearer.id if bearer else ""
            if exc.code != _INVALID or (at != to if to else at == off):
                raise

    def _get(self, **which: t.Any) -> Secret | None:
        answer = self._call("get_secret_value", **which)
        if answer is None or "SecretString" not in answer:
            return None
        where = f"version {answer['VersionId']} of {self.place}"
        return Secret(answer["VersionId"], store.decode(answer["SecretString"], where))

    def _exists(self) -> bool:
        return self._call("describe_secret") is not None

    def _must(self, operation: str, named: bool = True, **params: t.Any) -> dict[str, t.Any]:
        answer = self._call(operation, named, **params)
        if answer is None:
            raise StoreError(f"{self.place} does not exist, or has not the version that was asked for")
        return answer

    def _call(self, operation: str, named: bool = True, **params: t.Any) -> dict[str, t.Any] | None:
        """One request of the secret; nothing when it, or what is asked for of it, does not exist."""
        if named:
            params["SecretId"] = self.name
        try:
            answer: dict[str, t.Any] = getattr(self._client, operation)(**params)
        except ClientError as exc:
            code = code_of(exc)
            if code == _ABSENT:
                return None
            raise _Refused(f"{self.place} refuses {exc.operation_name}: {_CAUSES.get(code, code)}", code) from None
        except BotoCoreError as exc:
            raise StoreError(f"{self.place} cannot be reached: {why_not(exc)}") from None
        return answer


class _Refused(StoreError):
    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
