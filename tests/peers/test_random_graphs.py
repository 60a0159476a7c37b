#!/usr/bin/env python3
"""Random graphs of every operator that can be read, with broadcasts, views and cuts, against
onnxruntime: none may differ, few may be refused.

    test_random_graphs.py [COUNT [FIRST_SEED]]    300 graphs, those of seeds 0 to 299
A graph that differs is kept in the folder that the message names."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

TOLERANCE = 1e-4    # of the largest number of a value
MOST_REFUSED = 0.02 # of all graphs
BATCH = 2
PROGRAM = Path(os.environ.get("ENGRAFT", "build/release/engraft")).parent / "tests" / "run_cuts"
UNARY = ["Relu", "Sigmoid", "Tanh", "Erf", "Abs", "Neg", "Identity", "HardSwish", "LeakyRelu", "HardSigmoid", "Elu", "Dropout"]
MOVES = {"Identity", "Dropout", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Concat"} # give no new layer, perhaps
EXACT = {"Relu", "Abs", "Neg", "Identity", "Dropout"}


class Value:
    """shape: without the batch; exact: computed without rounding, so that a comparison is safe;
    size: about the largest number; raw: another name of the image or of a truth, which is no feature."""

    def __init__(self, name, shape, exact=False, size=1.0, raw=False):
        self.name, self.shape, self.exact, self.size, self.raw = name, tuple(shape), exact, size, raw

    @property
    def c(self):
        return self.shape[0]

    @property
    def is_image(self):
        return len(self.shape) == 3


class Graph:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice([13, 17, 18, 20, 21]))
        c, h, w = (int(self.rng.integers(*r)) for r in ((1, 7), (4, 12), (4, 12)))
        if self.rng.random() < 0.5:
            c = 3
        elif c not in (1, 3, 4) and w == 4:
            w = 5 # without a convolution nothing would tell [6][8][4] from [h][w][c]
        self.nodes, self.constants, self.count = [], [], 0
        self.values = [Value("x", (c, h, w), exact=True, size=3, raw=True)]
        self.by_name = {v.name: v for v in self.values}

    # ---- helpers
    def pick(self, wanted=lambda v: True):
        """A value, the later ones more often; None: none is as wanted."""
        fitting = [v for v in self.values if wanted(v)]
        if not fitting:
            return None
        return fitting[min(len(fitting) - 1, int(len(fitting) * self.rng.random() ** 0.5))]

    def odds(self, p):
        return self.rng.random() < p

    def upto(self, most, least=1):
        return int(self.rng.integers(least, most + 1))

    def name(self, stem):
        self.count += 1
        return f"{stem.lower()}_{self.count}"

    def constant(self, array, dtype=np.float32):
        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def ints(self, *numbers):
        return self.constant(numbers, np.int64)

    def numbers(self, shape, low=-1.0, high=1.0):
        return self.constant(self.rng.uniform(low, high, shape))

    def op(self, kind, inputs, outputs=1, **attributes):
        names = [self.name(kind) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=self.name("node") if self.odds(0.7) else "", **attributes))
        self.maker = kind, inputs[0]
        return names if outputs > 1 else names[0]

    def give(self, value):
        """The value is there, its numbers of a moderate size."""
        kind, of = self.maker
        value.raw |= kind in ("Less", "Greater", "ArgMax")
        value.raw |= kind in MOVES and (of not in self.by_name or self.by_name[of].raw)
        if value.size > 20:
            value = Value(self.op("Mul", [value.name, self.constant(1 / value.size)]), value.shape)
        self.by_name[value.name] = value
        self.values.append(value)

    def axes(self, kind, name, axes, **attributes):
        """Axes are an attribute before and an input since some opset."""
        since = 13 if kind in ("Squeeze", "Unsqueeze", "ReduceSum") else 18
        if self.opset >= since:
            return self.op(kind, [name, self.ints(*axes)], **attributes)
        return self.op(kind, [name], axes=list(axes), **attributes)

    # ---- operators: each adds a value, or does nothing where there is none it could take
    def unary(self):
        v, kind = self.pick(), str(self.rng.choice(UNARY))
        if kind == "HardSwish" and self.opset < 14:
            return
        more = {"alpha": float(self.rng.uniform(0.05, 0.5))} if kind in ("LeakyRelu", "Elu", "HardSigmoid") else {}
        self.give(Value(self.op(kind, [v.name], **more), v.shape, v.exact and kind in EXACT, v.size))

    def gelu(self):
        v = self.pick()
        if self.opset >= 20:
            name = self.op("Gelu", [v.name], approximate=str(self.rng.choice(["none", "tanh"])))
        else:
            half = self.op("Mul", [v.name, self.constant(0.5)])
            erf = self.op("Erf", [self.op("Div", [v.name, self.constant(2**0.5)])])
            name = self.op("Mul", [half, self.op("Add", [erf, self.constant(1.0)])])
        self.give(Value(name, v.shape, size=v.size))

    def positive(self):
        v = self.pick()
        up = self.op("Add", [self.op("Abs", [v.name]), self.constant(0.5)])
        kind = str(self.rng.choice(["Sqrt", "Reciprocal", "Pow", "Exp"]))
        if kind == "Pow":
            name = self.op("Pow", [up, self.constant(self.rng.choice([0.5, 2.0, 1.5]))])
        elif kind == "Exp":
            name = self.op("Exp", [self.op("Clip", [v.name, self.constant(-2.0), self.constant(1.5)])])
        else:
            name = self.op(kind, [up])
        self.give(Value(name, v.shape, size=(v.size + 0.5) ** 2 if kind == "Pow" else v.size + 5))

    def clip(self):
        v, low, high = self.pick(), -self.rng.random(), self.rng.random()
        bounds = [["", self.constant(high)], [self.constant(low)], [self.constant(low), self.constant(high)]][self.upto(2, 0)]
        self.give(Value(self.op("Clip", [v.name, *bounds]), v.shape, v.exact, v.size))

    def like(self, v):
        """Another value or constant that can be spread over v, or None."""
        c, rest = v.c, v.shape[1:]
        shapes = [v.shape, (c,) + (1,) * len(rest), (1,) + rest, (1,) * len(v.shape)]
        if self.odds(0.3):
            shape = shapes[self.upto(3, 0)]
            forms = [(1, *shape), shape] + ([()] if shape == shapes[3] else [])
            return Value(self.numbers(forms[self.upto(len(forms)) - 1], 0.2, 1.2), shape, True)
        other = self.pick(lambda o: o is not v and o.shape in shapes)
        if other is None and c > 1: # a view of fewer channels
            other = Value(self.slice_of(v, self.upto(c - 1, 0), 1), (1,) + rest, v.exact, v.size)
            self.values.append(other)
        return other

    def binary(self):
        a = self.pick()
        b = self.like(a)
        if b is None:
            return
        kind = str(self.rng.choice(["Add", "Add", "Mul", "Sub", "Div", "Max", "Min", "Sum"]))
        right, size = b.name, a.size * b.size if kind == "Mul" else a.size + b.size
        if kind == "Div":
            right, size = self.op("Add", [self.op("Abs", [b.name]), self.constant(0.5)]), 2 * a.size
        swap = kind != "Div" and self.odds(0.4)
        exact = a.exact and b.exact and kind in ("Max", "Min")
        self.give(Value(self.op(kind, [right, a.name] if swap else [a.name, right]), a.shape, exact, size))

    def many(self):
        a = self.pick()
        others = [o for o in (self.like(a) for _ in range(self.upto(3, 2))) if o is not None]
        kind = str(self.rng.choice(["Sum", "Max", "Min"]))
        if others:
            size = a.size + sum(o.size for o in others)
            exact = kind != "Sum" and a.exact and all(o.exact for o in others)
            self.give(Value(self.op(kind, [a.name] + [o.name for o in others]), a.shape, exact, size))

    def compare(self):
        a = self.pick(lambda v: v.exact)
        b = self.like(a)
        if b is None or not b.exact:
            return
        test = self.op(str(self.rng.choice(["Less", "Greater"])), [a.name, b.name])
        if self.odds(0.5):
            return self.give(Value(self.op("Cast", [test], to=TensorProto.FLOAT), a.shape, True))
        yes, no = self.pick(lambda v: v.shape == a.shape), self.like(a)
        if no is not None and no.name not in [c.name for c in self.constants]:
            self.give(Value(self.op("Where", [test, yes.name, no.name]), a.shape, yes.exact and no.exact, yes.size + no.size))

    def sign(self):
        v = self.pick(lambda v: v.exact)
        self.give(Value(self.op("Sign", [v.name]), v.shape, True))

    def cast(self):
        """To whole numbers or truth and back: truncated, tested."""
        v = self.pick(lambda v: v.exact)
        to = [TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16][self.upto(6, 0)]
        there = self.op("Cast", [v.name], to=to)
        self.give(Value(self.op("Cast", [there], to=TensorProto.FLOAT), v.shape, True, v.size))

    def window(self, v, most=5):
        """kernel, strides, dilations, and pads or auto_pad, that fit v; None: they do not"""
        kernel = [self.upto(min(most, side)) for side in v.shape[1:]]
        stride = [self.upto(2) for _ in range(2)]
        dilation = [self.upto(2) if self.odds(0.2) else 1 for _ in range(2)]
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        pads = [self.upto(k - 1, 0) if self.odds(0.6) else 0 for k in kernel + kernel]
        more = {"kernel_shape": kernel, "strides": stride}
        auto = self.odds(0.2) and dilation == [1, 1] and all(k >= s for k, s in zip(kernel, stride))
        if auto:
            more["auto_pad"] = str(self.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
            if more["auto_pad"] == "VALID":
                pads = [0] * 4
        else:
            more["pads"] = pads
        if dilation != [1, 1]:
            more["dilations"] = dilation
        same = auto and more["auto_pad"] != "VALID"
        out = []
        for i, side in enumerate(v.shape[1:]):
            room = side + pads[i] + pads[i + 2] - reach[i]
            if room < 0 and not same:
                return None, None
            out.append(-(-side // stride[i]) if same else room // stride[i] + 1)
        return more, out

    def conv(self):
        v = self.pick(lambda v: v.is_image)
        more, out = self.window(v) if v else (None, None)
        if not out:
            return
        groups = int(self.rng.choice([g for g in range(1, v.c + 1) if v.c % g == 0]))
        c = groups * self.upto(4) if self.odds(0.8) else groups * self.upto(24)
        if self.odds(0.2):
            groups, c = v.c, v.c
        fan = v.c // groups * int(np.prod(more["kernel_shape"]))
        weight = self.numbers((c, v.c // groups, *more["kernel_shape"]), -1.5 / fan**0.5, 1.5 / fan**0.5)
        inputs = [v.name, weight] + ([self.numbers(c)] if self.odds(0.5) else [])
        if groups > 1 or self.odds(0.5):
            more["group"] = groups
        self.give(Value(self.op("Conv", inputs, **more), (c, *out), size=v.size + 1))

    def pool(self):
        v = self.pick(lambda v: v.is_image)
        more, out = self.window(v, 3) if v else (None, None)
        if not out:
            return
        kind = str(self.rng.choice(["MaxPool", "AveragePool"]))
        if kind == "AveragePool" and ("dilations" in more or self.odds(0.5)):
            if more.pop("dilations", None):
                return
        if kind == "AveragePool" and "auto_pad" not in more and self.odds(0.5):
            more["count_include_pad"] = 1
        exact = v.exact and kind == "MaxPool"
        self.give(Value(self.op(kind, [v.name], **more), (v.c, *out), exact, v.size))

    def global_pool(self):
        v = self.pick(lambda v: v.is_image)
        if not v:
            return
        kind = self.upto(3, 0)
        if kind < 2:
            name = self.op(["GlobalAveragePool", "GlobalMaxPool"][kind], [v.name])
        else:
            name = self.axes(["ReduceMean", "ReduceMax"][kind - 2], v.name, [2, 3], keepdims=1)
        self.give(Value(name, (v.c, 1, 1), v.exact and kind in (1, 3), v.size))

    def reduce(self):
        v = self.pick(lambda v: v.is_image)
        kind = str(self.rng.choice(["ReduceMean", "ReduceSum", "ReduceMax"]))
        if v:
            name = self.axes(kind, v.name, [1], keepdims=1)
            self.give(Value(name, (1, *v.shape[1:]), v.exact and kind == "ReduceMax", v.size * (v.c if kind == "ReduceSum" else 1)))

    def arg_max(self):
        v = self.pick(lambda v: v.exact and v.is_image)
        which = self.op("ArgMax", [v.name], axis=1, keepdims=1)
        self.give(Value(self.op("Cast", [which], to=TensorProto.FLOAT), (1, *v.shape[1:]), True, v.c))

    def slice_of(self, v, begin, count):
        return self.op("Slice", [v.name, self.ints(begin), self.ints(begin + count), self.ints(1)])

    def slice(self):
        v = self.pick(lambda v: v.c > 1)
        if v:
            begin = self.upto(v.c - 1, 0)
            count = self.upto(v.c - begin)
            self.give(Value(self.slice_of(v, begin, count), (count, *v.shape[1:]), v.exact, v.size))

    def split(self):
        v = self.pick(lambda v: v.c > 1)
        if not v:
            return
        first = self.upto(v.c - 1)
        sizes = [first, v.c - first]
        for size, name in zip(sizes, self.op("Split", [v.name, self.ints(*sizes)], outputs=2, axis=1)):
            self.give(Value(name, (size, *v.shape[1:]), v.exact, v.size))

    def gather(self):
        v = self.pick(lambda v: v.is_image)
        if v:
            one = self.op("Gather", [v.name, self.constant(self.upto(v.c - 1, 0), np.int64)], axis=1)
            self.give(Value(self.axes("Unsqueeze", one, [1]), (1, *v.shape[1:]), v.exact, v.size))

    def concat(self):
        v = self.pick()
        parts = [v] + [self.pick(lambda o: o.shape[1:] == v.shape[1:]) for _ in range(self.upto(3))]
        if sum(p.c for p in parts) <= 64:
            shape = (sum(p.c for p in parts), *v.shape[1:])
            name = self.op("Concat", [p.name for p in parts], axis=1)
            self.give(Value(name, shape, all(p.exact for p in parts), max(p.size for p in parts)))

    def shuffle(self):
        v = self.pick(lambda v: v.is_image and v.c > 3)
        groups = [g for g in range(2, v.c) if v.c % g == 0] if v else []
        if not groups:
            return
        g, (c, h, w) = int(self.rng.choice(groups)), v.shape
        apart = self.op("Reshape", [v.name, self.ints(-1, g, c // g, h, w)])
        turned = self.op("Transpose", [apart], perm=[0, 2, 1, 3, 4])
        self.give(Value(self.op("Reshape", [turned, self.ints(-1, c, h, w)]), v.shape, v.exact, v.size))

    def channels_last(self):
        """Something along the last axis of [n][h][w][c], or nothing."""
        v = self.pick(lambda v: v.is_image)
        name, c = self.op("Transpose", [v.name], perm=[0, 2, 3, 1]), v.c
        kind, exact, size = self.upto(4), False, v.size
        if kind == 1 and self.opset >= 17:
            name = self.op("LayerNormalization", [name, self.numbers(c, 0.5, 1.5), self.numbers(c)], axis=-1, epsilon=1e-3)
            size = 3
        elif kind == 2:
            out = self.upto(8)
            name, c = self.op("MatMul", [name, self.numbers((c, out))]), out
            size = v.size * v.c**0.5
        elif kind == 3:
            name, size = self.op("Softmax", [name], axis=-1), 1
        else:
            exact = v.exact
        self.give(Value(self.op("Transpose", [name], perm=[0, 3, 1, 2]), (c, *v.shape[1:]), exact, size))

    def norm(self):
        v = self.pick(lambda v: v.is_image)
        if self.odds(0.3):
            return self.give(Value(self.op("LRN", [v.name], size=int(self.rng.choice([1, 3, 5])), alpha=0.1, beta=0.6, bias=1.2), v.shape, size=v.size))
        inputs = [self.numbers(v.c, 0.5, 1.5), self.numbers(v.c), self.numbers(v.c), self.numbers(v.c, 0.5, 1.5)]
        self.give(Value(self.op("BatchNormalization", [v.name, *inputs], epsilon=1e-3), v.shape, size=2 * v.size + 2))

    def prelu(self):
        v = self.pick(lambda v: v.is_image)
        slope = self.numbers([(v.c, 1, 1), (1, 1, 1)][self.upto(1, 0)])
        self.give(Value(self.op("PRelu", [v.name, slope]), v.shape, size=v.size))

    def softmax(self):
        v = self.pick()
        self.give(Value(self.op("Softmax", [v.name], axis=1), v.shape))

    def pad(self):
        v = self.pick(lambda v: v.is_image and max(v.shape[1:]) < 14)
        if v:
            top, left, bottom, right = (self.upto(2, 0) for _ in range(4))
            inputs = [v.name, self.ints(0, 0, top, left, 0, 0, bottom, right)] + ([self.constant(0.25)] if self.odds(0.5) else [])
            shape = (v.c, v.shape[1] + top + bottom, v.shape[2] + left + right)
            self.give(Value(self.op("Pad", inputs), shape, v.exact, v.size))

    def flatten(self):
        v = self.pick(lambda v: v.is_image and np.prod(v.shape) <= 600)
        if not v:
            return
        length = int(np.prod(v.shape))
        if v.shape[1:] == (1, 1) and self.odds(0.5):
            name = self.axes("Squeeze", v.name, [2, 3])
        elif self.odds(0.5):
            name = self.op("Flatten", [v.name])
        else:
            name = self.op("Reshape", [v.name, self.ints(*([0, -1] if self.odds(0.5) else [-1, length]))])
        self.give(Value(name, (length,), v.exact, v.size))

    def dense(self):
        v = self.pick(lambda v: not v.is_image)
        if not v:
            return
        out, near = self.upto(12), 1.5 / v.c**0.5
        kind = self.upto(3)
        if kind == 1:
            name = self.op("MatMul", [v.name, self.numbers((v.c, out), -near, near)])
        elif kind == 2:
            name = self.op("Gemm", [v.name, self.numbers((out, v.c), -near, near), self.numbers(out)], transB=1)
        else:
            name = self.op("Gemm", [v.name, self.numbers((v.c, out), -near, near)])
        self.give(Value(name, (out,), size=v.size + 1))

    def unflatten(self):
        v = self.pick(lambda v: not v.is_image)
        if v:
            self.give(Value(self.axes("Unsqueeze", v.name, [2, 3]), (v.c, 1, 1), v.exact, v.size))

    STEPS = [unary, unary, gelu, positive, clip, binary, binary, binary, many, compare, sign, cast, conv, conv, conv, pool,
             global_pool, reduce, arg_max, slice, slice, split, gather, concat, concat, shuffle, channels_last, norm,
             prelu, softmax, pad, flatten, dense, unflatten]

    # ---- the whole
    def make(self):
        for _ in range(self.upto(16, 4)):
            self.STEPS[int(self.rng.integers(len(self.STEPS)))](self)
        made = [v for v in self.values if not v.raw]
        if not made:
            return self.make()
        chosen = {int(i) for i in self.rng.integers(0, len(made), self.upto(3))} | {len(made) - 1}
        self.cuts = [made[i] for i in sorted(chosen)]
        fixed = self.odds(0.3)
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH if fixed else "n", *self.values[0].shape])
        outputs = [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, None) for v in self.cuts]
        graph = helper.make_graph(self.nodes, "random", [x], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        return model


def expected(model, graph, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run([v.name for v in graph.cuts], {"x": x})


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    refused, wrong, values = {}, [], 0
    keep = Path(tempfile.mkdtemp(prefix="engraft-graphs-"))
    runner = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for seed in range(first, first + count):
        graph = Graph(seed)
        model = graph.make()
        path, out = keep / f"{seed}.onnx", keep / "out"
        x = graph.rng.uniform(-3, 3, (BATCH, *graph.values[0].shape)).astype(np.float32)
        theirs = expected(model, graph, x)
        onnx.save(model, path)
        x.transpose(0, 2, 3, 1).tofile(keep / "x")
        runner.stdin.write("\t".join([str(path), str(keep / "x"), str(BATCH), str(out), *(v.name for v in graph.cuts)]) + "\n")
        runner.stdin.flush()
        answer = runner.stdout.readline().strip()
        if not answer.startswith("ok"):
            refused[seed] = answer or "crashed"
            if not answer:
                wrong.append((seed, "crashed"))
                break
        else:
            ours = np.fromfile(out, np.float32)
            for v, right in zip(graph.cuts, theirs):
                part, ours = ours[: right.size].reshape(BATCH, -1), ours[right.size :]
                right = right.reshape(BATCH, -1)
                largest = max(np.abs(right).max(), 1e-3)
                values += 1
                rounding = 2.0**-22 * v.size # of what it was computed from: a Gelu far below 0 is a difference of equals
                if part.size != right.size or not np.abs(part - right).max() <= TOLERANCE * largest + rounding:
                    wrong.append((seed, v.name, "differs" if part.size != right.size else float(np.abs(part - right).max() / largest)))
                    break
            if ours.size and not (wrong and wrong[-1][0] == seed):
                wrong.append((seed, "lengths differ"))
        if not (wrong and wrong[-1][0] == seed):
            path.unlink()
    runner.stdin.close()
    runner.wait()
    print(f"{count} graphs: {values} values equal to onnxruntime's but for those of {len(wrong)} graphs, {len(refused)} refused")
    for seed, text in list(refused.items())[:40]:
        print(f"refused {seed}: {text}")
    for line in wrong:
        print("wrong:", *line, f"(kept in {keep})")
    if not wrong:
        for file in keep.iterdir():
            file.unlink()
        keep.rmdir()
    sys.exit(bool(wrong) or len(refused) > MOST_REFUSED * count)


if __name__ == "__main__":
    main()
