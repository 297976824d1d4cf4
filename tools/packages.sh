# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tools/try, tests/run and tests/bench/run need from Debian's archive. Sourced by each.

# shellcheck disable=SC2034  # for the scripts that source this
build_packages=(
    cmake
    g++
    libboost-program-options-dev
    libcrypt-dev
    libdb5.3-dev
    libidn-dev
    libkrb5-dev
    libldap-dev
    liblmdb-dev
    libpam0g-dev
    libsasl2-dev
    libseccomp-dev
    libsodium-dev
    libssl-dev
    nettle-dev
    ninja-build
    nlohmann-json3-dev
    pkgconf
)
# shellcheck disable=SC2034
test_packages=(
    adduser
    catch2
    clang-14
    clang-tidy-14
    db-util
    dovecot-imapd
    git
    gnuplot-nox
    gsasl
    iproute2
    krb5-admin-server
    krb5-kdc
    krb5-pkinit
    krb5-user
    ldap-utils
    libclang-rt-14-dev
    libgsasl-dev
    libpam-oath
    libsasl2-modules
    libsasl2-modules-db
    lmdb-utils
    msmtp
    nftables
    openssl
    perl
    postfix
    procps
    python3
    python3-prometheus-client
    python3-pytest
    rsyslog
    sasl2-bin
    slapd
    swaks
)

# missing_packages NAME…: prints those that are not installed.
missing_packages() {
    local name
    for name; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

# install_packages NAME…: installs those that are missing; touches apt only then.
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} == 0 ]] && return
    export DEBIAN_FRONTEND=noninteractive
    apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"
}

readonly policy=/usr/sbin/policy-rc.d
is_policy_ours=

# A service that is installed is also started, unless this program, which dpkg's scripts ask, says no.
forbid_services() {
    [[ ! -e $policy ]] || return 0
    is_policy_ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
}

remove_policy() {
    [[ -z $is_policy_ours ]] || rm -f "$policy"
    is_policy_ours=
}
