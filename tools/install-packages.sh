#!/bin/sh
# Install the Debian or Ubuntu packages that engraft is built and tested with:
#   tools/install-packages.sh build     what `make`, `make demo` and `make install` need
#   tools/install-packages.sh fast      that, and what `make check-fast` needs
#   tools/install-packages.sh test      that, and what `make test` needs: 2.7 GB on a bare system
# Does nothing when all are there. Uses sudo unless run as root. Where there is no dpkg it names
# the packages and leaves the rest to CMake.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config
libhdf5-dev zlib1g-dev libjpeg-dev libspng-dev libwebp-dev libtiff-dev libgif-dev
libutf8proc-dev protobuf-c-compiler libprotobuf-c-dev libjansson-dev libssl-dev libcurl4-openssl-dev
libmicrohttpd-dev libarchive-dev liblcms2-dev libavif-dev"

fast="libcmocka-dev clang-format git ca-certificates python3"

test="g++ clang clang-tidy cppcheck valgrind
gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
libopenmpi-dev openmpi-bin hdf5-tools debootstrap abigail-tools
python3-venv python3-numpy python3-torch python3-torchvision"

# A browser for the pages, clang's sanitizers, and readers of HDF5 in other languages: what needs them says so and is
# skipped where they are not to be had.
optional="chromium chromium-driver libclang-rt-dev default-jre-headless libhdf5-java r-cran-hdf5r"

case "${1:-}" in
build) packages=$build optional= ;;
fast) packages="$build $fast" optional= ;;
test) packages="$build $fast $test" ;;
*)
    echo "usage: $0 build|fast|test" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "$0: this is not Debian or Ubuntu; what their packages of these names hold is needed:" $packages >&2
    exit 0
fi

missing() {
    for package in "$@"; do
        # Names such as libjpeg-dev may be provided by another package.
        dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
            grep -Eq "^installed (.*[ ,])?$(echo "$package" | sed 's/[.+]/\\&/g')([ ,(]|\$)" || echo "$package"
    done
}

wanted=$(missing $packages)
if [ -z "$wanted" ] && [ -z "$optional" ]; then exit 0; fi
extra=$(missing $optional)
if [ -z "$wanted$extra" ]; then exit 0; fi

cannot() {
    if [ -z "$wanted" ]; then
        echo "$0: $1; going on without:" $extra >&2
        exit 0
    fi
    echo "$0: $1; as root, run: apt-get install" $wanted >&2
    echo "$0: or ask who may; then run this again" >&2
    exit 1
}

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || cannot "sudo is not installed"
    echo "$0: packages are missing, and sudo installs them: it may ask for your password"
    sudo true || cannot "sudo was refused"
    as_root=sudo
fi
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

echo "installing:" $wanted $extra
apt update || cannot "the lists of packages could not be read"
if [ -n "$wanted" ]; then
    apt install -y --no-install-recommends $wanted || cannot "apt-get failed"
fi
available=
for package in $extra; do
    if apt-cache show "$package" >/dev/null 2>&1; then available="$available $package"; fi
done
if [ -n "$available" ]; then
    apt install -y --no-install-recommends $available || echo "going on without:" $available
fi
