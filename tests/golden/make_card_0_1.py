"""Makes models/card_0_1.onnx: a classifier as engraft 0.1.0 wrote it, before files had a card version.

    make_card_0_1.py ENGRAFT-OF-0.1 OUT.onnx          (onnx 1.23, numpy 1.24)

A network of one convolution, trained on the stripes of tests/cli/program.py.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import photos

engraft, out = (str(Path(p).resolve()) for p in sys.argv[1:3])
rng = np.random.default_rng(1)
weights = {
    "w": rng.normal(0, 0.3, (6, 3, 3, 3)), "b": rng.normal(0, 0.1, 6),
    "fc": rng.normal(0, 0.3, (10, 6)), "fcb": np.zeros(10),
}
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["image", "w", "b"], ["conv"], name="conv", strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "fc", "fcb"], ["logits"], name="fc", transB=1),
    ],
    "tiny",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 32, 32])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
    [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
)
with tempfile.TemporaryDirectory() as folder:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), f"{folder}/tiny.onnx")
    photos(f"{folder}/photos")
    subprocess.run(
        [engraft, "train", "photos", "--model", "./tiny.onnx", "--preprocess", "torchvision", "--cut", "relu:avg",
         "--classifier", "svm", "--reject", "0.05", "--test", "0.25", "--seed", "7", "-o", out],
        cwd=folder, check=True,
    )
Path(out).with_suffix(".h5").unlink() # the features, which train kept beside it
