#!/bin/sh
# An account for the worker, and keys of a store of each kind: of age, and of ansible-vault. Prints the public key.
set -eu
umask 077
useradd --system --no-create-home shop
install --directory --mode=0755 /etc/shop
install --directory --owner=shop --mode=0755 /srv/shop
mkdir -p /etc/steward /var/lib/shop-secrets
head -c 24 /dev/urandom | base64 >/etc/steward/vault-password
age-keygen --output /etc/steward/age.key 2>/dev/null
age-keygen -y /etc/steward/age.key
