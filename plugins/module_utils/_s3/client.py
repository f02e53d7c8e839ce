# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket, through boto3: one call at a time, tried again with growing random pauses, listings that never pile up.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
import time
import typing as t

from .errors import S3Error, refusal
from .listing import Listed, listed_in, register
from .settings import StoreSettings

try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError:  # told by Store(), where somebody can read it
    boto3 = None

_LONGEST_PAUSE = 20
#: Without these two, boto3 1.36 and newer add checksums of their own to each request, which most stores do not know.
_ONLY_WHAT_IS_ASKED = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}


@dataclasses.dataclass(frozen=True)
class Stored:
    """One object as a listing tells it."""

    key: str
    bytes: int
    etag: str
    modified: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Upload:
    """An upload in parts that was begun and not ended."""

    key: str
    id: str
    begun: datetime.datetime


class Store:
    """One bucket. May be used by several threads at the same time.

    :raises S3Error: from every method, naming the cause.
    """

    def __init__(self, settings: StoreSettings) -> None:
        if boto3 is None:
            raise S3Error("boto3 is missing for this Python: install python3-boto3, or boto3 with pip")
        self.settings = settings
        self._listing_client: t.Any = None
        try:
            session = boto3.session.Session(
                aws_access_key_id=settings.access_key or None,
                aws_secret_access_key=settings.secret_key or None,
                aws_session_token=settings.session_token or None,
                profile_name=settings.profile or None,
                region_name=settings.region or None,
            )
            self._session = session
            self._client: t.Any = self._new_client()
        except (botocore.exceptions.BotoCoreError, OSError, ValueError) as exc:
            raise S3Error(f"the store cannot be reached with these settings: {exc}") from exc

    def call(self, operation: str, key: str = "", client: t.Any = None, **params: t.Any) -> dict[str, t.Any]:
        """One request of the bucket. `operation` is the method of boto3's client."""
        if key:
            params["Key"] = key
        place = f"s3://{self.settings.bucket}/{key or params.get('Prefix', '')}"
        try:
            answer: dict[str, t.Any] = getattr(client or self._client, operation)(Bucket=self.settings.bucket, **params)
        except botocore.exceptions.ClientError as exc:
            raise refusal(exc.operation_name, place, exc.response) from exc
        except botocore.exceptions.BotoCoreError as exc:
            raise self._no_answer(exc) from exc
        return answer

    def knows(self, operation: str, parameter: str) -> bool:
        """Whether this version of the SDK knows a parameter of an operation."""
        return parameter in self._client.meta.service_model.operation_model(operation).input_shape.members

    def objects(self, prefix: str) -> t.Iterator[Stored]:
        """All objects whose key begins so, in the order of their keys; one page in memory at a time."""
        for page in self._pages("list_objects_v2", {"ContinuationToken": "NextContinuationToken"}, Prefix=prefix):
            for entry in page.get("Contents", []):
                yield Stored(entry["Key"], int(entry["Size"]), entry["ETag"].strip('"'), entry["LastModified"])

    def keys(self, prefix: str) -> t.Iterator[Listed]:
        """Key, size and ETag of all objects whose key begins so, in the order of their keys; for very many of them."""
        following = {"ContinuationToken": "NextContinuationToken"}
        for page in self._pages("list_objects_v2", following, client=self._lister(), Prefix=prefix):
            yield from listed_in(page)

    def directories(self, prefix: str) -> list[str]:
        """The words that come next after a prefix that ends in a slash."""
        pages = self._pages(
            "list_objects_v2", {"ContinuationToken": "NextContinuationToken"}, Prefix=prefix, Delimiter="/"
        )
        return [
            entry["Prefix"][len(prefix) :].rstrip("/") for page in pages for entry in page.get("CommonPrefixes", [])
        ]

    def versions(self, prefix: str) -> t.Iterator[tuple[str, str, str]]:
        """Every version below a prefix and every mark of a deletion: key, version, ETag (empty for a mark)."""
        following = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        for page in self._pages("list_object_versions", following, Prefix=prefix):
            for entry in page.get("Versions", []):
                yield entry["Key"], entry["VersionId"], entry.get("ETag", "").strip('"')
            for entry in page.get("DeleteMarkers", []):
                yield entry["Key"], entry["VersionId"], ""

    def uploads(self, prefix: str) -> t.Iterator[Upload]:
        following = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        for page in self._pages("list_multipart_uploads", following, Prefix=prefix):
            for entry in page.get("Uploads", []):
                yield Upload(entry["Key"], entry["UploadId"], entry["Initiated"])

    def parts(self, upload: Upload) -> t.Iterator[dict[str, t.Any]]:
        following = {"PartNumberMarker": "NextPartNumberMarker"}
        for page in self._pages("list_parts", following, key=upload.key, UploadId=upload.id):
            yield from page.get("Parts", [])

    def head(self, key: str) -> dict[str, t.Any]:
        mode = {"ChecksumMode": "ENABLED"} if self.knows("HeadObject", "ChecksumMode") else {}
        return self.call("head_object", key, **mode)

    def read(self, key: str, first: int = 0, count: int | None = None, etag: str = "") -> bytes:
        """An object's bytes, or `count` of them from `first` on; of the very object that bears `etag`, if given.

        A stream that breaks off is begun again: the SDK tries again only until the answer begins.
        """
        asked: dict[str, t.Any] = {} if count is None else {"Range": f"bytes={first}-{first + count - 1}"}
        if etag:
            asked["IfMatch"] = f'"{etag}"'
        for attempt in range(1, self.settings.attempts + 1):
            answer = self.call("get_object", key, **asked)
            try:
                data: bytes = answer["Body"].read()
            except (botocore.exceptions.BotoCoreError, OSError) as exc:
                broken = f"the answer broke off ({type(exc).__name__})"
            else:
                if count is None or len(data) == count:
                    return data
                broken = f"{len(data)} bytes came instead of {count}"
            if attempt < self.settings.attempts:
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.5 * 2**attempt)))  # noqa: S311 (spreads the load)
        place = f"s3://{self.settings.bucket}/{key}"
        raise S3Error(f"{place} cannot be fetched: in {self.settings.attempts} attempts {broken}")

    def _new_client(self) -> t.Any:
        return self._session.client(
            "s3",
            endpoint_url=self.settings.endpoint_url or None,
            region_name=self.settings.region or self._session.region_name or "us-east-1",
            verify=self.settings.ca_cert or None,
            config=_config(self.settings),
        )

    def _lister(self) -> t.Any:
        """A client of its own, for all that a client is asked for is answered in its way."""
        if self._listing_client is None:
            self._listing_client = self._new_client()
            register(self._listing_client)
        return self._listing_client

    def _pages(self, operation: str, following: t.Mapping[str, str], **params: t.Any) -> t.Iterator[dict[str, t.Any]]:
        """:param following: the parameter of the next request, and where the last answer says its value."""
        more: dict[str, t.Any] = {}
        while True:
            page = self.call(operation, **params, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            fresh = {name: page[source] for name, source in following.items() if page.get(source)}
            if not fresh or fresh == more:
                # Without a place to go on from, the rest would be taken for absent.
                raise S3Error(
                    f"the store's listing of s3://{self.settings.bucket} breaks off without saying how to go on"
                )
            more = fresh

    def _no_answer(self, exc: Exception) -> S3Error:
        """The error for a request to which no answer came; the SDK's own texts quote URLs at most."""
        where = self.settings.endpoint_url or "the store"
        words = botocore.exceptions
        tries = f"in {self.settings.attempts} attempts"
        for kinds, text in (
            ((words.NoCredentialsError, words.PartialCredentialsError, words.CredentialRetrievalError),
             "there are no credentials: give access_key and secret_key, a profile, or what the SDK reads by itself"),
            ((words.ProfileNotFound,), f"there is no profile {self.settings.profile!r} in the SDK's files"),
            ((words.SSLError,), f"no trusted TLS connection to {where}: {_tls_cause(exc)}; see ca_cert"),
            ((words.ConnectTimeoutError, words.ReadTimeoutError), f"{where} did not answer in time, {tries}"),
            ((words.EndpointConnectionError, words.ProxyConnectionError), f"{where} cannot be reached: no connection"),
            ((words.ConnectionClosedError, words.HTTPClientError),
             f"{where} broke the connection off, {tries}"),
        ):  # fmt: skip
            if isinstance(exc, kinds):
                return S3Error(text)
        return S3Error(f"the request to {where} failed: {exc}")


def _tls_cause(exc: Exception) -> str:
    told = str(exc)
    for cause in ("certificate has expired", "self-signed certificate", "self signed certificate", "Hostname mismatch"):
        if cause in told:
            return cause
    return "the certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in told else "the handshake failed"


def _config(settings: StoreSettings) -> t.Any:
    style = settings.addressing_style
    if style == "auto" and settings.endpoint_url:
        style = "path"  # a store of one's own seldom has a name for each bucket
    options: dict[str, t.Any] = {
        "connect_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        # Jitter, growing pauses and a common budget of all threads are in this mode.
        "retries": {"mode": "standard", "total_max_attempts": settings.attempts},
        "max_pool_connections": 2 * settings.streams,
        "s3": {"addressing_style": style},
        "signature_version": "s3v4",
    }
    try:
        return botocore.config.Config(**options, **_ONLY_WHAT_IS_ASKED)
    except TypeError:  # an SDK that is too old to know them does not do it either
        return botocore.config.Config(**options)
