#!/bin/bash
# The library for running models alone: what it links and how large it is, that programs find it wherever it
# is moved to (pkg-config and CMake, shared and static), and that it answers: on this machine or, with
# `aarch64`, cross-built and under qemu, the same label.
#   tools/check_predict.sh [aarch64]
set -eu
cd "$(dirname "$0")/.."
root=$PWD
model=$root/models/efficientnet-lite0.onnx
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
fail() { echo "$*"; exit 1; }

build=build/predict cc=cc size=size strip=strip run="" cross=()
if [ "${1:-}" = aarch64 ]; then
    tools/aarch64-sysroot.sh
    build=build/predict-aarch64 cc=aarch64-linux-gnu-gcc size=aarch64-linux-gnu-size strip=aarch64-linux-gnu-strip
    run="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    cross=(-DCMAKE_TOOLCHAIN_FILE="$root/tools/aarch64.cmake")
fi
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release -DEG_WERROR=ON -DEG_ONLY=predict \
    -DCMAKE_INSTALL_LIBDIR=lib "${cross[@]}" >/dev/null
cmake --build $build -j "$(nproc)" >/dev/null
cmake --install $build --prefix "$stage/here" >/dev/null
mv "$stage/here" "$stage/moved"
here=$stage/moved
[ ! -e "$here/include/engraft.h" ] || fail "the headers of what is not there are installed"

# What it needs, and what it shows.
needed=$(readelf -d "$here/lib/libengraft.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sed 's/\.so.*//' | sort | tr '\n' ' ')
for library in $needed; do
    case $library in libc | libm | libpthread | ld-linux-aarch64 | ld-linux-x86-64) ;; *) fail "it needs $library" ;; esac
done
shown=$(nm -D --defined-only "$here/lib/libengraft.so" | awk '$3 !~ /^eg_/ { print $3 }')
[ -z "$shown" ] || fail "it shows $shown"

# A frame, and the programs.
python3 - "$stage/frame.rgb" <<'PY'
import sys
open(sys.argv[1], "wb").write(bytes((x * (1 + c) + y * (3 - c)) % 256 for y in range(480) for x in range(640) for c in range(3)))
PY
answer() { (cd "$stage" && $run "$@" "$model" 640 480 <frame.rgb); }

export PKG_CONFIG_LIBDIR=$here/lib/pkgconfig
$cc -O2 -Wall -Werror examples/classify_frame.c -o "$stage/shared" $(pkg-config --cflags --libs engraft) -Wl,-rpath,"$here/lib"
$cc -O2 -static -Wl,--gc-sections examples/classify_frame.c -o "$stage/static" $(pkg-config --cflags --libs engraft-static)
$strip "$stage/static"
wanted=$(answer "$stage/static")
echo "answer: $wanted"
[ "$(answer "$stage/shared")" = "$wanted" ] || fail "the shared library answers otherwise"

cat >"$stage/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.18)
project(user C)
find_package(engraft REQUIRED)
foreach(kind engraft static)
  add_executable(by_cmake_${kind} ${SOURCE})
  target_link_libraries(by_cmake_${kind} PRIVATE engraft::${kind})
endforeach()
CMAKE
cmake -S "$stage" -B "$stage/build" -DSOURCE="$root/examples/classify_frame.c" -Dengraft_DIR="$here/lib/cmake/engraft" \
    -DCMAKE_C_COMPILER=$cc >/dev/null
cmake --build "$stage/build" >/dev/null
for kind in engraft static; do
    [ "$(answer "$stage/build/by_cmake_$kind")" = "$wanted" ] || fail "engraft::$kind answers otherwise"
done

# Its size: what is not the C library's own.
echo 'int main(void) { return 0; }' >"$stage/empty.c"
$cc -static "$stage/empty.c" -o "$stage/empty" && $strip "$stage/empty"
bytes=$(($(stat -c %s "$stage/static") - $(stat -c %s "$stage/empty")))
echo "a stripped static program that classifies a frame: $bytes bytes without the C library's start"
[ $bytes -lt 1500000 ] || fail "that is more than 1.5 MB"
[ -n "$run" ] && exit
python3 - "$stage/static" "$model" "$stage/frame.rgb" <<'PY'
import subprocess, sys, time
def seconds():
    with open(sys.argv[3]) as frame:
        start = time.perf_counter()
        subprocess.run([sys.argv[1], sys.argv[2], "640", "480"], stdin=frame, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start
print(f"process start to the first answer: {1000 * min(seconds() for _ in range(20)):.1f} ms (the best of 20)")
PY
