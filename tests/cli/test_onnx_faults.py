#!/usr/bin/env python3
"""ONNX files that real programs write, or broke: each gives the right values or one clear line. The
files are made here, byte by byte (no packages needed)."""
import json
import struct
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from program import Case, main, run

FLOAT, INT64 = 1, 7


def varint(value):
    out = b""
    value &= (1 << 64) - 1
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A protobuf field: a whole number, or text, bytes or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value, kind=None):
    """kind: the type that is said, whatever the value is"""
    if value is None: # a number of proto3: 0 is not written
        return field(1, name) + field(20, kind)
    if isinstance(value, float):
        return field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", value) + field(20, kind or 1)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, kind or 2)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, kind or 3)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, kind or 7)


def node(op, inputs, outputs, name="", domain="", **attributes):
    message = b"".join(field(1, i) for i in inputs) + b"".join(field(2, o) for o in outputs)
    message += field(3, name) + field(4, op) + (field(7, domain) if domain else b"")
    for key, value in attributes.items():
        value = value if isinstance(value, tuple) else (value,)
        message += field(5, attribute(key, *value))
    return message


def tensor(name, dims, numbers, kind=FLOAT, external=None):
    message = b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name)
    if external:
        return message + b"".join(field(13, field(1, k) + field(2, v)) for k, v in external.items()) + field(14, 1)
    return message + field(9, struct.pack(f"<{len(numbers)}{'f' if kind == FLOAT else 'q'}", *numbers))


