"""Feature files in h5py: the layout of the documents, and files whose writer was killed."""
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import ENGRAFT, MODEL, Case, main, photos

try:
    import h5py
    import hashlib
    import numpy as np
except ImportError as missing:
    print(f"not compared with h5py: {missing}")
    sys.exit(77)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


class FeatureFile(Case):
    def test_layout(self):
        photos(self.here / "photos", n=4)
        (self.here / "photos" / "down" / "bad.jpg").write_bytes(b"no photo")
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--cut", "avgpool", "--cut", "avgpool:max", code=3)
        with h5py.File(self.here / "f.h5", "r") as f:
            self.assertEqual(text(f.attrs["format"]), "engraft-features")
            for name in ("format_version", "engraft_version", "created", "command", "root"):
                self.assertIn(name, f.attrs)
            self.assertEqual(f["features"], f["cuts/avgpool"])
            self.assertEqual((f["features"].shape, f["features"].dtype), ((9, 1280), np.float32))
            for name in ("layer", "layer_name", "operator", "shape", "order", "pool"):
                self.assertIn(name, f["cuts/avgpool"].attrs)
            self.assertEqual([text(x) for x in f["label_names"]], ["across", "down"])
            self.assertEqual(list(f["labels"]), [0] * 4 + [1] * 5)
            self.assertEqual([text(p) for p in f["paths"]], [f"across/0{i}.png" for i in range(4)] + [f"down/0{i}.png" for i in range(4)] + ["down/bad.jpg"])
            self.assertEqual(list(f["status"]), [1] * 8 + [2])
            self.assertEqual(bytes(f["hashes"][0]), hashlib.sha256((self.here / "photos/across/00.png").read_bytes()).digest())
            self.assertEqual(text(f["network"].attrs["name"]), MODEL)
            self.assertEqual(len(text(f["network"].attrs["weights_sha256"])), 64)
            self.assertGreaterEqual(len(f["history"]), 1)
            ours = f["features"][:]
        self.good("rows", "f.h5", "--npy", "y.npy")
        np.testing.assert_array_equal(np.load(self.here / "y.npy"), ours[:8])

    def test_killed_files_open_and_their_done_rows_are_right(self):
        photos(self.here / "photos", n=40)
        self.good("extract", MODEL, "photos", "-o", "whole.h5")
        with h5py.File(self.here / "whole.h5", "r") as f:
            whole = f["features"][:]
        command = [ENGRAFT, "extract", MODEL, "photos", "-o", "k.h5", "--threads", "1", "--batch", "1", "--quiet"]
        finished = 0
        for i in range(8):
            process = subprocess.Popen(command, cwd=self.here, stdout=subprocess.DEVNULL)
            time.sleep(0.15 + 0.11 * i)
            process.kill()
            process.wait()
            if not (self.here / "k.h5").exists():
                continue
            with h5py.File(self.here / "k.h5", "r") as f:
                done = f["status"][:] == 1
                self.assertGreaterEqual(done.sum(), finished)
                finished = done.sum()
                np.testing.assert_array_equal(f["features"][:][done], whole[done])
        self.good("extract", MODEL, "photos", "-o", "k.h5")
        with h5py.File(self.here / "k.h5", "r") as f:
            np.testing.assert_array_equal(f["features"][:], whole)

    def test_another_programs_matrix_trains(self):
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 3
        with h5py.File(self.here / "theirs.h5", "w") as f:
            f["features"] = (rng.normal(size=(60, 20)) + 3 * np.eye(3, 20)[labels]).astype(np.float32)
            f["labels"] = labels.astype(np.int32)
        done = self.json("train", "theirs.h5", "-o", "m.onnx")
        self.assertGreater(done["test_accuracy"], 0.8)
        self.assertEqual(self.json("evaluate", "m.onnx", "theirs.h5")["accuracy"], done["test_accuracy"])
        self.bad(1, "evaluate", "m.onnx", "nowhere")

    def test_files_that_point_outside_are_refused(self):
        photos(self.here / "photos", n=2)
        secret = self.here / "secret.bin"
        secret.write_bytes(np.ones(4 * 1280, np.float32).tobytes())
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        data = (self.here / "f.h5").read_bytes()
        for name, damage in (
            ("external.h5", lambda f: f.create_dataset("cuts/avgpool", (4, 1280), np.float32, external=[(str(secret), 0, 4 * 5120)])),
            ("link.h5", lambda f: f.__setitem__("cuts/avgpool", h5py.ExternalLink(str(secret), "/x"))),
        ):
            path = self.here / name
            path.write_bytes(data)
            with h5py.File(path, "r+") as f:
                del f["features"]
                del f["cuts/avgpool"]
                damage(f)
            for words in (["info", name], ["rows", name], ["train", name, "-o", "m.onnx"]):
                self.bad(1, *words, says=name)


if __name__ == "__main__":
    main()
