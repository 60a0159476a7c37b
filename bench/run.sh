#!/bin/sh
# make bench: build the benchmark, make an environment with the other engines, run and keep the table.
set -e
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C "$build" engine_bench engraft
python=.cache/venv/bin/python
if ! "$python" -c 'import MNN, ncnn, onnxruntime, openvino, torchvision, onnx' 2>/dev/null; then
    python=.cache/bench-venv/bin/python
    if ! "$python" -c 'import MNN, ncnn, onnxruntime, openvino, torchvision, onnx' 2>/dev/null; then
        python3 -m venv .cache/bench-venv
        "$python" -m pip install -q MNN ncnn pnnx onnxruntime openvino onnx numpy torch torchvision
    fi
fi
exec "$python" bench/run.py --engine-bench "$build/bench/engine_bench" --save "$@"
