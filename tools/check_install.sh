#!/bin/bash
# Install a build under another root and check what is there: the files, that the program works
# from its new place with nothing but an installed network's name, and that a C program builds
# against the header with pkg-config, shared and static.
#   tools/check_install.sh BUILD
set -eu
cd "$(dirname "$0")/.."
build=$1
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

cmake --install "$build" --prefix "$stage/usr" >/dev/null
lib=$stage/usr/$(sed -n 's/^CMAKE_INSTALL_LIBDIR:PATH=//p' "$build/CMakeCache.txt")

for file in "$stage/usr/bin/engraft" "$lib/libengraft.a" "$lib/libengraft.so" "$lib/pkgconfig/engraft.pc" \
    "$stage/usr/include/engraft.h" "$stage/usr/share/engraft/models/efficientnet-lite0.onnx" \
    "$stage/usr/share/man/man1/engraft.1" "$stage/usr/share/bash-completion/completions/engraft"; do
    [ -s "$file" ] || { echo "not installed: $file"; exit 1; }
done
if find "$stage" -name '*.png' -o -name 'tuxpaint*' | grep .; then
    echo "sample photos are not to be installed"
    exit 1
fi

cd "$stage"
"$stage/usr/bin/engraft" classify efficientnet-lite0 "$OLDPWD/examples/unseen/zebra.png" | tee zebra.txt
grep -q zebra zebra.txt
man -l --warnings "$stage/usr/share/man/man1/engraft.1" >man.txt 2>&1 || [ ! -x "$(command -v man)" ]
bash -n "$stage/usr/share/bash-completion/completions/engraft"

cat >version.c <<'C'
#include <engraft.h>
#include <stdio.h>
int main(void) { return puts(eg_version()) < 0; }
C
export PKG_CONFIG_PATH=$lib/pkgconfig
flags="$(pkg-config --cflags --libs --define-variable=prefix="$stage/usr" \
    --define-variable=libdir="$lib" --define-variable=includedir="$stage/usr/include" engraft)"
cc -Wall -Werror version.c -o shared $flags
LD_LIBRARY_PATH=$lib ./shared
flags="$(pkg-config --cflags --libs --define-variable=prefix="$stage/usr" \
    --define-variable=libdir="$lib" --define-variable=includedir="$stage/usr/include" engraft-static)"
cc -Wall -Werror version.c -o static $flags
./static
if readelf -d static | grep libengraft; then
    echo "engraft-static.pc links the shared library"
    exit 1
fi
echo "the installed program, library and header work"
