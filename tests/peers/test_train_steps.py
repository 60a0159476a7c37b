"""Steps of SGD from the same start on the same batches: losses and weights equal to PyTorch's.

By default a few small cases; ENGRAFT_TEST_ALL=1 takes twenty steps of every network.
    python tests/peers/test_train_steps.py --time ARCH [FROM]     times a step of both, in turn
    taskset -c 0 python tests/peers/test_train_steps.py --work ARCH [FROM]   the processor's time, one thread: for a busy machine
"""
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

PROGRAM = os.path.join(os.path.dirname(os.environ.get("ENGRAFT", "build/release/engraft")), "tests", "train_steps")
PROGRAM = os.environ.get("ENGRAFT_TRAIN_STEPS", PROGRAM)
torch.set_num_threads(int(os.environ.get("ENGRAFT_TEST_THREADS", len(os.sched_getaffinity(0)))))


class SameConv(torch.nn.Conv2d):
    """TensorFlow's "same" padding."""

    def forward(self, x):
        pads = []
        for size, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


class LiteBlock(torch.nn.Module):
    def __init__(self, c_in, c_out, kernel, stride, expand):
        super().__init__()
        wide = c_in * expand
        if expand > 1:
            self._expand_conv = SameConv(c_in, wide, 1, bias=False)
            self._bn0 = torch.nn.BatchNorm2d(wide, 1e-3)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = torch.nn.BatchNorm2d(wide, 1e-3)
        self._project_conv = SameConv(wide, c_out, 1, bias=False)
        self._bn2 = torch.nn.BatchNorm2d(c_out, 1e-3)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = torch.nn.functional.relu6(self._bn0(self._expand_conv(y)))
        y = torch.nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = torch.nn.BatchNorm2d(32, 1e-3)
        blocks, c = [], 32
        for repeat, kernel, stride, expand, c_out in [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40),
                                                      (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
                                                      (1, 3, 1, 6, 320)]:
            for i in range(repeat):
                blocks.append(LiteBlock(c, c_out, kernel, stride if i == 0 else 1, expand))
                c = c_out
        self._blocks = torch.nn.ModuleList(blocks)
        self._conv_head = SameConv(320, 1280, 1, bias=False)
        self._bn1 = torch.nn.BatchNorm2d(1280, 1e-3)
        self._fc = torch.nn.Linear(1280, 1000)

    def forward(self, x):
        x = torch.nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = torch.nn.functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


def make(arch):
    torch.manual_seed(1)
    model = EfficientNetLite0() if arch == "efficientnet-lite0" else getattr(torchvision.models, arch)()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0  # both would drop other values
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def engraft_steps(arch, weights, images, labels, rate, momentum, first, train_bn, folder):
    steps, n, size = images.shape[:3]
    images.tofile(f"{folder}/images")
    labels.astype("<i4").tofile(f"{folder}/labels")
    command = [PROGRAM, arch, weights, f"{folder}/images", f"{folder}/labels", n, size, steps, rate, momentum, first,
               int(train_bn), f"{folder}/out"]
    result = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    rows = np.array([[float(x) for x in line.split()] for line in result.stdout.splitlines()])
    learned = {}
    with open(f"{folder}/out", "rb") as data:
        while line := data.readline():
            name, count = line.split()
            learned[name.decode()] = np.frombuffer(data.read(4 * int(count)), "<f4")
    return rows[:, 0], rows[:, 1:], learned


def torch_steps(model, images, labels, rate, momentum, first, train_bn, weight_decay=1e-4):
    import time
    model.train(train_bn)
    names = [name for name, _ in model.named_parameters()]
    at = 0 if first == "all" else next(i for i, name in enumerate(names) if name.startswith(first))
    decay, plain = [], []
    norms = {f"{name}.{p}" for name, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d) for p in ("weight", "bias")}
    for i, (name, parameter) in enumerate(model.named_parameters()):
        parameter.requires_grad = i >= at and (train_bn or name not in norms)
        if parameter.requires_grad:
            (decay if parameter.dim() > 1 else plain).append(parameter)
    optimiser = torch.optim.SGD([{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0}],
                                lr=rate, momentum=momentum)
    losses, seconds = [], []
    for batch, label in zip(images, labels):
        start, work = time.perf_counter(), time.process_time()
        x = torch.from_numpy(batch).permute(0, 3, 1, 2)
        if os.environ.get("ENGRAFT_TEST_NCHW"):
            x = x.contiguous()
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), torch.from_numpy(label).long())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        seconds.append((time.perf_counter() - start, time.process_time() - work))
    return np.array(losses), np.array(seconds)