def value_info(name, dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def model(nodes, output, tensors=(), dims=("n", 3, 2, 2), opset=17, inputs=()):
    graph = b"".join(field(1, n) for n in nodes) + field(2, "net") + b"".join(field(5, t) for t in tensors)
    graph += field(11, value_info("x", dims)) + b"".join(field(11, value_info(i, ("n", 4))) for i in inputs)
    graph += field(12, value_info(output, ("n",)))
    return field(1, 8) + field(7, graph) + field(8, field(2, opset))


def function(name, inputs, outputs, nodes, domain="mine", attributes=(), defaults=()):
    message = field(1, name) + b"".join(field(4, i) for i in inputs) + b"".join(field(5, o) for o in outputs)
    message += b"".join(field(6, a) for a in attributes) + b"".join(field(7, n) for n in nodes) + field(10, domain)
    return field(25, message + b"".join(field(11, attribute(k, v)) for k, v in defaults))


def with_attribute_of_call(made, name, outer, kind=1):
    return made + field(5, field(1, name) + field(20, kind) + field(21, outer))


def npy(path, numbers, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(numbers)}f", *numbers))


CONV = tensor("w", (3, 3, 1, 1), [1, 0, 0, 0, 1, 0, 0, 0, 1])
NUMBERS = [0.5, -0.75, 2.5, -2.5, 1.75, -1.25, 0.0, 3.5, -0.25, 7.0, 1.0, -1.0]


class OnnxFaults(Case):
    def write(self, *words, **more):
        path = self.here / "net.onnx"
        path.write_bytes(model(*words, **more))
        return path

    def features(self, path, cut, numbers=NUMBERS, shape=(3, 2, 2)):
        npy(self.here / "x.npy", numbers, (1, *shape))
        done = run("extract", path, self.here / "x.npy", "--cut", cut, "--output", self.here / "f.h5", "--force", "--quiet")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("rows", self.here / "f.h5", "--npy", self.here / "f.npy", "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        raw = (self.here / "f.npy").read_bytes()
        length = struct.unpack("<H", raw[8:10])[0]
        return list(struct.unpack(f"<{(len(raw) - 10 - length) // 4}f", raw[10 + length :]))

    def refused(self, path, *words, command=("inspect",)):
        done = run(command[0], path, *command[1:])
        self.assertNotEqual(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_view_of_fewer_channels_times_the_whole(self):
        cut = [tensor("b", (1,), [2], INT64), tensor("e", (1,), [3], INT64), tensor("a", (1,), [1], INT64)]
        path = self.write([node("Slice", ["x", "b", "e", "a"], ["s"]), node("Mul", ["x", "s"], ["y"])], "y", cut)
        got = self.features(path, "y", list(range(12)))
        self.assertEqual(got, [x * y for x, y in zip(range(12), [8, 9, 10, 11] * 3)])

    def test_cast_cuts_short_and_tests(self):
        for to, right in ((6, [float(int(x)) for x in NUMBERS]), (9, [float(x != 0) for x in NUMBERS])):
            path = self.write([node("Conv", ["x", "w"], ["c"]), node("Cast", ["c"], ["i"], to=to), node("Cast", ["i"], ["y"], to=1)], "y", [CONV])
            self.assertEqual(self.features(path, "y"), right)

    def test_cast_rounds_to_half_precision(self):
        for to, right in ((10, 1.0009765625), (16, 1.0)):
            path = self.write([node("Conv", ["x", "w"], ["c"]), node("Cast", ["c"], ["h"], to=to), node("Cast", ["h"], ["y"], to=1)], "y", [CONV])
            self.assertEqual(self.features(path, "y", [1.001] * 12), [right] * 12)

    def test_integers_are_not_divided_as_numbers(self):
        nodes = [node("Conv", ["x", "w"], ["c"]), node("Cast", ["c"], ["i"], to=7), node("Div", ["i", "two"], ["d"]), node("Cast", ["d"], ["y"], to=1)]
        path = self.write(nodes, "y", [CONV, tensor("two", (), [2], INT64)])
        self.refused(path, "Div", "divides whole numbers", command=("inspect", "--cut", "y"))

    def test_bounds_and_weights_that_are_computed(self):
        """Nobody is told to run another tool first."""
        nodes = [node("Shape", ["x"], ["s"]), node("ReduceProd", ["s"], ["p"], keepdims=0), node("Cast", ["p"], ["f"], to=1), # 12
                 node("Div", ["f", "ten"], ["high"]), node("Neg", ["high"], ["low"]), node("Clip", ["x", "low", "high"], ["a"]),
                 node("ReduceMean", ["k"], ["m"], axes=[1, 2, 3], keepdims=1), node("Sub", ["k", "m"], ["d"]), node("Conv", ["a", "d"], ["y"])]
        path = self.write(nodes, "y", [tensor("ten", (), [10]), tensor("k", (1, 3, 1, 1), [1, 2, 6])], dims=(1, 3, 2, 2))
        clipped = [max(-1.2, min(1.2, x)) for x in NUMBERS]
        for a, b in zip(self.features(path, "y"), [-2 * clipped[i] - clipped[4 + i] + 3 * clipped[8 + i] for i in range(4)]):
            self.assertAlmostEqual(a, b, 5)

    def test_functions_of_the_file(self):
        """Their nodes stand where they are called; attributes are the call's, else the function's own."""
        slope = with_attribute_of_call(node("LeakyRelu", ["a"], ["t"], name="inner"), "alpha", "slope")
        lean = function("Lean", ["a", "unused"], ["b"], [slope, node("Neg", ["t"], ["b"])], attributes=["slope"], defaults=[("slope", 0.5)])
        twice = function("Twice", ["a"], ["c"], [node("Lean", ["a"], ["t"], domain="mine", slope=0.25), node("Lean", ["t"], ["c"], domain="mine")])
        net = model([node("Conv", ["x", "w"], ["v"]), node("Twice", ["v"], ["y"], domain="mine", name="call")], "y", [CONV])
        path = self.here / "net.onnx"
        path.write_bytes(net + twice + lean)
        once = [-x if x > 0 else -0.25 * x for x in NUMBERS]
        self.assertEqual(self.features(path, "y"), [-x if x > 0 else -0.5 * x for x in once])

    def test_functions_that_never_end(self):
        for body in ([node("A", ["a"], ["b"], domain="mine")], [node("A", ["a"], [f"b{i}"], domain="mine") for i in range(40)]):
            path = self.here / "net.onnx"
            path.write_bytes(model([node("A", ["x"], ["y"], domain="mine")], "y") + function("A", ["a"], ["b"], body))
            self.refused(path, "function 'A'", "too often")
        chain = b"".join(function(f"F{i}", ["a"], ["b"], [node(f"F{i + 1}", ["a"], [f"b{k}"], domain="mine") for k in range(9)]) for i in range(12))
        path.write_bytes(model([node("F0", ["x"], ["y"], domain="mine")], "y") + chain + function("F12", ["a"], ["b"], []))
        self.refused(path, "too often")

    def test_small_files_that_ask_for_much(self):
        """They are refused at once, whatever they would become."""
        most = tensor("most", (3,), [10**6, 10**6, 1], INT64)
        start, end = tensor("start", (), [0], INT64), tensor("end", (), [10**12], INT64)
        bombs = {
            "Expand": ([node("Expand", ["one", "most"], ["b"])], [tensor("one", (1,), [1]), most]),
            "ConstantOfShape": ([node("ConstantOfShape", ["most"], ["b"])], [most]),
            "Range": ([node("Range", ["start", "end", "step"], ["r"]), node("Cast", ["r"], ["b"], to=1)],
                      [start, end, tensor("step", (), [1], INT64)]),
            "Tile": ([node("Tile", ["one", "most"], ["b"])], [tensor("one", (1, 1, 1), [1]), most]),
            "too long": ([node("Expand", ["one", "few"], ["v0"])] + # every sum reads 4 million numbers, and gives one
                         [node("ReduceSum", ["v0"], [f"s{i}"], keepdims=0) for i in range(120)] +
                         [node("Sum", [f"s{i}" for i in range(60)], ["b0"]), node("Sum", ["b0"] + [f"s{i}" for i in range(60, 120)], ["b"])],
                         [tensor("one", (1,), [1]), tensor("few", (2,), [2000, 2000], INT64)]),
        }
        for word, (nodes, tensors) in bombs.items():
            path = self.write([*nodes, node("Add", ["x", "b"], ["y"])], "y", tensors)
            began = time.monotonic()
            self.refused(path, word, "constants would")
            self.assertLess(time.monotonic() - began, 10, word)

    def test_a_value_wins_over_a_node_of_its_name(self):
        nodes = [node("Conv", ["x", "w"], ["c"], name="y"), node("Relu", ["c"], ["y"], name="relu")]
        path = self.write(nodes, "y", [CONV])
        self.assertEqual(self.features(path, "y"), [max(x, 0.0) for x in NUMBERS])
        self.assertEqual(self.features(path, "relu"), [max(x, 0.0) for x in NUMBERS])
        self.assertEqual(self.features(path, "c"), NUMBERS)

    def test_a_number_without_value_is_zero(self):
        path = self.write([node("LeakyRelu", ["x"], ["y"], alpha=(None, 1))], "y")
        self.assertEqual(self.features(path, "y"), [max(x, 0.0) for x in NUMBERS])

    def test_training_forms_are_refused(self):
        ones = [tensor(n, (3,), [1, 1, 1]) for n in "sbmv"]
        outputs = ["y", "m1", "v1", "m2", "v2"]
        path = self.write([node("BatchNormalization", ["x", *"sbmv"], outputs)], "y", ones, opset=9)
        self.refused(path, "BatchNormalization", "training mode")
        path = self.write([node("BatchNormalization", ["x", *"sbmv"], ["y"])], "y", ones, opset=9)
        self.assertEqual(run("inspect", path).returncode, 0)

    def test_weights_that_are_no_numbers_are_refused_at_once(self):
        for bad in (float("nan"), float("inf")):
            weight = tensor("w2", (3, 3, 1, 1), [1, 0, 0, 0, bad, 0, 0, 0, 1])
            nodes = [node("Conv", ["x", "w"], ["c"], name="first"), node("Conv", ["c", "w2"], ["y"], name="second")]
            path = self.write(nodes, "y", [CONV, weight])
            npy(self.here / "x.npy", NUMBERS, (1, 3, 2, 2))
            done = run("extract", path, self.here / "x.npy", "--cut", "second", "--output", self.here / "n.h5")
            self.assertEqual(done.returncode, 1)
            self.assertIn("layer 'second'", done.stderr)
            self.assertIn("NaN or infinity", done.stderr)
            self.assertFalse((self.here / "n.h5").exists())
            self.assertEqual(self.features(path, "first"), NUMBERS) # sound up to there

    def test_broken_files_are_refused(self):
        (self.here / "weights").write_bytes(bytes(64))
        for where in ({"offset": "zero"}, {"offset": "-4"}, {"offset": "0x0"}, {"offset": ""}, {"length": "36 "}):
            path = self.write([node("Conv", ["x", "w"], ["y"])], "y", [tensor("w", (3, 3, 1, 1), [], external={"location": "weights", **where})])
            self.refused(path, "tensor 'w'", "is no number")
        path = self.write([node("MaxPool", ["x"], ["y"], kernel_shape=("2,2", 3))], "y")
        self.refused(path, "MaxPool", "'kernel_shape' is not a list of whole numbers")
        for dims in (("n", 3, 0, 2), ("n", 3, 2, 0), (0, 3, 2, 2), ("n", 0, 2, 2)):
            path = self.write([node("Relu", ["x"], ["y"])], "y", dims=dims)
            self.refused(path, "of its input 'x' is 0")

    def test_several_files_of_weights(self):
        (self.here / "a").write_bytes(bytes(8) + struct.pack("<9f", *[2, 0, 0, 0, 2, 0, 0, 0, 2]))
        (self.here / "b").write_bytes(struct.pack("<3f", 1, 2, 3))
        weight = tensor("w", (3, 3, 1, 1), [], external={"location": "a", "offset": "8", "length": "36"})
        bias = tensor("b", (3,), [], external={"location": "b"})
        path = self.write([node("Conv", ["x", "w", "b"], ["y"])], "y", [weight, bias])
        self.assertEqual(self.features(path, "y"), [2 * x + 1 + i // 4 for i, x in enumerate(NUMBERS)])

    def test_what_comes_before_an_unknown_operator_is_of_use(self):
        nodes = [node("Conv", ["x", "w"], ["early"], name="first"), node("NonZero", ["early"], ["z"], name="where"), node("Relu", ["z"], ["y"], name="late")]
        path = self.write(nodes, "y", [CONV])
        self.assertEqual(self.features(path, "early"), NUMBERS)
        listed = run("inspect", path)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for word in ("first", "NonZero", "every row with a length can be cut"):
            self.assertIn(word, listed.stdout)
        listed = json.loads(run("inspect", path, "--json").stdout)
        self.assertIn("NonZero", listed["unread"])
        self.refused(path, "no layer 'late'", "NonZero", "'first'", command=("inspect", "--cut", "late"))
        self.refused(path, "NonZero", "'first'", command=("convert", "--output", self.here / "c.onnx"))
        done = run("convert", path, "--cut", "early", "--output", self.here / "c.onnx")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("unread", json.loads(run("inspect", self.here / "c.onnx", "--json").stdout))

    def test_other_operators_domains_and_inputs_behind_the_cut(self):
        nodes = [node("Conv", ["x", "w"], ["early"]), node("Magic", ["early"], ["m"], domain="org.other"), node("Add", ["m", "second"], ["y"])]
        path = self.write(nodes, "y", [CONV, tensor("text", (1,), [], 8)], inputs=["second"])
        self.assertEqual(self.features(path, "early"), NUMBERS)

    def test_newer_opsets(self):
        for opset in (22, 25, 28):
            path = self.write([node("Conv", ["x", "w"], ["y"])], "y", [CONV], opset=opset)
            self.assertEqual(self.features(path, "y"), NUMBERS)
        self.refused(self.write([node("Relu", ["x"], ["y"])], "y", opset=999), "opset 999")

    def test_images_of_any_number_of_channels(self):
        for c in (1, 2, 4, 6):
            weight = tensor("w", (1, c, 1, 1), [float(i + 1) for i in range(c)])
            path = self.write([node("Conv", ["x", "w"], ["y"])], "y", [weight], dims=("n", c, 2, 2))
            image = [float(i) for i in range(4 * c)]
            right = [sum((k + 1) * image[4 * k + p] for k in range(c)) for p in range(4)]
            self.assertEqual(self.features(path, "y", image, (c, 2, 2)), right)


if __name__ == "__main__":
    main()
