#!/bin/bash
# Run a command in a bare root of a Debian release: a copy of this tree in a system that has
# nothing but what the tree itself installs there.
#   tools/bare-root.sh RELEASE COMMAND...      tools/bare-root.sh trixie make demo
# The root is made by debootstrap once and kept, with the packages that were installed since, in
# the user's cache folder; the tree's copy lies in /engraft there and is brought up to date, builds
# included. Exits 77 where roots cannot be made: not root, no debootstrap, no network.
set -eu -o pipefail
cd "$(dirname "$0")/.."
release=$1
shift

cannot() {
    echo "$1" >&2
    exit 77
}
[ "$(id -u)" = 0 ] || cannot "a bare root is made by root only"
command -v debootstrap >/dev/null || cannot "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || cannot "no name spaces to mount in"

cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/engraft
root=$cache/root-$release
mkdir -p "$cache" .cache
exec 9>"$root.lock"
flock 9
if [ ! -e "$root" ]; then
    rm -rf "$root.part"
    debootstrap --variant=minbase --include=make,ca-certificates "$release" "$root.part" >"$cache/debootstrap.log" 2>&1 ||
        { tail -3 "$cache/debootstrap.log" >&2; cannot "debootstrap could not make a root of $release"; }
    mv "$root.part" "$root"
fi
ln -sfn "$root" ".cache/root-$release"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

# The tree as git has it, so that what is ignored here is not there; unchanged files keep their
# times, so that what was built stays built.
mkdir -p "$root/engraft" "$root/root/.cache"
git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
    [ -e "$file" ] && printf '%s\0' "$file"
done >"$root/tree"
tr '\0' '\n' <"$root/tree" | sort >"$root/tree.sorted"
(cd "$root/engraft" && find . -type f -not -path './.git/*' -not -path './build*' -not -path './demo/*' \
    -not -path './.cache/*' -printf '%P\n' | sort | comm -13 "$root/tree.sorted" - | tr '\n' '\0' | xargs -0 -r rm -f)
while IFS= read -r -d '' file; do
    cmp -s "$file" "$root/engraft/$file" || { mkdir -p "$root/engraft/$(dirname "$file")"; cp -p "$file" "$root/engraft/$file"; touch "$root/engraft/$file"; }
done <"$root/tree"

git init -q "$root/engraft" && git -C "$root/engraft" add -A # what the rules ask for
exec unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
    chroot "$root" sh -c 'cd /engraft && exec "$@"' sh "$@" 9>&-
