"""Steps of SGD on a small vision transformer, exported by PyTorch: losses and weights equal to PyTorch's, where all
of it learns and where the second block does."""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx  # noqa: F401: what the exporter needs
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

PROGRAM = os.path.join(os.path.dirname(os.environ.get("ENGRAFT", "build/release/engraft")), "tests", "train_steps")
SIDE, PATCH, WIDTH, HEADS, CLASSES, STEPS, BATCH, RATE = 32, 8, 48, 3, 5, 6, 4, 0.05


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.qkv, self.proj = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = torch.nn.Linear(WIDTH, 2 * WIDTH), torch.nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        p = (q * (c // HEADS) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        x = x + self.proj((p @ v).transpose(1, 2).reshape(n, t, c))
        return x + self.fc2(torch.nn.functional.gelu(self.fc1(self.norm2(x))))


class Vit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.places = torch.nn.Parameter(torch.randn(1, (SIDE // PATCH) ** 2, WIDTH) * 0.3)
        self.blocks = torch.nn.ModuleList([Block(), Block()])
        self.norm, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def learned(path):
    """name, values of every learned tensor"""
    out = []
    with open(path, "rb") as file:
        while line := file.readline():
            name, count = line.split()
            out.append((name.decode(), np.frombuffer(file.read(4 * int(count)), np.float32)))
    return out


class Steps(unittest.TestCase):
    def compare(self, first, frozen):
        torch.manual_seed(3)
        net = Vit()
        for name, p in net.named_parameters():  # equal ones would be one tensor in the file
            if "norm" in name:
                p.data += 0.1 * torch.randn_like(p)
        images = torch.randn(STEPS, BATCH, 3, SIDE, SIDE)
        labels = torch.randint(CLASSES, (STEPS, BATCH))
        with tempfile.TemporaryDirectory() as folder:
            model, out = os.path.join(folder, "vit.onnx"), os.path.join(folder, "out")
            torch.onnx.export(net.eval(), images[0, :1], model, opset_version=17)
            images.permute(0, 1, 3, 4, 2).contiguous().numpy().tofile(os.path.join(folder, "x"))
            labels.int().numpy().tofile(os.path.join(folder, "y"))
            for module in frozen(net):
                module.requires_grad_(False)
            net.places.requires_grad_(not frozen(net))
            parameters = [p for p in net.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD([{"params": [p for p in parameters if p.ndim in (2, 4)], "weight_decay": 1e-4},
                                         {"params": [p for p in parameters if p.ndim in (1, 3)]}], RATE, 0.9)
            theirs = []
            for x, y in zip(images, labels):
                loss = torch.nn.functional.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                theirs.append(loss.item())
            run = subprocess.run([PROGRAM, "onnx", model, os.path.join(folder, "x"), os.path.join(folder, "y"), str(BATCH), str(SIDE),
                                  str(STEPS), str(RATE), "0.9", first, "0", out], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            ours = [float(line.split()[0]) for line in run.stdout.splitlines()]
            np.testing.assert_allclose(ours, theirs, rtol=1e-4)
            weights = dict(net.named_parameters())
            named, count = 0, 0
            for name, values in learned(out):
                count += values.size
                if name not in weights:  # a product's, that the exporter turned and gave a number
                    continue
                want = weights[name].detach().numpy()
                want = (want.transpose(0, 2, 3, 1) if want.ndim == 4 else want).ravel()
                self.assertLess(np.abs(values - want).max(), 1e-4 * np.abs(want).max(), name)
                named += 1
            self.assertGreaterEqual(named, 10)
            self.assertEqual(count, sum(p.numel() for p in parameters))

    def test_all_of_it(self):
        self.compare("all", lambda net: [])

    def test_from_the_second_block_on(self):
        self.compare("/blocks.1/norm1", lambda net: [net.patch, net.blocks[0]])


if __name__ == "__main__":
    unittest.main()
