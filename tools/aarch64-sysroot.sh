#!/bin/sh
# Put aarch64 builds of the libraries that tools/aarch64.cmake links into .cache/aarch64,
# from the package sources of this machine but without making it a multi-architecture one.
# Exits 77 where the package sources have no arm64.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)/.cache/aarch64
if [ -e "$root/done-2" ]; then exit 0; fi
rm -rf "$root"
mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial" "$root/debs"
: >"$root/apt/status"
cd "$root/debs"

arm64_apt() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
        -o Dir::State::Lists="$root/apt/lists" -o Dir::State::status="$root/apt/status" \
        -o Dir::Cache="$root/apt/cache" "$@" </dev/null
}

arm64_apt update
if ! arm64_apt download libcmocka0 libcmocka-dev libssl-dev '?exact-name(libssl3)|?exact-name(libssl3t64)' \
    libutf8proc-dev libjansson-dev libprotobuf-c-dev '?exact-name(libutf8proc2)|?exact-name(libutf8proc3)'; then
    echo "the package sources of this machine have no arm64 libraries" >&2
    exit 77
fi
for package in *.deb; do dpkg-deb -x "$package" "$root"; done
: >"$root/done-2"
