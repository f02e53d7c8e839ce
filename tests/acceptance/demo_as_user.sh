#!/bin/sh
# bin/demo in a fresh copy of this checkout, as an ordinary user whose home directory is empty.
# Started by root it becomes the account nobody; else it stays who it is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /var/tmp/steward-acceptance.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"$here/copy_checkout.sh" "$work/clone"
mkdir "$work/home"
as_user=''
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody "$work"
    as_user="setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups --inh-caps=-all"
fi
# A PATH as a new user has it, without this machine's own additions.
# shellcheck disable=SC2086  # words of a command
$as_user env HOME="$work/home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    python3 -B "$work/clone/tests/acceptance/check_demo.py" "$work/clone"
