#!/bin/sh
# demo_in_container.sh IMAGE: bin/demo in a bare container of the test bed (bare12, bare13), first as a user who may not install
# what is missing, then as root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2016  # expanded in the container
exec "$here/../bed/run" "$1" -- sh -c '
set -eu
tests/acceptance/copy_checkout.sh /opt/clone
cd /opt/clone
status=0
told=$(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups bin/demo 2>&1) || status=$?
echo "$told"
if [ $status -ne 2 ] || ! echo "$told" | grep -q "apt-get install -y python3[.0-9]*-venv" || ls -d /var/tmp/steward-demo* 2>/dev/null; then
    echo "FAILED a user without rights should be told the one command to type, with status 2 (got $status), and leave nothing"
    echo "0 passed, 1 failed"
    exit 1
fi
echo "ok     a user without rights is told the one command to type"
python3 -B tests/acceptance/check_demo.py /opt/clone
'
