# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real compose project: docker-compose tells Podman, over its API socket, which containers to make, stop and start.

No image is downloaded. The one that is used is empty but for links: the programs of this host are mounted into it.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t
import uuid

from .postgres import wait_for

_BED = pathlib.Path(__file__).resolve().parent.parent / "bed"
_LINKS = ("bin", "lib", "lib64", "sbin")
_DIRECTORIES = ("dev", "etc", "proc", "run", "sys", "tmp", "usr", "var")


class ComposeProject:
    """Use as a context manager.

    :param directory: where the compose file is, and the env files.
    :param mounts: what the containers see of this host beside its programs, under the same names.
    """

    def __init__(self, directory: pathlib.Path, mounts: t.Iterable[str | os.PathLike[str]] = ()) -> None:
        self.directory = directory
        self.name = f"steward-{uuid.uuid4().hex[:12]}"
        self._place = pathlib.Path(tempfile.mkdtemp(prefix="steward-compose-"))
        self._socket = self._place / "api.sock"
        self._image = f"localhost/{self.name}:latest"
        self._mounts = [str(path) for path in mounts]
        self._service: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, "CONTAINERS_CONF": str(_BED / "containers.conf")}

    @property
    def command(self) -> list[str]:
        """The compose program, as words: what it has to know is in its environment, as it would be in a profile."""
        return [
            "env",
            # It is a program of the system's Python, which the libraries of the tests would disturb.
            "--unset=PYTHONPATH",
            f"DOCKER_HOST=unix://{self._socket}",
            f"COMPOSE_PROJECT_NAME={self.name}",
            "COMPOSE_HTTP_TIMEOUT=60",
            "docker-compose",
        ]

    @property
    def file(self) -> pathlib.Path:
        return self.directory / "docker-compose.yml"

    def __enter__(self) -> ComposeProject:
        try:
            self.podman("import", "-", self._image, given=_image())
            self._service = subprocess.Popen(
                ["podman", "system", "service", "--time=0", f"unix://{self._socket}"],
                stdin=subprocess.DEVNULL,
                env=self._environment,
            )
            wait_for(self._socket.exists, "Podman's API socket")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        # By its own name, whatever became of the compose file meanwhile.
        left = self.podman("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self.name}")
        if left.split():
            self.podman("rm", "--force", "--time=0", *left.split())
        self.podman("rmi", "--force", self._image)
        if self._service is not None:
            self._service.terminate()
            self._service.wait(20)
        shutil.rmtree(self._place)

    def write(self, services: t.Mapping[str, t.Mapping[str, t.Any]], **more: t.Any) -> None:
        """The compose file; JSON is YAML."""
        usual = {
            "image": self._image,
            "network_mode": "host",
            "stop_grace_period": "5s",
            "volumes": [f"{path}:{path}{how}" for path, how in self._volumes()],
        }
        content = {"services": {name: {**usual, **about} for name, about in services.items()}, **more}
        self.file.write_text(json.dumps(content, indent=1))

    def tell(self, *words: str) -> str:
        """What compose said; it has to end well."""
        done = subprocess.run(
            [*self.command, *words],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"docker-compose {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def running(self) -> dict[str, str]:
        """By name of the container, its identifier, from Podman itself."""
        mine = f"--filter=label=com.docker.compose.project={self.name}"
        told = self.podman("ps", "--no-trunc", "--format={{.Names}} {{.ID}}", "--filter=status=running", mine)
        return dict(t.cast("tuple[str, str]", tuple(line.split())) for line in told.splitlines())

    def processes(self, container: str) -> list[str]:
        """A command that prints the identifier of a container's first process."""
        conf = self._environment["CONTAINERS_CONF"]
        return ["env", f"CONTAINERS_CONF={conf}", "podman", "inspect", "--format", "{{.State.Pid}}", container]

    def podman(self, *words: str, given: bytes = b"") -> str:
        """What Podman itself said; it has to end well."""
        done = subprocess.run(
            ["podman", *words], input=given, capture_output=True, check=False, timeout=120, env=self._environment
        )
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr.decode()}"
        return done.stdout.decode()

    def _volumes(self) -> list[tuple[str, str]]:
        programs = ["/usr", "/etc/passwd", sys.prefix, sys.base_prefix]
        programs.append(str(pathlib.Path(__file__).resolve().parent))
        wanted = [(path, ":ro") for path in programs] + [(path, "") for path in self._mounts]
        # What is below another one is seen through that.
        return [
            (path, how)
            for path, how in dict(wanted).items()
            if not any(path != other and path.startswith(f"{other}/") for other in dict(wanted))
        ]


def _image() -> bytes:
    """A root that has places for what is mounted, and the links that a merged /usr has."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in _DIRECTORIES:
            about = tarfile.TarInfo(name)
            about.type, about.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(about)
        for name in _LINKS:
            about = tarfile.TarInfo(name)
            about.type, about.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(about)
    return content.getvalue()
