#!/usr/bin/env python3
"""Checkpoints as people have them: a network's weights beside other objects, under any key, behind any
prefix, counted in place of named, with another head, as a whole module. The features are those of the
plain file, bit for bit."""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arch_engraft import ENGRAFT, difference, h5py, np, run, scratch  # noqa: E402

try:
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

SIZE = 64


class Odd(collections.OrderedDict):
    """A dictionary of a class that nobody else has."""


class Checkpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(0)
        cls.folder = scratch()
        cls.here = pathlib.Path(cls.folder.name)
        cls.net = torchvision.models.squeezenet1_1(num_classes=7).eval()
        cls.state = cls.net.state_dict()
        cls.resnet = torchvision.models.resnet18(num_classes=7).eval()
        cls.x = torch.linspace(-2, 2, 3 * SIZE * SIZE).reshape(1, 3, SIZE, SIZE)
        np.save(cls.here / "x.npy", cls.x.numpy())
        with torch.no_grad():
            cls.right = cls.net.features(cls.x).numpy()
            stem = cls.resnet.maxpool(cls.resnet.relu(cls.resnet.bn1(cls.resnet.conv1(cls.x))))
            cls.right_resnet = cls.resnet.avgpool(
                cls.resnet.layer4(cls.resnet.layer3(cls.resnet.layer2(cls.resnet.layer1(stem))))).numpy()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def save(self, what, name="weights.pth", **more):
        torch.save(what, self.here / name, **more)
        return self.here / name

    def features(self, path, arch="squeezenet1_1", cut="features", *words):
        model = f"{arch}={path}" if arch else str(path)
        out = subprocess.run([ENGRAFT, "extract", model, self.here / "x.npy", "-o", self.here / "f.h5", "--size", str(SIZE),
                              "--cut", cut, "--force", *words], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        with h5py.File(self.here / "f.h5") as f:
            return f["features"][0], out.stderr

    def check(self, path, **more):
        got, said = self.features(path, **more)
        self.assertLess(difference(got, self.right), 1e-5)
        return said

    def check_resnet(self, path, arch="resnet18", *words):
        got, said = self.features(path, arch, "avgpool", *words)
        self.assertLess(difference(got, self.right_resnet), 1e-5)
        return said

    def test_objects_beside_are_skipped_and_nothing_is_called(self):
        odd = {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "table": np.zeros((3, 2)), "where": pathlib.PurePosixPath("a/b"),
               "device": torch.device("cpu"), "log": collections.defaultdict(list, a=[1]), "dtype": torch.float16,
               "set": {1, 2}, "frozen": frozenset([3]), "big": 1 << 200, "complex": 1j, "random": np.random.default_rng(0),
               "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "odd": Odd(a=1), "bytes": bytearray(b"abc"),
               "complex_tensor": torch.ones(2, dtype=torch.complex64)}
        for legacy in (True, False):
            self.check(self.save({**odd, "state_dict": self.state, "epoch": 3}, _use_new_zipfile_serialization=legacy))

        class Trap:
            def __reduce__(self):
                return os.system, ("touch trapped",)

        self.check(self.save({"trap": Trap(), "model": self.state}))
        self.assertFalse(os.path.exists("trapped"))

    def test_any_key(self):
        optimizer = torch.optim.Adam(self.net.parameters())
        for key in ("net", "ema", "state_dict_ema", "teacher", "student", "whatever"):
            self.check(self.save({key: self.state, "optimizer": optimizer.state_dict(), "epoch": 1}))
        self.check(self.save({"model": {"inner": self.state}}))
        self.check(self.save((self.state, 7)))
        self.check(self.save(Odd(self.state)))
        other = {k: v + 1 for k, v in self.state.items()}
        self.check(self.save({"student": other, "teacher": self.state}))

    def test_any_prefix(self):
        for prefix in ("encoder.", "resnet.", "backbone.", "encoder_q.", "base_model.", "0.", "module.model.body."):
            self.check(self.save({prefix + k: v for k, v in self.state.items()}))
        behind = {**{"student.net." + k: v for k, v in self.state.items()}, "loss.weight": torch.ones(3), "queue": torch.ones(4, 4)}
        said = self.check(self.save(behind))
        self.assertIn("'loss.weight', 'queue'", said)
        self.check(self.save(behind), arch=None) # told by its contents alone
        both = {**{"encoder_q." + k: v for k, v in self.state.items()}, **{"encoder_k." + k: v + 1 for k, v in self.state.items()}}
        self.check(self.save(both))

    def test_parts_that_are_counted(self):
        parts = list(self.resnet.children())
        self.check_resnet(self.save(torch.nn.Sequential(*parts[:-1]).state_dict()))
        fastai = torch.nn.Sequential(torch.nn.Sequential(*parts[:-2]), torch.nn.Sequential(torch.nn.Linear(512, 64), torch.nn.Linear(64, 3)))
        said = self.check_resnet(self.save({"model": fastai.state_dict(), "opt": {}}))
        self.assertIn("'1.0.bias'", said)
        self.check_resnet(self.save(fastai.state_dict()), None)

    def test_other_heads(self):
        state = self.resnet.state_dict()
        head = {k: v for k, v in state.items() if not k.startswith("fc.")}
        self.check_resnet(self.save(head))
        two = {**head, "fc.0.weight": torch.ones(64, 512), "fc.0.bias": torch.ones(64), "fc.2.weight": torch.ones(5, 64), "fc.2.bias": torch.ones(5)}
        self.assertIn("'fc.0.weight'", self.check_resnet(self.save(two)))
        self.check_resnet(self.save({**head, "fc.weight": torch.ones(5, 64), "fc.bias": torch.ones(5)}))
        self.check_resnet(self.save(state), "resnet18", "--trunk")
        listed = json.loads(run("inspect", f"resnet18={self.save(state)}", "--trunk", "--json"))
        self.assertNotIn("fc", [layer["name"] for layer in listed["layers"]])

    def test_keys_inside_the_network_are_not_dropped(self):
        state = {**self.resnet.state_dict(), "layer1.0.se.fc1.weight": torch.ones(4, 64, 1, 1)}
        done = subprocess.run([ENGRAFT, "inspect", f"resnet18={self.save(state)}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("unexpected: 'layer1.0.se.fc1.weight'", done.stderr)

    def test_whole_modules(self):
        for legacy in (True, False):
            self.check(self.save(self.net, _use_new_zipfile_serialization=legacy))
        self.check(self.save(torch.nn.DataParallel(self.net)))
        self.check(self.save({"epoch": 1, "model": self.net}))
        self.check_resnet(self.save(self.resnet))
        torch.jit.script(self.net).save(str(self.here / "script.pt"))
        self.check(self.here / "script.pt")
        torch.jit.trace(self.resnet, self.x).save(str(self.here / "traced.pt"))
        self.check_resnet(self.here / "traced.pt")

    def test_nothing_to_read(self):
        done = subprocess.run([ENGRAFT, "inspect", f"resnet18={self.save({'epoch': 3, 'args': argparse.Namespace(a=1)})}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("torch.save(model.state_dict()", done.stderr)

    def test_weights_that_are_no_numbers(self):
        bad = dict(self.resnet.state_dict())
        bad["layer2.0.conv1.weight"] = torch.full_like(bad["layer2.0.conv1.weight"], float("nan"))
        save_file(bad, self.here / "bad.safetensors")
        for path in (self.save(bad), self.here / "bad.safetensors"):
            done = subprocess.run([ENGRAFT, "extract", f"resnet18={path}", self.here / "x.npy", "-o", self.here / "bad.h5", "--size", str(SIZE)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("layer 'layer2.0.conv1'", done.stderr)
            done = subprocess.run([ENGRAFT, "convert", f"resnet18={path}", "-o", self.here / "bad.onnx"], capture_output=True, text=True)
            self.assertIn("layer 'layer2.0.conv1'", done.stderr)

    def test_one_channel(self):
        state = dict(self.state)
        state["features.0.weight"] = self.state["features.0.weight"].sum(1, keepdim=True)
        net = torchvision.models.squeezenet1_1(num_classes=7).eval()
        net.features[0] = torch.nn.Conv2d(1, 64, 3, 2)
        net.load_state_dict(state)
        x = self.x[:, :1]
        np.save(self.here / "grey.npy", x.numpy())
        path = self.save(state)
        run("extract", f"squeezenet1_1={path}", str(self.here / "grey.npy"), "-o", str(self.here / "g.h5"), "--size", str(SIZE), "--cut", "features", "--force", "-q")
        with h5py.File(self.here / "g.h5") as f, torch.no_grad():
            self.assertLess(difference(f["features"][0], net.features(x).numpy()), 1e-5)


class SeveralFiles(unittest.TestCase):
    """Weights in several files with an index, as Hugging Face's; or with numbers alone; or a folder."""

    def setUp(self):
        self.folder = scratch()
        self.addCleanup(self.folder.cleanup)
        self.here = pathlib.Path(self.folder.name)
        torch.manual_seed(0)
        self.net = torchvision.models.squeezenet1_1(num_classes=7).eval()
        self.x = torch.linspace(-2, 2, 3 * SIZE * SIZE).reshape(1, 3, SIZE, SIZE)
        np.save(self.here / "x.npy", self.x.numpy())

    def write(self, stem, save, ending):
        state = {k: v.contiguous() for k, v in self.net.state_dict().items()}
        names, where = list(state), {}
        for i in range(3):
            part = names[i::3]
            file = f"{stem}-{i + 1:05}-of-00003{ending}"
            save({k: state[k] for k in part}, self.here / file)
            where.update({k: file for k in part})
        return where

    def check(self, model):
        with torch.no_grad():
            right = self.net.features(self.x).numpy()
        run("extract", f"squeezenet1_1={model}", str(self.here / "x.npy"), "-o", str(self.here / "f.h5"), "--size", str(SIZE), "--cut", "features", "--force", "-q")
        with h5py.File(self.here / "f.h5") as f:
            self.assertLess(difference(f["features"][0], right), 1e-5)
            return f["network"].attrs["weights_sha256"]

    def refused(self, model, word):
        done = subprocess.run([ENGRAFT, "inspect", f"squeezenet1_1={model}"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(word, done.stderr)

    def test_index(self):
        for stem, save, ending in (("model", save_file, ".safetensors"), ("pytorch_model", torch.save, ".bin")):
            index = self.here / f"{stem}{ending}.index.json"
            index.write_text(json.dumps({"metadata": {}, "weight_map": self.write(stem, save, ending)}))
            before = self.check(index)
            self.assertEqual(self.check(self.here), before) # the folder
            with torch.no_grad():
                self.net.features[0].weight += 1
            self.write(stem, save, ending)
            self.assertNotEqual(self.check(index), before) # the checksum is of what the files hold
            (self.here / f"{stem}-00002-of-00003{ending}").unlink()
            self.refused(index, f"{stem}-00002-of-00003{ending}")
            index.unlink()

    def test_numbers_alone(self):
        self.write("model", save_file, ".safetensors")
        for i in (1, 3):
            self.check(self.here / f"model-0000{i}-of-00003.safetensors")

    def test_an_index_names_files_beside_it_only(self):
        index = self.here / "model.safetensors.index.json"
        for name in ("../x.safetensors", "/etc/passwd", "", ".", 3):
            index.write_text(json.dumps({"weight_map": {"a": name}}))
            self.refused(index, "is no file beside it")
        for text, word in (("{", "model.safetensors.index.json"), ("{}", "weight_map"), ('{"weight_map": {}}', "lists no file")):
            index.write_text(text)
            self.refused(index, word)

    def test_more_than_four_gigabytes(self):
        """A file with holes: what lies past 2^32 is read all the same."""
        state = {k: v.contiguous() for k, v in self.net.state_dict().items()}
        header, at = {"filler": {"dtype": "U8", "shape": [(1 << 32) + 4], "data_offsets": [0, (1 << 32) + 4]}}, (1 << 32) + 4
        for name, v in state.items():
            header[name] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [at, at + 4 * v.numel()]}
            at += 4 * v.numel()
        text = json.dumps(header).encode()
        with open(self.here / "large.safetensors", "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.seek((1 << 32) + 4, 1)
            for v in state.values():
                file.write(v.numpy().tobytes())
        before = os.environ.get("ENGRAFT")
        done = subprocess.run([before, "inspect", f"squeezenet1_1={self.here}/large.safetensors"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = subprocess.run([before, "convert", f"squeezenet1_1={self.here}/large.safetensors", "--cut", "features", "-o", self.here / "c.onnx"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


class Recipes(unittest.TestCase):
    """What config.json or preprocessor_config.json beside the weights says of photos."""

    def recipe(self, **files):
        with scratch() as folder:
            here = pathlib.Path(folder)
            save_file(torchvision.models.squeezenet1_1(num_classes=7).state_dict(), here / "model.safetensors")
            for name, content in files.items():
                (here / f"{name}.json").write_text(json.dumps(content))
            done = subprocess.run([ENGRAFT, "classify", f"squeezenet1_1={here}/model.safetensors", here / "none.jpg"], capture_output=True, text=True)
            return json.loads(run("inspect", f"squeezenet1_1={here}/model.safetensors", "--json"))["recipe"], done.stderr

    def test_none(self):
        recipe, said = self.recipe()
        self.assertEqual((recipe["size"], recipe["filter"]), (256, "bilinear"))
        self.assertIn("'torchvision' is assumed", said)

    def test_timm(self):
        cfg = {"input_size": [3, 192, 192], "interpolation": "bicubic", "crop_pct": 0.95, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}
        for content in (cfg, {"architecture": "x", "pretrained_cfg": cfg}):
            recipe, said = self.recipe(config=content)
            self.assertEqual((recipe["resize"], recipe["size"], recipe["crop"], recipe["filter"]), ("short", 202, [192, 192], "bicubic"))
            self.assertEqual((recipe["mean"], recipe["std"]), ([0.5, 0.5, 0.5], [0.25, 0.5, 0.5]))
            self.assertIn("'config.json'", said)

    def test_transformers(self):
        plain = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5], "resample": 2}
        for content, right in (
            ({**plain, "size": 224}, ("squash", [224, 224], "bilinear")),
            ({**plain, "size": {"height": 384, "width": 352}}, ("squash", [384, 352], "bilinear")),
            ({**plain, "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3}, ("short", [224, 224], "bicubic")),
            ({**plain, "size": {"shortest_edge": 224}, "crop_pct": 0.875}, ("short", [224, 224], "bilinear")),
        ):
            recipe, said = self.recipe(preprocessor_config=content, config={"model_type": "x"})
            self.assertEqual((recipe["resize"], recipe["crop"], recipe["filter"]), right)
            self.assertEqual(recipe["mean"], [0.1, 0.2, 0.3])
            if right[0] == "short":
                self.assertEqual(recipe["size"], 256)
            self.assertIn("'preprocessor_config.json'", said)


if __name__ == "__main__":
    unittest.main()
