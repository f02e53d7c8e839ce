# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed archives for the hosts of this scenario, as one tar file: archives.py TARGET CODENAME..."""

from __future__ import annotations

import pathlib
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from support.apt import Archive, Package, Signer  # noqa: E402

#: A service that runs code out of a file of its package, as a daemon does with a library.
_LOOP = (
    "import mmap, time; file = open('/usr/lib/steward-daemon/code', 'rb');"
    "code = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_EXEC); time.sleep(1e6)"
)
_UNIT = f"""\
[Service]
ExecStart=/usr/bin/python3 -c "{_LOOP}"
[Install]
WantedBy=multi-user.target
"""


def daemon(version: str, scripts: dict[str, str]) -> Package:
    files = {
        "/usr/lib/steward-daemon/code": version.ljust(4096, "\n"),
        "/usr/lib/systemd/system/steward-daemon.service": _UNIT,
    }
    return Package("steward-daemon", version, files=files, scripts=scripts)


def main() -> None:
    target, *codenames = sys.argv[1:]
    signer = Signer()
    try:
        with tempfile.TemporaryDirectory() as place, tarfile.open(target, "w") as tar:
            root = pathlib.Path(place)
            (root / "archive.gpg").write_bytes(signer.public)
            for codename in codenames:
                release = Archive(root / codename, signer, "Debian", codename)
                release.publish(daemon("1.0", {}), Package("steward-held", "1.0"))
                # The kernel's packages ask for a reboot in this way.
                asks = "touch /run/reboot-required; echo steward-daemon >>/run/reboot-required.pkgs"
                fixes = Archive(root / f"{codename}-security", signer, "Debian-Security", f"{codename}-security", "any")
                fixes.publish(daemon("1.0+fix1", {"postinst": asks}), Package("steward-held", "1.0+fix1"))
            tar.add(root, "archives")
    finally:
        signer.close()


if __name__ == "__main__":
    main()
