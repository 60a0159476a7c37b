#!/bin/sh
# Make .cache/venv, the Python environment of tests/peers, unless it is there. It is kept in the
# user's cache folder under a name made from the list of packages, so that another clone, or the
# same one after a clean, finds it ready.
set -eu

cd "$(dirname "$0")/.."
list=tests/peers/requirements.txt
if [ -x .cache/venv/bin/python ]; then exit 0; fi

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/engraft
venv=$cache/peers-$(sha256sum <$list | cut -c1-12)
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    mkdir -p "$cache"
    # The system's own Python: torch comes from its packages.
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r $list
    touch "$venv/ready"
fi
mkdir -p .cache
ln -sfn "$venv" .cache/venv
