# Sourced by the scripts beside it: finds what they need on a Debian or Ubuntu machine and installs what is missing.
#
#   setup EXTRA     system packages, then a virtual environment with aiocpg[EXTRA] from this checkout
#                   (with redis=yes in front, a Redis server as well; with browser=yes, Chromium)
#   setup_bare      the same for aiocpg without extras, and without Corosync
#   as_root CMD     run CMD as root, with this environment
#   privileged CMD  run CMD where it may make namespaces, as root only if there is no other way
#
# $AIOCPG_VENV says where the environment is (.venv of the checkout otherwise), $PYTHON which interpreter makes it.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${AIOCPG_VENV:-$PWD/.venv}

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# -- The machine

# What tells that a package is there -> the package. Files stand for packages that bring no program.
has_file() { compgen -G "$1" >/dev/null; }
has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
missing_packages() {
    [[ -n ${bare:-} ]] || missing_for_clusters
    [[ -z ${redis:-} ]] || command -v redis-server >/dev/null || echo redis-server
    [[ -z ${browser:-} ]] || has_chromium || echo chromium
    command -v gcc >/dev/null || echo gcc
    has_file '/usr/include/stdlib.h' || echo libc6-dev
    has_file '/etc/ssl/certs/ca-certificates.crt' || echo ca-certificates
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || python_package venv
    "$PYTHON" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null \
        || python_package dev
}

missing_for_clusters() {
    command -v ip >/dev/null || has_file '/*bin/ip' || has_file '/usr/*bin/ip' || echo iproute2
    has_file '/usr/sbin/corosync' || command -v corosync >/dev/null || echo corosync
    has_file '/usr/include/corosync/cpg.h' || echo libcpg-dev
    has_file '/usr/include/corosync/quorum.h' || echo libquorum-dev
    # Reads the units of the docs; nothing here needs it to run.
    command -v systemd-analyze >/dev/null || echo systemd
}

# python3-dev fits /usr/bin/python3 only; another interpreter of the system has packages with its number.
python_package() {
    if [[ $(readlink -f "$PYTHON") == $(readlink -f /usr/bin/python3) ]]; then
        echo "python3-$1"
    else
        echo "$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-$1"
    fi
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --preserve-env "$@"
    else
        die "this needs root and there is no sudo: run it as root: $*"
    fi
}

# A user namespace is enough for a cluster, where the system lets users have one. Its only user is root.
privileged() {
    if [[ $EUID -ne 0 ]] && unshare --map-root-user --mount true 2>/dev/null; then
        unshare --map-root-user --mount -- "$@"
    else
        as_root "$@"
    fi
}

# What a run as root has left in the checkout belongs to whoever asked for the run.
hand_back() {
    [[ $EUID -eq 0 ]] || as_root find "$PWD" -xdev -user 0 -exec chown --no-dereference "$(id -u):$(id -g)" {} +
}

find_python() {
    PYTHON=$(command -v "${PYTHON:-python3}") || die "no ${PYTHON:-python3}: install Python 3.11 or later, or set PYTHON"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "$PYTHON is $("$PYTHON" -V), needed is 3.11 or later: set PYTHON to such an interpreter"
}

install_packages() {
    local -a packages
    mapfile -t packages < <(missing_packages)
    [[ ${#packages[@]} -gt 0 ]] || return 0
    command -v apt-get >/dev/null || die "missing, and there is no apt-get to install them: ${packages[*]}"
    say "installing ${packages[*]}"
    without_services apt_install "${packages[@]}"
    mapfile -t packages < <(missing_packages)
    [[ ${#packages[@]} -eq 0 ]] || die "still missing after apt-get: ${packages[*]}"
}

apt_install() {
    local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    as_root "${apt[@]}" update >&2
    as_root "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

# The corosync package starts its daemon when it is installed. Nothing here needs that one, and nobody asked for it.
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
    "$@" || status=$?
    as_root rm -f "$policy"
    return "$status"
}

# -- The environment

install_python() {
    local extra=$1 stamp what="aiocpg${1:+[$1]}"
    [[ -x $VENV/bin/python ]] || { say "making $VENV"; "$PYTHON" -m venv "$VENV"; }
    # Made anew when what decides about it has changed: the metadata, the C part, the interpreter.
    stamp=$VENV/.aiocpg-$extra-$(fingerprint)
    if [[ ! -e $stamp ]]; then
        say "installing $what into $VENV"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".${what#aiocpg}" >&2
        rm -f "$VENV/.aiocpg-$extra-"*
        touch "$stamp"
    fi
}

fingerprint() {
    local -a sources
    mapfile -t sources < <(find src -name '*.[ch]' ! -name _shim.c -o -name build.py | LC_ALL=C sort)
    { pwd; "$VENV/bin/python" -V; cat pyproject.toml setup.py "${sources[@]}"; } | sha256sum | cut -c1-16
}

setup() {
    find_python
    install_packages
    install_python "$1"
    PATH=$VENV/bin:$PATH
}

setup_bare() {
    local bare=yes
    setup ""
}
