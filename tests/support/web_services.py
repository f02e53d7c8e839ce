# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HAProxy and a real Apache with two listeners each, unprivileged or not, in a directory of their own."""

from __future__ import annotations

import pathlib
import typing as t

from .nginx_service import NginxService

_HAPROXY = """
global
    stats socket {place}/admin.sock level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 5s
frontend site
    {listen}
    http-request return status 204
"""
_APACHE = """
ServerName localhost
DefaultRuntimeDir {place}
PidFile {place}/apache.pid
ErrorLog {place}/error.log
User nobody
Group nogroup
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
{listen}
<VirtualHost *:{port}>
    SSLEngine on
    SSLCertificateFile {certificate}
    SSLCertificateKeyFile {key}
    DocumentRoot {place}
</VirtualHost>
"""


class HaproxyService(NginxService):
    """It reads certificate and key from one file, beside the two."""

    def write_configuration(self, certificate: pathlib.Path, key: pathlib.Path) -> str:  # noqa: ARG002 - it is in both
        both = certificate.parent / "combined.pem"
        listen = "\n    ".join(f"bind {host}:{self.port} ssl crt {both}" for host in self.hosts)
        return _HAPROXY.format(place=self.directory, listen=listen)

    @property
    def program(self) -> list[str]:
        return ["haproxy", "-f", str(self.configuration)]

    @property
    def start_command(self) -> list[str]:
        return [*self.program, "-W"]

    @property
    def test_command(self) -> list[str]:
        return [*self.program, "-c", "-q"]

    @property
    def reload_command(self) -> list[str]:
        # As its unit does.
        return ["kill", "-USR2", str(self.process.pid)]


class ApacheService(NginxService):
    def write_configuration(self, certificate: pathlib.Path, key: pathlib.Path) -> str:
        about: dict[str, t.Any] = {"place": self.directory, "port": self.port, "certificate": certificate, "key": key}
        listen = "\n".join(f"Listen {host}:{self.port}" for host in self.hosts)
        return _APACHE.format(**about, listen=listen, modules="/usr/lib/apache2/modules")

    @property
    def program(self) -> list[str]:
        return ["apache2", "-d", str(self.directory), "-f", str(self.configuration)]

    @property
    def start_command(self) -> list[str]:
        return [*self.program, "-DFOREGROUND"]

    @property
    def test_command(self) -> list[str]:
        return [*self.program, "-t"]

    @property
    def reload_command(self) -> list[str]:
        return [*self.program, "-k", "graceful"]
