#!/bin/sh
# A host with packages of the scenario's own archives, in the versions of before, and a start of the kernel that can be told
# from the next one: a container shares its machine's kernel, whose boot id never changes.
set -eu
. /etc/os-release
place=/srv/archives
chmod -R go+rX /srv
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-security"; do
    echo "deb [signed-by=$place/archive.gpg] copy:$place/$suite $suite main" >>/etc/apt/sources.list
done
apt-get -qq update
apt-get -qq install steward-daemon=1.0 steward-held=1.0
apt-mark hold steward-held
systemctl daemon-reload
systemctl enable --now steward-daemon.service

cat /proc/sys/kernel/random/boot_id >/run/steward-boot-id
cp /run/steward-boot-id /run/steward-boot-id-before
mount --bind /run/steward-boot-id /proc/sys/kernel/random/boot_id
# What a reboot would do here: another boot id, nobody asks for one any more, and the service comes up a while after that.
# When the host went down and when it did its work again is kept, by the one clock that containers have.
rm -f /sbin/shutdown
cat >/sbin/shutdown <<'SHUTDOWN'
#!/bin/sh
# By systemd, as a real one is: it has nothing to do with the connection that asked for it, which ends meanwhile.
exec systemd-run --quiet --collect sh -c '
    date +%s.%N >/run/steward-down
    systemctl stop steward-daemon.service
    sleep 1
    cat /proc/sys/kernel/random/uuid >/run/steward-boot-id
    rm -f /run/reboot-required*
    sleep 2
    date +%s.%N >/run/steward-up
    systemctl start steward-daemon.service'
SHUTDOWN
chmod 755 /sbin/shutdown
systemctl show --property=MainPID --value steward-daemon.service >/run/steward-pid-before
