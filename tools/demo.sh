#!/bin/sh
# From a folder of photos to a classifier that works, as a user would type it.
#   tools/demo.sh PROGRAM
set -eu
cd "$(dirname "$0")/.."
engraft=$1

show() {
    echo
    echo "\$ engraft $*"
    "$engraft" "$@"
}

rm -rf demo
mkdir demo
show extract models/efficientnet-lite0.onnx examples/photos -o demo/features.h5
show train demo/features.h5 -o demo/classifier.onnx
show predict demo/classifier.onnx examples/unseen
