"""Loading maps a weights file and packs layer by layer: a network at work has at most 1.4 times its
weights in anonymous memory, whatever the format (a second copy of them would be 2)."""
import os
import subprocess
import sys
import time
import unittest

from arch_engraft import ENGRAFT, h5py, run, scratch

try:
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)
if not os.path.exists("/proc/self/status"):
    print("skipped: no /proc to read RssAnon from")
    sys.exit(77)

from test_arch_keras import Weights, resnet50  # noqa: E402

MOST = 1.4


def peak(model):
    """The largest RssAnon while a network is loaded and run, in bytes."""
    child = subprocess.Popen([ENGRAFT, "bench", model, "--size", "64", "--batch", "1", "--repeat", "40", "--threads", "1",
                              "--quiet"], stdout=subprocess.DEVNULL)
    most = 0
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as status:
                for line in status:
                    if line.startswith("RssAnon"):
                        most = max(most, int(line.split()[1]))
        except OSError:
            pass
        time.sleep(0.002)
    assert child.returncode == 0, model
    return most * 1024


class Memory(unittest.TestCase):
    def check(self, model, weights_bytes):
        ratio = peak(model) / weights_bytes
        self.assertLess(ratio, MOST, model)
        self.assertGreater(ratio, 0.8, f"{model}: was it measured at all?")

    def test_resnet18_in_every_format_of_pytorch_and_as_onnx(self):
        state = torchvision.models.resnet18(num_classes=10).state_dict()
        size = sum(4 * v.numel() for v in state.values())
        with scratch() as folder:
            path = {kind: os.path.join(folder, "net." + kind) for kind in ("pth", "old.pth", "safetensors", "onnx")}
            torch.save(state, path["pth"])
            torch.save(state, path["old.pth"], _use_new_zipfile_serialization=False)
            save_file(state, path["safetensors"])
            run("convert", path["pth"], "-o", path["onnx"], "--quiet")
            for file in path.values():
                self.check(file, size)

    def test_resnet50_of_keras(self):
        weights = Weights(1e-5)
        resnet50(weights, torch.zeros(1, 3, 32, 32), {})
        with scratch() as folder:
            path = os.path.join(folder, "net.h5")
            with h5py.File(path, "w") as f:
                for name, value in weights.values.items():
                    layer, variable = name.rsplit("/", 1)
                    f[f"{layer}/{layer}/{variable}:0"] = value
            self.check(path, sum(v.nbytes for v in weights.values.values()))


if __name__ == "__main__":
    unittest.main()
