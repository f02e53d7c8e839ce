# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server (moto's) in a process of its own, on loopback; it ends with its test, after 15 minutes anyway."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.error
import urllib.request

from .postgres import free_port

ACCESS_KEY = "AKIAEXAMPLEOFTESTS"
SECRET_KEY = "kanarienvogel-3f9a1c7e"  # the canary: see support.canary

_LONGEST_LIFE = 900
_PATIENCE = 60
#: As small as moto allows, so that a few hundred kilobytes are a large file.
LEAST_PART = 64 * 2**10


def without_credentials() -> dict[str, str]:
    """An environment from which the SDK can take neither credentials nor another store."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"AWS_|.*_proxy$", name, re.IGNORECASE)}
    nowhere = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    return {**kept, **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}


class S3Server:
    """Use as a context manager. `client` is a plain boto3 client that looks at the server from outside."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)

    def __enter__(self) -> S3Server:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]
        environment = {**without_credentials(), "S3_UPLOAD_PART_MIN_SIZE": str(LEAST_PART)}
        self._process = subprocess.Popen(
            ["timeout", "--kill-after=5", str(_LONGEST_LIFE), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self._process.poll() is None, f"the S3 server ended: {self.log()}"
            assert time.monotonic() < deadline, f"the S3 server does not answer: {self.log()}"
            time.sleep(0.1)
        self.client = client_of(self.url)
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._process is not None
        # `timeout` hands the signal on to its command, and both are in a group of their own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)
        self._log.close()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):  # noqa: S310 (our own loopback server)
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")


def client_of(url: str) -> t.Any:
    import boto3
    import botocore.config

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        verify=False,
    )


class Bucket:
    """One bucket of a server, seen from outside, and the arguments with which the modules find it."""

    def __init__(self, server: S3Server, name: str, lock: bool = False) -> None:
        self.server = server
        self.name = name
        self.client = server.client
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)

    def arguments(self, **more: t.Any) -> dict[str, t.Any]:
        return {
            "bucket": self.name,
            "endpoint_url": self.server.url,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "part_bytes": LEAST_PART,
            "attempts": 3,
            "read_timeout": 20,
            **more,
        }

    def listing(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def uploads(self) -> list[str]:
        return [entry["Key"] for entry in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def tree(self) -> dict[str, tuple[str, str]]:
        """Each key with its ETag and the moment it was written, to see that nothing was touched."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        found = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"]: (entry["ETag"], str(entry["LastModified"])) for entry in found}
