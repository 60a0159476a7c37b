#!/bin/bash
# Does what was linked with the library of a tag work with the one of this tree?
#   tools/abi.sh [TAG]      default: the last tag v*; any commit will do
# Both are built with the types' descriptions and compared by abidiff. Members added at the end of option
# structs are no change: those begin with their size. Exit code 1: something else has changed, and the SONAME
# has not (CONTRIBUTING says when it does); 77: there is nothing to compare with.
set -eu -o pipefail
cd "$(dirname "$0")/.."
command -v abidiff >/dev/null || { echo "skipped: there is no abidiff (abigail-tools)"; exit 77; }
tag=${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)}
[ -n "$tag" ] || { echo "skipped: no tag v* to compare with"; exit 77; }
git rev-parse -q --verify "$tag^{commit}" >/dev/null || { echo "there is no '$tag' in this repository" >&2; exit 2; }

made=$PWD/build/abi
mkdir -p "$made"
rm -rf "$made/old-tree"
mkdir "$made/old-tree"
git archive "$tag" | tar -x -C "$made/old-tree"

library() { # tree, folder: builds its shared library
    cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-g -Wno-dev >"$2.log" 2>&1 &&
        cmake --build "$2" -j "$(nproc)" --target engraft_shared >>"$2.log" 2>&1 || { tail -n 30 "$2.log" >&2; return 1; }
}
library "$made/old-tree" "$made/old"
library "$PWD" "$made/new"

cat >"$made/expected.ini" <<'INI'
[suppress_type]
  name_regexp = ^eg_.*_options$
  has_data_member_inserted_at = end
INI
status=0
abidiff --suppressions "$made/expected.ini" --drop-private-types --no-added-syms \
    --headers-dir1 "$made/old-tree/include" --headers-dir2 include \
    "$made/old/libengraft.so" "$made/new/libengraft.so" >"$made/changes" || status=$?
soname() { objdump -p "$1/libengraft.so" | sed -n 's/^ *SONAME *//p'; }
cat "$made/changes"
[ $((status & 3)) = 0 ] || { echo "abidiff failed"; exit 1; }
if [ $status = 0 ]; then
    echo "what was linked with $tag works with this tree ($(soname "$made/new"))"
elif [ "$(soname "$made/old")" != "$(soname "$made/new")" ]; then
    echo "changed, and the name says so: $(soname "$made/old") is $(soname "$made/new") now"
else
    echo "changed since $tag, and still called $(soname "$made/new"): keep it, or raise SOVERSION in CMakeLists.txt"
    exit 1
fi
