# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict layer in front of moto's Secrets Manager: the documented rules that moto does not enforce.

- A ClientRequestToken has 32 to 64 characters. Again with the same value it changes nothing, with another one it is
  refused (moto overwrites a pending version).
- A label that is on a version moves only when RemoveFromVersionId names that version (moto checks AWSCURRENT alone),
  and AWSCURRENT is never just taken off.
- A list comes in pages, of two versions here (moto gives all at once, whatever there are).
- A version without a label may be dropped at any time, see :meth:`prune`, and then nobody reads or labels it again.
- A value has 65,536 bytes at most.
- A version without a label is not listed unless it is asked for, and each has its own date (moto says: now).
- AWSPENDING may be on a version without a value, which cannot be read.

It also breaks what it is told to, by the name of the operation, as support.s3_faults does.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import typing as t

from ansible_collections.steward.maintenance.plugins.module_utils._secrets.aws_session import AwsSettings
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.store_aws import Aws

from .s3_faults import Action, Answer, Fault, FaultyStore, Request

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_PAGE = 2
_LARGEST = 65536


def refusal(code: str, message: str = "", status: int = 400) -> Answer:
    body = json.dumps({"__type": code, "message": message}).encode()
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1"}, body)


def refusing(code: str, message: str = "", status: int = 400) -> Action:
    return lambda _request, _forward: refusal(code, message, status)


