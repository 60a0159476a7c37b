#!/bin/sh
# From a folder of photos to a classifier that works, as a user would type it.
#   tools/demo.sh PROGRAM [FOLDER]     FOLDER: where its files go; default: demo
set -eu
cd "$(dirname "$0")/.."
engraft=$1
demo=${2:-demo}

show() {
    echo
    echo "\$ engraft $*"
    "$engraft" "$@"
}

rm -rf "$demo"
mkdir -p "$demo"
show extract models/efficientnet-lite0.onnx examples/photos -o "$demo/features.h5"
show train "$demo/features.h5" -o "$demo/classifier.onnx"
show predict "$demo/classifier.onnx" examples/unseen
