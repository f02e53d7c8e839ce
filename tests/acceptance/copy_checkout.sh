#!/bin/sh
# copy_checkout.sh TARGET: what a fresh clone of this tree would hold, changes that are not committed included.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p "$1"
# The checkout may belong to another account than ours (in a container); a file may be deleted and not yet committed so.
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
    tar --create --null --ignore-failed-read --files-from=- |
    tar --extract --directory="$1" --no-same-owner
