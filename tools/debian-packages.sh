#!/bin/bash
# Build the Debian packages of debian/, look at them with lintian, install them and run their
# tests. It installs and removes packages of the system: for a bare root (tools/bare-root.sh).
#   tools/debian-packages.sh [twice]      twice: built again elsewhere, the packages have to be the same bytes
# The tests of the tree are left out of the build (DEB_BUILD_OPTIONS=nocheck): other legs run them.
set -eu -o pipefail
cd "$(dirname "$0")/.."
export DEBIAN_FRONTEND=noninteractive DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-nocheck}
missing=$(dpkg-query -W -f='${db:Status-Status}\n' debhelper lintian man-db git 2>/dev/null | grep -cx installed || true)
if [ "$missing" != 4 ]; then
    apt-get -q update
    apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends dpkg-dev debhelper lintian man-db git
fi
apt-get -q -o Dpkg::Use-Pty=0 build-dep -y --no-install-recommends ./ >build-dep.log 2>&1 || { cat build-dep.log; exit 1; }
rm -f build-dep.log

# In a folder of its own, as from a clone.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { # folder
    mkdir -p "$1/engraft"
    git ls-files -z | xargs -0 cp --parents -t "$1/engraft"
    (cd "$1/engraft" && dpkg-buildpackage -us -uc -j"$(nproc)")
}
build "$work/first"
if [ "${1:-}" = twice ]; then
    build "$work/again/elsewhere"
    for package in "$work"/first/*.deb; do
        cmp "$package" "$work/again/elsewhere/${package##*/}"
    done
    echo "both builds gave the same bytes"
fi
cd "$work/first"
lintian --fail-on error,warning --tag-display-limit 0 ./*.changes
dpkg -i ./*.deb || apt-get -q -o Dpkg::Use-Pty=0 install -f -y --no-install-recommends
for test in engraft/debian/tests/main-job engraft/debian/tests/library; do
    (cd engraft && "../$test")
    echo "$test passed"
done
dpkg -r $(for package in ./*.deb; do dpkg-deb -f "$package" Package; done)
echo "the packages are built, clean, and work"
