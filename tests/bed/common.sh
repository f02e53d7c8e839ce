# shellcheck shell=sh disable=SC1090,SC2154  # recipes are found by name, and the sourcing script sets bed
# What the scripts of the test bed share. Sourced, with $bed set to the directory of this file.
repo=$(cd "$bed/../.." && pwd)
export CONTAINERS_CONF="${CONTAINERS_CONF:-$bed/containers.conf}"

say() { echo "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 2; }

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null ||
            die "$program is missing; the test bed needs: apt-get install $(tr '\n' ' ' <"$bed/apt-packages")"
    done
}

image_names() { for conf in "$bed"/images/*.conf; do basename "$conf" .conf; done; }

# read_recipe NAME: sets suite, kind and packages.
read_recipe() {
    [ -e "$bed/images/$1.conf" ] || die "no image $1; there are: $(image_names | tr '\n' ' ')"
    suite='' kind=''
    . "$bed/images/$1.conf"
    packages=$(sed -n "s/^$kind: //p" "$bed/images/packages")
    [ -n "$packages" ] || die "image $1 is of kind '$kind', which images/packages does not have"
}

# image_tag NAME: made of all that the image is made of, so a changed recipe is a new image and an unchanged one is reused.
image_tag() {
    (
        read_recipe "$1"
        # Without comments: a better word is no reason to build for minutes.
        hash=$({ echo "$suite $kind $packages"; sed '/^ *#/d' "$bed/images/customize" "$bed/images/make"; } | sha256sum | cut -c1-12)
        echo "localhost/steward-$1:$hash"
    )
}

# core_venv_tag IMAGE REQUIREMENTS: the image with ansible-core and the test tools from pip.
core_venv_tag() {
    hash=$({ image_tag "$1"; cat "$repo/$2"; } | sha256sum | cut -c1-12)
    echo "localhost/steward-$1-venv:$hash"
}

pip_configs() {
    for config in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" /etc/pip.conf; do
        [ -f "$config" ] && echo "$config"
    done
    return 0
}

host_settings='PIP_[A-Z_]*\|SSL_CERT_FILE\|REQUESTS_CA_BUNDLE\|[Hh][Tt][Tt][Pp][Ss]*_[Pp][Rr][Oo][Xx][Yy]'

# The files and directories which the host's pip and TLS settings name.
files_named_by_host() {
    echo /etc/ssl/certs/ca-certificates.crt
    {
        env | sed -n "s/^\($host_settings\)=//p"
        pip_configs | while read -r config; do sed -n 's/^[^#=]*=//p' "$config"; done
        # A local package index links to files beside it, so the directory above "simple" is what has to be there.
    } | tr ' ' '\n' | sed -n 's|^\(file://\)\{0,1\}\(/.*\)$|\2|p' | sed 's|/simple/*$||'
}

# host_options: the options that let pip in a container use the certificates, proxies and package sources of its host.
# The host's network too: a proxy may listen on its loopback, and an ordinary user's containers may have no other way out.
host_options() {
    echo --network=host
    env | sed -n "s/^\($host_settings\)=.*/--env=\1/p" | grep -v PIP_CONFIG_FILE
    [ -f /etc/pip.conf ] && echo "--volume=/etc/pip.conf:/etc/pip.conf:ro"
    personal=$(pip_configs | grep -v '^/etc/pip.conf$' | head -n 1)
    [ -n "$personal" ] && echo "--volume=$personal:/etc/xdg/pip/pip.conf:ro"
    files_named_by_host | sort -u | while read -r path; do
        [ -e "$path" ] && [ "$path" != "${PIP_CONFIG_FILE:-}" ] && echo "--volume=$path:$path:ro"
    done
    return 0
}

# repo_options: the checkout, read-only, under the same name in every container. Only .cache may be written, and is empty.
repo_options() {
    mkdir -p "$repo/.cache"
    echo "--volume=$repo:/repo:ro"
    echo "--tmpfs=/repo/.cache:mode=1777,notmpcopyup"
    echo "--workdir=/repo"
}