class StrictSecretsManager(FaultyStore):
    """Use as a context manager. Faults are chosen by "POST /PutSecretValue" and so on."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._values: dict[tuple[str, str], str] = {}
        self._created: dict[tuple[str, str], float] = {}
        self._empty: dict[str, str] = {}
        self._one = threading.RLock()
        self._pruned: set[tuple[str, str]] = set()
        #: PutSecretValue without VersionStages, which moves AWSCURRENT at once.
        self.moved_current: list[str] = []

    def plant_empty_pending(self, secret: str, token: str) -> None:
        """As a rotation of the service itself leaves it that failed before it made a value."""
        self._empty[secret] = token

    def prune(self, secret: str, version: str) -> None:
        """Drop a version, as the service does it with what has no label; with a label it does not."""
        self._pruned.add((secret, version))

    def make_older(self, secret: str, days: float) -> None:
        for key in self._created:
            if key[0] == secret:
                self._created[key] -= days * 86400

    def fault_for(self, request: Request) -> Fault | None:
        return super().fault_for(dataclasses.replace(request, path=f"/{_operation(request)}"))

    def forward(self, request: Request, checked: bool = True) -> Answer:
        del checked
        operation, asked = _operation(request), json.loads(request.body or b"{}")
        with self._one:
            rule = getattr(self, f"_{operation}", None)
            return t.cast("Answer", rule(request, asked)) if rule else super().forward(request, checked=False)

    # -- the rules -----------------------------------------------------------------------------------------------

    def _CreateSecret(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802 (names of operations)
        token = asked.get("ClientRequestToken", "")
        if not 32 <= len(token) <= 64:
            return refusal("ValidationException", "ClientRequestToken")
        if len(asked.get("SecretString", "").encode()) > _LARGEST:
            return refusal("InvalidParameterException", "SecretString")
        key = (asked["Name"], token)
        if key in self._values and self._values[key] != asked.get("SecretString"):
            return refusal("ResourceExistsException")
        return self._noting(key, asked, super().forward(request, checked=False))

    def _PutSecretValue(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802
        token = asked.get("ClientRequestToken", "")
        if not 32 <= len(token) <= 64:
            return refusal("ValidationException", "ClientRequestToken")
        if len(asked["SecretString"].encode()) > _LARGEST:
            return refusal("InvalidParameterException", "SecretString")
        if "VersionStages" not in asked:
            self.moved_current.append(token)
        key = (asked["SecretId"], token)
        if key in self._values:
            if self._values[key] != asked["SecretString"]:
                return refusal("ResourceExistsException", f"the token {token} is in use for another value")
            stages = self._labels(request, asked["SecretId"]).get(token, [])
            body = {"ARN": "arn", "Name": asked["SecretId"], "VersionId": token, "VersionStages": stages}
            return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode())
        if _PENDING in asked.get("VersionStages", []):
            self._empty.pop(asked["SecretId"], None)
        return self._noting(key, asked, super().forward(request, checked=False))

    def _UpdateSecretVersionStage(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802
        secret, label = asked["SecretId"], asked["VersionStage"]
        to, off = asked.get("MoveToVersionId"), asked.get("RemoveFromVersionId")
        bearer = next((v for v, labels in self._labels(request, secret).items() if label in labels), None)
        invalid = "InvalidParameterException"
        if not to and not off:
            return refusal(invalid, "neither MoveToVersionId nor RemoveFromVersionId")
        if off and bearer != off:
            return refusal(invalid, f"{label} is not on {off}")
        if to and bearer not in (None, to) and off != bearer:
            return refusal(invalid, f"{label} is on {bearer}: name it in RemoveFromVersionId")
        if to and (secret, to) in self._gone(request, secret):
            return refusal("ResourceNotFoundException", f"there is no version {to}")
        if label == _CURRENT and not to:
            return refusal(invalid, "AWSCURRENT cannot be taken off")
        if to and bearer == to:
            return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, b"{}")
        if off and self._empty.get(secret) == off:
            del self._empty[secret]
            return Answer(200, {"Content-Type": "application/x-amz-json-1.1"}, b"{}")
        return super().forward(request, checked=False)

    def _GetSecretValue(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802
        empty = self._empty.get(asked["SecretId"])
        if empty and (asked.get("VersionId") == empty or asked.get("VersionStage") == _PENDING):
            return refusal("ResourceNotFoundException", "there is no value for the staging label AWSPENDING")
        if (asked["SecretId"], asked.get("VersionId")) in self._gone(request, asked["SecretId"]):
            return refusal("ResourceNotFoundException", "there is no such version")
        return super().forward(request, checked=False)

    def _ListSecretVersionIds(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802
        answer = super().forward(request, checked=False)
        if answer.status == 500:  # moto falls over a secret that is not there
            return refusal("ResourceNotFoundException")
        if answer.status != 200:
            return answer
        body = json.loads(answer.body)
        secret = asked["SecretId"]
        for entry in body["Versions"]:
            entry["CreatedDate"] = self._created.get((secret, entry["VersionId"]), entry["CreatedDate"])
        if secret in self._empty:
            body["Versions"].append(
                {"VersionId": self._empty[secret], "VersionStages": [_PENDING], "CreatedDate": time.time()}
            )
        body["Versions"] = [
            entry
            for entry in body["Versions"]
            if entry["VersionStages"]
            or (asked.get("IncludeDeprecated") and (secret, entry["VersionId"]) not in self._pruned)
        ]
        if not asked.get("everything"):
            begin = int(asked.get("NextToken") or 0)
            rest = body["Versions"][begin + _PAGE :]
            body["Versions"] = body["Versions"][begin : begin + _PAGE]
            body.pop("NextToken", None)
            if rest:
                body["NextToken"] = str(begin + _PAGE)
        return dataclasses.replace(answer, body=json.dumps(body).encode())

    def _RotateSecret(self, request: Request, asked: dict[str, t.Any]) -> Answer:  # noqa: N802
        labels = self._labels(request, asked["SecretId"])
        pending = [version for version, stages in labels.items() if _PENDING in stages and _CURRENT not in stages]
        if pending:
            return refusal("InvalidRequestException", "a previous rotation isn't complete")
        return super().forward(request, checked=False)

    def _noting(self, key: tuple[str, str], asked: dict[str, t.Any], answer: Answer) -> Answer:
        if answer.status == 200:
            self._values[key] = asked.get("SecretString", "")
            self._created[key] = time.time()
        return answer

    def _gone(self, request: Request, secret: str) -> set[tuple[str, str]]:
        """What was dropped and has no label: with one, the service keeps it."""
        labels = self._labels(request, secret) if self._pruned else {}
        return {key for key in self._pruned if not labels.get(key[1])}

    def _labels(self, request: Request, secret: str) -> dict[str, list[str]]:
        headers = {
            name: "secretsmanager.ListSecretVersionIds" if name.lower() == "x-amz-target" else value
            for name, value in request.headers.items()
            if name.lower() != "content-length"
        }
        body = json.dumps({"SecretId": secret, "IncludeDeprecated": True}).encode()
        asked = dataclasses.replace(request, headers={**headers, "Content-Length": str(len(body))}, body=body)
        everything = {"SecretId": secret, "IncludeDeprecated": True, "everything": True}
        answer = self._ListSecretVersionIds(asked, everything)
        versions = json.loads(answer.body).get("Versions", [])
        return {entry["VersionId"]: entry["VersionStages"] for entry in versions}


def _operation(request: Request) -> str:
    target = next((value for name, value in request.headers.items() if name.lower() == "x-amz-target"), "")
    return target.rpartition(".")[2]


def aws_store(manager: StrictSecretsManager, name: str) -> Aws:
    """A secret behind the layer, as the modules would open it."""
    return Aws(AwsSettings("eu-central-1", manager.url, "AKIAEXAMPLE", "not-looked-at", timeout=5, attempts=2), name)
