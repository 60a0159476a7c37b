"""engraft verify: the same input through this network and another, or what another program made of it."""
import array
import struct
import zipfile

from program import MODEL, Case, main, photo


def npy(path, shape, values):
    """float32 as numpy.save writes it."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + array.array("f", values).tobytes()
    path.write_bytes(data)
    return data


class Verify(Case):
    def setUp(self):
        super().setUp()
        self.values = [((i * 2654435761) % 1000) / 500 - 1 for i in range(3 * 64 * 64)]
        npy(self.here / "x.npy", (1, 3, 64, 64), self.values)

    def features(self, cut, *more):
        """What extract makes of x.npy, as another program would save it."""
        self.good("extract", MODEL, "x.npy", "--size", 64, "--cut", cut, "-o", "f.h5", "--force", *more)
        self.good("rows", "f.h5", "--npy", f"{cut}.npy", "--force")
        return (self.here / f"{cut}.npy").read_bytes()

    def test_a_network_agrees_with_itself_converted(self):
        self.good("convert", MODEL, "-o", "same.onnx")
        found = self.json("verify", MODEL, "--against", "same.onnx", "--size", 64, "--seed", 3)
        self.assertIsNone(found["parts_at"])
        self.assertGreater(len(found["layers"]), 100)
        self.assertEqual({"name", "difference"} - set(found["layers"][0]), set())
        self.assertLess(max(layer["difference"] for layer in found["layers"]), 1e-5)
        self.assertIn("agree within 1e-3", self.good("verify", MODEL, "--against", "same.onnx", "--size", 64).stdout)

    def test_where_networks_part(self):
        self.good("convert", MODEL, "-o", "half.onnx", "--dtype", "f16")
        model = bytearray((self.here / "half.onnx").read_bytes())
        self.good("convert", MODEL, "-o", "same.onnx")
        at = model.rindex(b"_blocks.5._project_conv.weight")
        raw = at + 60  # some hundred of the weights, small numbers, become others
        for i in range(raw, raw + 600, 2):
            model[i : i + 2] = struct.pack("<e", 0.5)
        (self.here / "broken.onnx").write_bytes(model)
        found = self.json("verify", "same.onnx", "--against", "broken.onnx", "x.npy", "--size", 64)
        layers = [layer["name"] for layer in found["layers"]]
        self.assertIn("_blocks.5._", found["parts_at"])
        before = found["layers"][: layers.index(found["parts_at"])]
        self.assertGreater(len(before), 20)
        self.assertLess(max(layer["difference"] for layer in before), 1e-3)

    def test_one_array_of_a_layer(self):
        self.features("_blocks.4")
        flat = array.array("f", (self.here / "_blocks.4.npy").read_bytes()[128:])
        npy(self.here / "y.npy", (1, 40, 8, 8), flat)
        found = self.json("verify", MODEL, "--against", "x.npy", "y.npy", "--cut", "_blocks.4", "--size", 64)
        self.assertIsNone(found["parts_at"])
        self.assertEqual(len(found["layers"]), 1)
        flat[100] += 10
        npy(self.here / "y.npy", (1, 40, 8, 8), flat)
        found = self.json("verify", MODEL, "--against", "x.npy", "y.npy", "--cut", "_blocks.4", "--size", 64)
        self.assertTrue(found["parts_at"])
        turned = [flat[c * 64 + at] for at in range(64) for c in range(40)]
        npy(self.here / "y.npy", (1, 8, 8, 40), turned)  # channels last, as TensorFlow has them
        again = self.json("verify", MODEL, "--against", "x.npy", "y.npy", "--cut", "_blocks.4", "--size", 64)
        self.assertEqual(found["layers"], again["layers"])
        done = self.bad(1, "verify", MODEL, "--against", "x.npy", "y.npy", "--size", 64, says="its shape is [1][8][8][40]")
        self.assertIn("y.npy", done.stderr)

    def test_many_arrays_by_their_layers(self):
        with zipfile.ZipFile(self.here / "v.npz", "w") as file:
            for cut, shape in (("_blocks.0", (1, 16, 32, 32)), ("avgpool", (1, 1280, 1, 1))):
                data = array.array("f", self.features(cut)[128:])
                file.writestr(f"{cut}.npy", npy(self.here / "part.npy", shape, data))
            file.writestr("nowhere.npy", npy(self.here / "part.npy", (1, 2), [1, 2]))
        found = self.json("verify", MODEL, "--against", "x.npy", "v.npz", "--size", 64)
        self.assertIsNone(found["parts_at"])
        self.assertEqual([layer["other"] for layer in found["layers"]], ["_blocks.0", "avgpool"])
        self.assertEqual([one["path"] for one in found["unmatched"]], ["nowhere"])
        with zipfile.ZipFile(self.here / "w.npz", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("avgpool.npy", npy(self.here / "part.npy", (1, 1280, 1, 1), [0] * 1280))
        self.bad(1, "verify", MODEL, "--against", "x.npy", "w.npz", "--size", 64, says="savez_compressed")

    def test_a_photo_goes_through_each_ones_own_recipe(self):
        photo(self.here / "photo.png", 0, 1)
        self.good("convert", MODEL, "--preprocess", "plain", "-o", "plain.onnx")
        found = self.json("verify", MODEL, "--against", "plain.onnx", "photo.png")
        self.assertEqual(found["parts_at"], found["layers"][0]["name"])
        self.assertIsNone(self.json("verify", MODEL, "--against", MODEL, "photo.png")["parts_at"])

    def test_refusals(self):
        photo(self.here / "photo.png", 0, 1)
        self.bad(2, "verify", MODEL, says="against what")
        self.bad(2, "verify", MODEL, "--against", "x.npy", says="what did it give")
        self.bad(2, "verify", MODEL, "--against", MODEL, "--cut", "avgpool", says="--cut")
        self.bad(2, "verify", MODEL, "--against", MODEL, "x.npy", "--seed", 1, says="--seed")
        self.bad(2, "verify", MODEL, "--against", MODEL, "x.npy", "--preprocess", "plain", says="--preprocess")
        self.bad(1, "verify", MODEL, "--against", MODEL, "x.npy", says="[N][3][224][224]")
        (self.here / "cut.npy").write_bytes((self.here / "x.npy").read_bytes()[:-4])
        self.bad(1, "verify", MODEL, "--against", MODEL, "cut.npy", "--size", 64, says="truncated")
        (self.here / "cut.npz").write_bytes(b"PK\3\4")
        self.bad(1, "verify", MODEL, "--against", "x.npy", "cut.npz", "--size", 64, says="cut.npz")


if __name__ == "__main__":
    main()