def layout(name, tensor):
    """PyTorch's order of a weight to the order it has in a tape."""
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.dim() == 4 else tensor


class Steps(unittest.TestCase):
    def agree(self, arch, size, n, steps, rate, momentum=0.9, first="all", train_bn=False):
        rng = np.random.default_rng(3)
        images = rng.standard_normal((steps, n, size, size, 3), dtype=np.float32)
        labels = rng.integers(0, 10, (steps, n)).astype(np.int32)
        model = make(arch)
        with tempfile.TemporaryDirectory() as folder:
            weights = f"{folder}/weights.pth"
            torch.save(model.state_dict(), weights)
            ours, _, learned = engraft_steps(arch, weights, images, labels, rate, momentum, first, train_bn, folder)
        theirs, _ = torch_steps(model, images, labels, rate, momentum, first, train_bn)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        compared = 0
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            expected = layout(name, parameter.detach()).numpy().ravel()
            self.assertIn(name, learned)
            error = np.abs(learned[name] - expected).max() / max(np.abs(expected).max(), 1e-2)
            self.assertLess(error, 1e-4, name)
            compared += 1
        self.assertEqual(compared, len(learned))

    def test_resnet18_last_stage(self):
        self.agree("resnet18", 64, 4, 6, 0.01, first="layer4")

    def test_mobilenet_v2_all(self):
        self.agree("mobilenet_v2", 64, 6, 4, 0.005)

    def test_batch_statistics(self):
        # one step: with batch statistics float32 itself is 1e-2 off float64 after a few, in torch too
        self.agree("resnet18", 96, 8, 1, 0.001, train_bn=True)

    def test_efficientnet_lite0_all(self):
        self.agree("efficientnet-lite0", 64, 4, 4, 0.005)

    @unittest.skipUnless(os.environ.get("ENGRAFT_TEST_ALL"), "on demand: ENGRAFT_TEST_ALL=1")
    def test_twenty_steps(self):
        # at larger rates, from random weights, torch's float32 is itself far off its float64
        for arch in ("alexnet", "vgg11_bn", "resnet18", "mobilenet_v2", "efficientnet-lite0"):
            with self.subTest(arch=arch):
                self.agree(arch, 96 if arch == "alexnet" else 64, 4, 20, 1e-4)


def compare_times(which, arch, first="all", n=16, size=224, rounds=4):
    column = int(which == "--work")
    rng = np.random.default_rng(3)
    images = rng.standard_normal((3, n, size, size, 3), dtype=np.float32)
    labels = rng.integers(0, 10, (3, n)).astype(np.int32)
    model = make(arch)
    if not os.environ.get("ENGRAFT_TEST_NCHW"):
        model = model.to(memory_format=torch.channels_last)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/weights.pth"
        torch.save(model.state_dict(), weights)
        for _ in range(rounds):
            _, ours, _ = engraft_steps(arch, weights, images, labels, 1e-4, 0.9, first, False, folder)
            _, theirs = torch_steps(model, images, labels, 1e-4, 0.9, first, False)
            a, b = ours[1:, column].min(), theirs[1:, column].min()
            ratios.append(b / a)
            print(f"{arch} from {first}: engraft {a / n * 1e3:.1f} ms an image, torch {torch.__version__} {b / n * 1e3:.1f} ms, "
                  f"{ratios[-1]:.2f} times as fast", flush=True)
    print(f"median {np.median(ratios):.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] in ("--time", "--work"):
        compare_times(*sys.argv[1:4])
    else:
        unittest.main()
