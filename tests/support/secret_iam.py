# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict layer in front of moto's IAM and STS: the documented rules that moto does not enforce.

- A user has two access keys at most, closed ones included (moto makes any number).
- GetCallerIdentity lets in nobody whose key is not known, is closed, or whose signature is by another secret (moto lets
  everybody in). A new key is not known everywhere at once: it is refused `delay` times first.
- A use of a key is noted, and told to the minute.

It also breaks what it is told to, by the name of the action, as support.s3_faults does.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import re
import threading
import typing as t
import urllib.parse
import uuid

from ansible_collections.steward.maintenance.plugins.module_utils._core.clock import utc_now, write_time
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.aws_session import AwsSettings
from ansible_collections.steward.maintenance.plugins.module_utils._secrets.provider_iam import Iam

from .s3_faults import Answer, Fault, FaultyStore, Request

_MOST = 2
_XML = {"Content-Type": "text/xml"}
_USED = (
    "<GetAccessKeyLastUsedResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><GetAccessKeyLastUsedResult>"
    "<UserName>{user}</UserName><AccessKeyLastUsed>{date}<ServiceName>sts</ServiceName><Region>us-east-1</Region>"
    "</AccessKeyLastUsed></GetAccessKeyLastUsedResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    "</GetAccessKeyLastUsedResponse>"
)


def refusal(code: str, status: int = 403, message: str = "no") -> Answer:
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        "<RequestId>r</RequestId></ErrorResponse>"
    )
    return Answer(status, _XML, body.encode())


class StrictIam(FaultyStore):
    """Use as a context manager. Faults are chosen by "POST /CreateAccessKey" and so on."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.secrets: dict[str, str] = {}
        self.used: dict[str, datetime.datetime] = {}
        #: How often a new key is refused before it is known.
        self.delay = 1
        #: How far the service's clock is ahead of ours.
        self.ahead = datetime.timedelta()
        self.most_seen = 0
        self._asked: collections.Counter[str] = collections.Counter()
        self._one = threading.RLock()

    def fault_for(self, request: Request) -> Fault | None:
        self._last = request  # the body comes later: the name is in no header of this protocol
        return None

    def forward(self, request: Request, checked: bool = True) -> Answer:
        del checked
        asked = dict(urllib.parse.parse_qsl(request.body.decode()))
        named = dataclasses.replace(request, path=f"/{asked.get('Action', '')}")
        fault = super().fault_for(named)
        if fault:
            return fault.action(request, self._strictly)
        return self._strictly(request)

    def _strictly(self, request: Request, checked: bool = True) -> Answer:
        del checked
        asked = dict(urllib.parse.parse_qsl(request.body.decode()))
        with self._one:
            rule = getattr(self, f"_{asked.get('Action')}", None)
            return t.cast("Answer", rule(request, asked)) if rule else super().forward(request, checked=False)

    # -- the rules -----------------------------------------------------------------------------------------------

    def _CreateAccessKey(self, request: Request, asked: dict[str, str]) -> Answer:  # noqa: N802
        if len(self.keys(request, asked["UserName"])) >= _MOST:
            return refusal("LimitExceeded", 409)
        answer = super().forward(request, checked=False)
        text = answer.body.decode()
        key, secret = (re.search(rf"<{name}>([^<]+)", text) for name in ("AccessKeyId", "SecretAccessKey"))
        assert key
        assert secret
        self.secrets[key.group(1)] = secret.group(1)
        self.most_seen = max(self.most_seen, len(self.keys(request, asked["UserName"])))
        return answer

    def _GetAccessKeyLastUsed(self, _request: Request, asked: dict[str, str]) -> Answer:  # noqa: N802
        used = self.used.get(asked["AccessKeyId"])
        date = f"<LastUsedDate>{write_time(used.replace(second=0))}</LastUsedDate>" if used else ""
        return Answer(200, _XML, _USED.format(user="u", date=date).encode())

    def _GetCallerIdentity(self, request: Request, _asked: dict[str, str]) -> Answer:  # noqa: N802
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = headers["authorization"]
        match = re.search(r"Credential=([^/]+)/", signed)
        assert match
        key = match.group(1)
        if self._asked[key] < self.delay:
            self._asked[key] += 1
            return refusal("InvalidClientTokenId")
        answer = super().forward(request, checked=False)
        user = re.search(r":user/([^<]+)", answer.body.decode())
        if key not in self.secrets or not user or self.keys(request, user.group(1)).get(key) != "Active":
            return refusal("InvalidClientTokenId")
        if _signature(request, headers, key, self.secrets[key]) not in signed:
            return refusal("SignatureDoesNotMatch")
        self.used[key] = utc_now() + self.ahead
        return answer

    def keys(self, request: Request, user: str) -> dict[str, str]:
        """Each key of a user, with its status."""
        body = urllib.parse.urlencode({"Action": "ListAccessKeys", "UserName": user, "Version": "2010-05-08"}).encode()
        scope = re.sub(r"/sts/", "/iam/", request.headers.get("Authorization", ""))
        headers = {**request.headers, "Authorization": scope, "Content-Length": str(len(body))}
        answer = super().forward(dataclasses.replace(request, headers=headers, body=body), checked=False)
        members = re.findall(r"<member>(.*?)</member>", answer.body.decode(), re.DOTALL)
        words = [dict(re.findall(r"<(\w+)>([^<]*)</", member)) for member in members]
        return {word["AccessKeyId"]: word["Status"] for word in words}


def _signature(request: Request, headers: dict[str, str], key: str, secret: str) -> str:
    """What the signature has to be, by botocore's own code."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    names = re.search(r"SignedHeaders=([^,]+)", headers["authorization"])
    scope = re.search(r"Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/", headers["authorization"])
    assert names
    assert scope
    region, service = scope.groups()
    auth = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), service, region)
    kept = {name: headers[name] for name in names.group(1).split(";")}
    url = f"http://{headers['host']}{request.path}"
    again: t.Any = botocore.awsrequest.AWSRequest(method="POST", url=url, data=request.body, headers=kept)
    again.context["timestamp"] = headers["x-amz-date"]
    words = auth.string_to_sign(again, auth.canonical_request(again))
    return str(auth.signature(words, again))


def iam_settings(layer: StrictIam) -> AwsSettings:
    return AwsSettings("us-east-1", layer.url, "AKIAADMINISTRATOR", "not-looked-at", timeout=5, attempts=2)


def new_user(layer: StrictIam) -> tuple[Iam, dict[str, str]]:
    """A user of its own, and its first key."""
    iam = Iam(iam_settings(layer), f"shop-{uuid.uuid4().hex[:12]}")
    iam._client.create_user(UserName=iam.user)
    return iam, iam.create()
