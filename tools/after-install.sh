#!/bin/sh
# Said at the end of `make install`: what a new shared library in a folder of its own still needs.
#   tools/after-install.sh BUILD
set -eu
build=$1
value() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
prefix=$(value CMAKE_INSTALL_PREFIX)
folder=$prefix/$(value CMAKE_INSTALL_LIBDIR)
[ -z "${DESTDIR:-}" ] || exit 0
if [ "$(id -u)" = 0 ] && ldconfig 2>/dev/null && ldconfig -p | grep -qF "$folder/libengraft.so"; then
    echo "installed; ldconfig has told the system of $folder/libengraft.so.0"
    exit 0
fi
echo "installed. A program linked with libengraft.so finds it after: sudo ldconfig"
echo "(a folder that ldconfig does not look into: export LD_LIBRARY_PATH=$folder)"
