#!/usr/bin/env python3
"""Operators on constants alone, which are computed while a file is read: ONNX's own node tests with every input
an initializer, their outputs added to the network's (zero) input."""
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.backend.test.case.node import collect_testcases
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

PROGRAM = Path(os.environ.get("ENGRAFT", "build/release/engraft")).parent / "tests" / "run_cuts"
OPERATORS = set("""Shape Size Constant ConstantOfShape Range EyeLike Identity Cast CastLike Reshape Squeeze Unsqueeze
    Flatten Transpose Slice Concat Split Gather GatherND ScatterND Expand Tile Trilu Where Clip CumSum DequantizeLinear
    Add Sub Mul Div Pow Mod Max Min Sum Equal Less Greater LessOrEqual GreaterOrEqual And Or Xor Not Neg Sqrt Floor
    Ceil Round Reciprocal Exp Log Abs Sign Erf Sin Cos Tanh Sigmoid Relu IsNaN IsInf ReduceSum ReduceMean ReduceMax
    ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare""".split())
# Results without numbers; remainders of infinities; types that are none of ours; sums of
# what falls together.
LEFT_OUT = ("string", "float8", "FLOAT8", "float4", "FLOAT4", "int4", "INT4", "int2", "INT2", "uint16", "uint32", "uint64",
            "UINT16", "UINT32", "UINT64", "zero_and_negative", "scatternd_add", "scatternd_mul", "scatternd_max", "scatternd_min",
            "batch_dim", "edge_cases", "e8m0", "E8M0")
KEPT_WHOLE = {"int32", "int64", "bool", "int8", "uint8", "int16", "float32", "float64", "float16"}


def arrays(case):
    """The case's inputs and outputs."""
    return [[numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in part] for part in case.data_sets[0]]


def wrapped(case):
    """The case's model as a network with an input; the expected numbers."""
    model, (inputs, outputs) = case.model, arrays(case)
    graph = model.graph
    nodes = list(graph.node)
    expected = np.concatenate([np.asarray(o, np.float64).ravel() for o in outputs])
    expected = np.where(np.isnan(expected), 7, np.clip(expected, -1e30, 1e30)) # no network may hold infinities
    parts = []
    for i, (info, value) in enumerate(zip(graph.output, outputs)):
        nodes += [helper.make_node("Cast", [info.name], [f"float{i}"], to=TensorProto.FLOAT),
                  helper.make_node("IsNaN", [f"float{i}"], [f"nan{i}"]), helper.make_node("Clip", [f"float{i}", "low", "high"], [f"clip{i}"]),
                  helper.make_node("Where", [f"nan{i}", "seven", f"clip{i}"], [f"finite{i}"]),
                  helper.make_node("Reshape", [f"finite{i}", "row"], [f"row{i}"])]
        parts.append(f"row{i}")
    nodes += [helper.make_node("Concat", parts, ["all"], axis=1), helper.make_node("Add", ["all", "the_input"], ["the_output"])]
    tensors = [numpy_helper.from_array(np.asarray(v), info.name) for info, v in zip(graph.input, inputs)]
    tensors += [numpy_helper.from_array(v, k) for k, v in (("row", np.array([1, -1])), ("low", np.float32(-1e30)),
                                                           ("high", np.float32(1e30)), ("seven", np.float32(7)))]
    made = helper.make_graph(nodes, "constants", [helper.make_tensor_value_info("the_input", TensorProto.FLOAT, ["n", int(expected.size)])],
                             [helper.make_tensor_value_info("the_output", TensorProto.FLOAT, None)], tensors)
    opset = max([7, *(o.version for o in model.opset_import if not o.domain)]) # older ones are not read, Not is as it was
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), expected


def usable(case):
    nodes = case.model.graph.node
    if not all(n.op_type in OPERATORS and not n.domain for n in nodes) or any(word in case.name for word in LEFT_OUT):
        return False
    values = [v for part in arrays(case) for v in part]
    return all(isinstance(v, np.ndarray | np.generic) and v.dtype.name in KEPT_WHOLE for v in values) and \
        all(np.asarray(v).size for v in arrays(case)[1])


def run(program, model, size, folder):
    path, x, out = folder / "net.onnx", folder / "x", folder / "out"
    onnx.save(model, path)
    np.zeros(size, "<f4").tofile(x)
    program.stdin.write(f"{path}\t{x}\t1\t{out}\tthe_output\n")
    program.stdin.flush()
    answer = program.stdout.readline().strip()
    return answer, np.fromfile(out, "<f4") if answer.startswith("ok") else None


def main():
    warnings.simplefilter("ignore")
    wrong, refused, done = [], [], set()
    cases = [c for c in collect_testcases(None) if usable(c)]
    with tempfile.TemporaryDirectory(prefix="engraft-constants-") as folder, \
            subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        for case in cases:
            model, expected = wrapped(case)
            answer, ours = run(program, model, expected.size, Path(folder))
            if ours is None:
                refused.append(f"{case.name}: {answer}")
                continue
            done.add(case.model.graph.node[0].op_type)
            if not np.allclose(ours, expected, 1e-3 if "float16" in case.name.lower() else 1e-5, 1e-6, equal_nan=True):
                wrong.append(f"{case.name}: {ours[:8]} where {expected[:8]} is right")
        program.stdin.close()
    print(f"{len(cases)} cases, {len(wrong)} differ, {len(refused)} refused")
    print(*wrong, *refused, sep="\n")
    never = OPERATORS - done - {"Constant"}
    print("never computed:", *sorted(never)) if never else None
    return 1 if wrong or refused or never else 0


if __name__ == "__main__":
    sys.exit(main())
