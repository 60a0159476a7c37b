"""Small weights files of every kind, and hostile ones. Made with torch 1.13, safetensors 0.8,
h5py 3.16, Keras 3.15 (the two keras3.* files only, where it is installed)."""
import collections, io, os, pickle, struct, sys, zipfile

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))


def at(name):
    return os.path.join(here, name)


a = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2) / 8
state = collections.OrderedDict(
    f32=a, view=a[1], turned=a.reshape(6, 4).t(), f16=a[0].half(), bf16=a[0].bfloat16(), f64=a[0].double(),
    count=torch.tensor(7))
torch.save(state, at("zip.pth"))
torch.save(state, at("stream.pth"), _use_new_zipfile_serialization=False)
checkpoint = {"epoch": 3, "loss": 0.25, "args": ("x", None, True), "optimizer": {"lr": 0.1, "state": {}},
              "state_dict": {"module.model." + k: v for k, v in state.items()}}
torch.save(checkpoint, at("checkpoint.pth"))
torch.save({"model": {"module." + k: torch.nn.Parameter(v) for k, v in state.items() if v.is_floating_point()}},
           at("parameters.pth"), _use_new_zipfile_serialization=False)
torch.save({"epoch": 1}, at("empty.pth"))


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def zipped(name, pickled, storages=()):
    with zipfile.ZipFile(at(name), "w") as z:
        z.writestr("archive/data.pkl", pickled)
        for key, numbers in storages:
            z.writestr("archive/data/" + key, numbers)


def tensor_pickle(size, stride, offset=0, count=4):
    """A state_dict of one tensor 'x', in protocol 2 by hand."""
    def number(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    def numbers(items):
        return b"(" + b"".join(map(number, items)) + b"t"
    return (b"\x80\x02}X\x01\0\0\0xctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
            b"X\x01\0\0\x000X\x03\0\0\0cpu" + number(count) + b"tQ" + number(offset) + numbers(size) + numbers(stride) +
            b"\x89ccollections\nOrderedDict\n)RtRs.")


four = struct.pack("<4f", 1, 2, 3, 4)
zipped("evil.pth", pickle.dumps({"x": Evil()}, 2))
zipped("fits.pth", tensor_pickle([2, 2], [2, 1]), [("0", four)])
zipped("past_end.pth", tensor_pickle([2, 2], [2, 1], 1), [("0", four)])
zipped("overflow.pth", tensor_pickle([2, 2], [2**62, 1]), [("0", four)])
zipped("negative.pth", tensor_pickle([2, 2], [-2, 1], 3), [("0", four)])
zipped("short.pth", tensor_pickle([2, 2], [2, 1]), [("0", four[:12])])
zipped("missing.pth", tensor_pickle([2, 2], [2, 1]))

save_file({k: v.contiguous().clone() for k, v in state.items()}, at("all.safetensors"), {"format": "pt"})


def safetensors(name, header, data=four):
    with open(at(name), "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + data)


safetensors("past_end.safetensors", b'{"x":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}')
safetensors("mismatch.safetensors", b'{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}}')
safetensors("overflow.safetensors",
            b'{"x":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}')
safetensors("unknown.safetensors", b'{"x":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}')

kernel = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) / 8
with h5py.File(at("keras1.h5"), "w") as f:
    f["fire2/squeeze1x1/fire2/squeeze1x1_W:0"] = kernel
    f["fire2/squeeze1x1/fire2/squeeze1x1_b:0"] = kernel[0, 0, 0]
    f["bn_conv1/bn_conv1_running_std_1:0"] = kernel[0, 0, 0]
with h5py.File(at("keras2.h5"), "w") as f:
    f["model_weights/block1_conv1/block1_conv1/kernel:0"] = kernel
    f["model_weights/block1_conv1/block1_conv1/bias:0"] = kernel[0, 0, 0]
    f["model_weights/resnet50/conv1_conv/kernel:0"] = kernel.astype(np.float16)
    f["model_weights/conv2d_41/conv2d_41/kernel:0"] = kernel
    f["model_weights/conv2d_40/conv2d_40/kernel:0"] = kernel + 1
    f["optimizer_weights/Adam/kernel:0"] = kernel
with h5py.File(at("keras_chunked.h5"), "w") as f:
    f.create_dataset("a/a/bias:0", data=kernel[0, 0, 0], chunks=(2,), compression=9)
with h5py.File(at("keras_latest.h5"), "w", libver="latest") as f:
    f["block1_conv1/block1_conv1/kernel:0"] = kernel
    f["block1_conv1"].attrs["weight_names"] = ["kernel:0"]
with h5py.File(at("keras_external.h5"), "w") as f:
    f["a/a/kernel:0"] = h5py.ExternalLink("keras1.h5", "/bn_conv1/bn_conv1_running_std_1:0")

if "keras3" in sys.argv:
    import keras
    from keras import layers
    i = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="first")(i))
    x = layers.BatchNormalization(scale=False, name="unscaled")(layers.DepthwiseConv2D(3, name="deep")(x))
    x = layers.Dense(2, name="last")(layers.GlobalAveragePooling2D()(layers.SeparableConv2D(6, 3, name="both")(x)))
    model = keras.Model(i, x)
    model.set_weights([np.arange(w.size).reshape(w.shape) for w in model.get_weights()])
    model.save_weights(at("keras3.weights.h5"))
    model.save(at("keras3.keras"))
    # Before 3.10 the groups had no names.
    with zipfile.ZipFile(at("keras3.keras")) as z:
        config, weights = z.read("config.json"), io.BytesIO(z.read("model.weights.h5"))
    with h5py.File(weights, "r+") as f:
        f.visititems(lambda name, item: item.attrs.pop("name", None) and None)
    with zipfile.ZipFile(at("keras30.keras"), "w") as z:
        z.writestr("config.json", config)
        z.writestr("model.weights.h5", weights.getvalue())
