# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Exim and a real Dovecot, unprivileged, each in a directory of its own and without the system's configuration.

They take nobody's mail and know no mailbox: who comes is greeted, and may ask for TLS.
"""

from __future__ import annotations

from .unpacked import UnpackedServer

_EXIM = """
primary_hostname = mail.example.com
local_interfaces = 127.0.0.1.{port}
spool_directory = {place}/spool
log_file_path = {place}/exim-%s.log
pid_file_path = {place}/exim.pid
keep_environment =
rfc1413_query_timeout = 0s
log_selector = +smtp_connection
"""
_EXIM_TLS = """
tls_certificate = {place}/site.pem
tls_privatekey = {place}/site.key
"""
#: Without this it offers TLS, by a certificate that it makes up when it has none.
_EXIM_NO_TLS = "tls_advertise_hosts =\n"

#: What is the same in all versions. Of the accounts nothing is asked: nobody comes so far as to log in.
_DOVECOT = """
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/dovecot.log
default_internal_user = steward
default_internal_group = steward
default_login_user = steward
listen = 127.0.0.1
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
_DOVECOT_23 = """
protocols = imap
passdb {{
  driver = static
  args = password=x
}}
userdb {{
  driver = static
  args = uid=steward gid=steward home={place}
}}
"""
_DOVECOT_23_TLS = """
ssl = yes
ssl_cert = <{place}/site.pem
ssl_key = <{place}/site.key
"""
#: The first setting must be the first line.
_DOVECOT_24 = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols {{
  imap = yes
}}
passdb static {{
  password = x
}}
"""
_DOVECOT_24_TLS = """
ssl = yes
ssl_server_cert_file = {place}/site.pem
ssl_server_key_file = {place}/site.key
"""


class Exim(UnpackedServer):
    """SMTP; its TLS is GnuTLS's."""

    tree = "exim4"
    program = "/usr/sbin/exim4"

    def configuration(self, has_tls: bool) -> str:
        return (_EXIM + (_EXIM_TLS if has_tls else _EXIM_NO_TLS)).format(place=self.directory, port=self.port)

    def arguments(self) -> list[str]:
        return ["-bdf", "-C", str(self.directory / "server.conf")]


class EximThatHelpsItself(Exim):
    """It has no certificate and is not told to do without."""

    def configuration(self, has_tls: bool) -> str:  # noqa: ARG002 - it has TLS anyhow
        return _EXIM.format(place=self.directory, port=self.port)


class Dovecot(UnpackedServer):
    """IMAP; its TLS is OpenSSL's."""

    tree = "dovecot"
    program = "/usr/sbin/dovecot"

    def configuration(self, has_tls: bool) -> str:
        # With 2.4 the settings changed their names.
        is_old = self.told_by("--version").startswith("2.3.")
        first, tls = (_DOVECOT_23, _DOVECOT_23_TLS) if is_old else (_DOVECOT_24, _DOVECOT_24_TLS)
        return (first + _DOVECOT + (tls if has_tls else "ssl = no\n")).format(place=self.directory, port=self.port)

    def arguments(self) -> list[str]:
        return ["-F", "-c", str(self.directory / "server.conf")]
