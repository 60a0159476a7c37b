#!/bin/bash
# A feature file of 40 GB is written and trained on with 4 GB of memory, page cache included (a
# memory cgroup; needs root and 41 GB of disk). Run by hand; docs/store.md has the result.
#   bench/store_40gb.sh BUILD FOLDER PHOTOS [ROWS]
set -eu
build=$(realpath "$1") folder=$(realpath "$2") photos=$(realpath "$3") rows=${4:-160000}
limit=$((4 << 30))
cd "$folder"

group=/sys/fs/cgroup/memory/engraft-store # cgroup 1, else 2
if [ -d /sys/fs/cgroup/memory ]; then
    limit_file=memory.limit_in_bytes peak_file=memory.max_usage_in_bytes
else
    group=/sys/fs/cgroup/engraft-store limit_file=memory.max peak_file=memory.peak
fi
mkdir -p $group
echo $limit >$group/$limit_file
echo $$ >$group/cgroup.procs

show() { # the process's own peak, and the group's with the cache
    echo "+ ${*//$PWD\//}"
    /usr/bin/time -f "  %e s, %U s user, %S s system, peak %M KB of its own" "$@"
    echo "  peak of the group with its page cache: $(cat $group/$peak_file) bytes of $limit"
}

[ -e like.h5 ] || "$build/engraft" extract efficientnet-lite0 "$photos" -o like.h5 --cut _relu1 --quiet
show "$build/tests/store_bench" classes big.h5 "$rows" like.h5
ls -l big.h5
show "$build/engraft" train big.h5 -o big.onnx --force --classifier svm --C 0.1 --cv 1 --scale unit --memory 1G \
    --threads "${THREADS:-2}" --quiet
rm -f big.h5 big.onnx
