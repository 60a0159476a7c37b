#!/bin/bash
# The same on one machine without a batch system, so many processes at a time as there are processors:
#   examples/scale/xargs.sh MODEL PHOTOS OUTPUT [SHARDS]      run again it goes on
set -eu
model=$1 photos=$2 output=$3 of=${4:-$(nproc)}
seq 0 $((of - 1)) | xargs -P "$(nproc)" -I{} sh -c '
    engraft extract "$1" "$2" -o "$3.$(printf %04d {}).h5" --shard "{}/$4" --threads 1 --quiet || [ $? = 3 ]' \
    sh "$model" "$photos" "$output" "$of"
engraft info "$output".[0-9]*.h5
engraft merge -o "$output.h5" "$output".[0-9]*.h5 --force
