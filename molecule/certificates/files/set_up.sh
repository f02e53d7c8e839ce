#!/bin/sh
# Two authorities, and services that are to serve what is not there yet: those that are stopped could not even start.
set -eu
for name in own other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$name" \
        -keyout "/srv/$name.key" -out "/srv/$name.pem" 2>/dev/null
done
store=/etc/steward/certificates

rm -f /etc/nginx/sites-enabled/default
cat >/etc/nginx/conf.d/site.conf <<CONF
server {
    listen 4431 ssl;
    listen [::]:4431 ssl;
    ssl_certificate $store/site/current/fullchain.pem;
    ssl_certificate_key $store/site/current/privkey.pem;
    return 204;
}
CONF
sed -i '/expose-fd/!s/stats socket .*/& expose-fd listeners/' /etc/haproxy/haproxy.cfg
cat >>/etc/haproxy/haproxy.cfg <<CONF
frontend site
    bind :::4432 v4v6 ssl crt $store/balancer/current/combined.pem
    http-request return status 204
CONF
systemctl stop nginx haproxy
runuser -u postgres -- psql --quiet --no-psqlrc \
    --command "ALTER SYSTEM SET ssl = on" \
    --command "ALTER SYSTEM SET ssl_cert_file = '$store/database/current/fullchain.pem'" \
    --command "ALTER SYSTEM SET ssl_key_file = '$store/database/current/privkey.pem'"
