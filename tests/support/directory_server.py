# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real slapd without an entry, unprivileged, in a directory of its own and without the system's configuration."""

from __future__ import annotations

from .unpacked import UnpackedServer

_CONFIGURATION = """
pidfile {place}/slapd.pid
argsfile {place}/slapd.args
"""
_TLS = """
TLSCertificateFile {place}/site.pem
TLSCertificateKeyFile {place}/site.key
"""


class Slapd(UnpackedServer):
    """LDAP; on Debian its TLS is GnuTLS's."""

    tree = "slapd"
    program = "/usr/sbin/slapd"

    def configuration(self, has_tls: bool) -> str:
        return (_CONFIGURATION + (_TLS if has_tls else "")).format(place=self.directory)

    def arguments(self) -> list[str]:
        # -d keeps it in the foreground.
        return ["-d", "0", "-h", f"ldap://127.0.0.1:{self.port}", "-f", str(self.directory / "server.conf")]

    def take_up(self) -> None:
        # It loads its files at the start alone.
        self.restart()
