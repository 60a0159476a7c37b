"""Networks: look at their layers, cut them, run photos through them."""
from __future__ import annotations

import html
import json
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _library as c
from . import _reasons
from ._errors import EngraftError

Photo = Union[str, "os.PathLike[str]", npt.NDArray[Any], Any]
"""A path, a PIL image, or an array: uint8 [H, W, 3] (or [H, W]) of pixels."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A layer, as the weights file has it, before any fusion."""

    index: int
    name: str
    aliases: tuple[str, ...]
    op: str
    shape: tuple[int, ...]
    """Of the output, without the batch: [h, w, c] of images."""
    parameters: int
    macs: int
    cut: bool
    """May features be taken here?"""


def model_folders(models: Sequence[str | os.PathLike[str]] = ()) -> str:
    """Where weights of built-in networks are looked for, as the program does, and in this package."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local/share")
    listed = os.environ.get("ENGRAFT_MODELS")
    folders = [*(os.fspath(folder) for folder in models), *([listed] if listed else []), os.path.join(data, "engraft/models"), str(c.HERE / "models")]
    return ":".join(folders)


def png_of(pixels: npt.NDArray[Any]) -> bytes:
    """An uncompressed PNG of uint8 [H, W], [H, W, 3] or [H, W, 4]."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise EngraftError(f"an array of {pixels.dtype} {list(pixels.shape)} is no photo: give uint8 [H, W, 3]", reason="OTHER")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, width * channels)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 0)) + chunk(b"IEND", b"")


def is_path(photo: Any) -> bool:
    return isinstance(photo, (str, os.PathLike))


def path_text(photo: Any) -> str:
    return os.fsdecode(photo)


def bytes_of(photo: Any) -> bytes:
    """A photo's file, or one that holds the same pixels."""
    if is_path(photo):
        return Path(photo).read_bytes()
    if isinstance(photo, np.ndarray):
        return png_of(photo)
    if hasattr(photo, "convert") and hasattr(photo, "mode"):  # PIL
        mode = "RGBA" if "A" in photo.mode or "transparency" in photo.info else "RGB"
        return png_of(np.asarray(photo.convert(mode)))
    raise EngraftError(f"{type(photo).__name__} is no photo: give a path, a PIL image or an array")


def as_list(photos: Any) -> list[Any]:
    """One photo, a folder's photos or several."""
    if is_path(photos) and os.path.isdir(photos):
        return list(photo_paths([os.fspath(photos)]))
    if is_path(photos) or hasattr(photos, "convert"):
        return [photos]
    if isinstance(photos, np.ndarray) and (photos.ndim == 2 or (photos.ndim == 3 and photos.dtype == np.uint8)):
        return [photos]
    return list(photos)


def photo_paths(paths: list[str]) -> Iterable[str]:
    keep: list[Any] = []
    made, err = c.ffi.new("eg_dataset **"), c.new_error()
    c.check(c.lib.eg_dataset_list(c.encoded_list(paths, keep), len(paths), made, err), err)
    dataset = c.ffi.gc(made[0], c.lib.eg_dataset_free)
    for i in range(c.lib.eg_dataset_count(dataset)):
        yield c.words(c.lib.eg_dataset_path(dataset, i, c.ffi.NULL))


class Network:
    """A network, and where it is cut.

    Parameters
    ----------
    model : str
        A built-in network ("vgg16"; "efficientnet-lite0" is always there), or a file: ONNX, one that
        engraft trained, or weights that tell which network they are for.
    weights : path, optional
        The weights of a built-in network.
    cut : str, optional
        The layer whose values are the features, "LAYER" or "LAYER:POOL". Without: the network's
        default cut. "" is the whole network's answer.
    pool : {"flatten", "avg", "max", "gem"}
        What becomes of a volume at a cut that names no pooling.
    order : {"chw", "hwc"}
        Of flattened volumes.
    preprocess : str, optional
        A preset or JSON in place of the network's own recipe.
    size : int or (int, int), optional
        Of the input, in place of the network's own: height, width.
    models : sequence of paths
        Folders where weights are looked for first.
    trunk : bool
        Leave out the classifier that the weights have.
    threads : int
        0: the CPUs that this process may use.
    """

    def __init__(
        self, model: str | os.PathLike[str] = "efficientnet-lite0", weights: str | os.PathLike[str] | None = None,
        cut: str | None = None, *, pool: str = "flatten", order: str = "chw", preprocess: str | None = None,
        size: int | tuple[int, int] | None = None, models: Sequence[str | os.PathLike[str]] = (), trunk: bool = False,
        threads: int = 0,
    ) -> None:
        self._arguments: dict[str, Any] = dict(
            model=os.fspath(model), weights=None if weights is None else os.path.abspath(weights), cut=cut, pool=pool, order=order,
            preprocess=preprocess, size=size, models=tuple(os.path.abspath(folder) for folder in models), trunk=trunk, threads=threads,
        )
        name = os.fspath(model)
        if os.path.isfile(name):
            name = os.path.abspath(name)
            self._arguments["model"] = name
        elif weights is not None:
            name = f"{name}={os.path.abspath(weights)}"
        height, width = (size, size) if isinstance(size, int) else size or (0, 0)
        keep: list[Any] = []
        how = c.options(
            "eg_net_options", keep, folders=c.encoded(model_folders(models), keep), preprocess=c.encoded(preprocess, keep),
            height=height, width=width, trunk=trunk,
        )
        made, err = c.ffi.new("eg_net **"), c.new_error()
        c.check(c.lib.eg_net_load(c.encoded(name, keep), how, made, err), err)
        self._adopt(made[0])
        if cut:
            self._check_cut(cut)

    def _adopt(self, handle: Any) -> None:
        self._net = c.ffi.gc(handle, c.lib.eg_net_free)
        self._runs: dict[tuple[int, int], Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _network_again, (type(self), self._arguments)

    def _check_cut(self, cut: str) -> None:
        keep: list[Any] = []
        err, index = c.new_error(), c.ffi.new("size_t *")
        layer, colon, pool = cut.rpartition(":")
        name = layer if colon and pool in ("flatten", "avg", "max", "gem", "cls", "cls-avg") else cut
        c.check(c.lib.eg_net_find(self._net, c.encoded(name, keep), index, err), err)

    @property
    def name(self) -> str:
        return c.words(c.lib.eg_net_name(self._net))

    @property
    def cut(self) -> str | None:
        """Where features are taken; None: nowhere, the answer is the whole network's."""
        given: str | None = self._arguments["cut"]
        return c.text(c.lib.eg_net_default_cut(self._net)) if given is None else given or None

    @property
    def layers(self) -> list[Layer]:
        """Every layer, in the order of the file."""
        found = []
        for i in range(c.lib.eg_net_layer_count(self._net)):
            one = c.lib.eg_net_layer(self._net, i)
            aliases = tuple(c.words(one.aliases[k]) for k in range(one.n_aliases))
            shape = tuple(int(one.shape.dim[k]) for k in range(one.shape.rank))
            found.append(Layer(i, c.words(one.name), aliases, c.words(one.op), shape, int(one.parameters), int(one.macs), bool(one.cut)))
        return found

    @property
    def cuts(self) -> list[str]:
        """Names of the layers where features may be taken."""
        return [layer.name for layer in self.layers if layer.cut]

    @property
    def recipe(self) -> dict[str, Any] | None:
        """How a photo becomes the network's input; None: the file does not say."""
        recipe = c.lib.eg_net_recipe(self._net)
        if recipe == c.ffi.NULL:
            return None
        made: dict[str, Any] = json.loads(c.owned_text(c.lib.eg_recipe_json(recipe)))
        return made

    @property
    def classes(self) -> list[str]:
        """Of the whole network's answer; empty where it has no classifier."""
        if not c.lib.eg_net_has_classifier(self._net):
            return []
        return [c.words(c.lib.eg_net_class_name(self._net, i)) for i in range(c.lib.eg_net_class_count(self._net))]

    @property
    def remarks(self) -> list[str]:
        """What its user should know of how it was read."""
        found: list[str] = []
        while (remark := c.text(c.lib.eg_net_remark(self._net, len(found)))) is not None:
            found.append(remark)
        return found

    @property
    def metadata(self) -> dict[str, str]:
        """What its file says of it: "engraft.cut", "engraft.classifier", ..."""
        found: dict[str, str] = {}
        while (key := c.lib.eg_net_metadata_key(self._net, len(found))) != c.ffi.NULL:
            found[c.words(key)] = c.words(c.lib.eg_net_metadata(self._net, key))
        return found

    def _cuts(self, keep: list[Any]) -> Any:
        """struct eg_run_cuts; NULL: the whole network."""
        cut = self.cut
        if cut is None:
            return c.ffi.NULL
        return c.options(
            "eg_run_cuts", keep, cuts=c.encoded_list([cut], keep), n_cuts=1, pool=c.encoded(self._arguments["pool"], keep),
            order=c.encoded(self._arguments["order"], keep),
        )

    def _run(self, batch: int) -> Any:
        """A plan for this process's threads; kept for the next call."""
        key = (os.getpid(), batch)
        if key not in self._runs:
            keep: list[Any] = []
            made, err = c.ffi.new("eg_run **"), c.new_error()
            c.check(c.lib.eg_run_create(self._net, self._cuts(keep), batch, c.pool(self._arguments["threads"]), made, err), err)
            self._runs = {key: _Run(made[0])}
        return self._runs[key].handle

    @property
    def length(self) -> int:
        """How many features a photo has at the cut."""
        return int(c.lib.eg_run_length(self._run(8), 0))

    def _rows_of_array(self, images: npt.NDArray[Any], batch: int) -> Floats:
        """Float [N, C, H, W], already resized and normalised."""
        x = np.ascontiguousarray(np.moveaxis(np.asarray(images, np.float32), 1, -1))
        run = self._run(batch)
        out = np.empty((len(x), c.lib.eg_run_length(run, 0)), np.float32)
        recipe = c.lib.eg_net_recipe(self._net)
        if recipe != c.ffi.NULL and x.shape[1:3] != (recipe.crop[0], recipe.crop[1]):
            raise EngraftError(f"the network's input is {recipe.crop[0]} by {recipe.crop[1]}, the array's images are {x.shape[1]} by {x.shape[2]}", "E_SHAPE")
        for first in range(0, len(x), batch):
            part = x[first : first + batch]
            err = c.new_error()
            rows = c.ffi.new("float *[1]", [c.ffi.cast("float *", out[first:].ctypes.data)])
            c.check(c.lib.eg_run_forward(run, c.ffi.cast("float *", part.ctypes.data), len(part), rows, err), err)
        return out

    def transform(
        self, photos: Photo | Iterable[Photo], *, batch: int = 8, on_error: str = "raise", progress: bool | None = None,
    ) -> Floats:
        """Features of photos, the same numbers as `extract` writes.

        Parameters
        ----------
        photos : paths, PIL images, uint8 arrays [H, W, 3], a folder, or float array [N, C, H, W]
            The last is taken as resized and normalised already.
        batch : int
            Photos computed at a time; never changes a result.
        on_error : {"raise", "nan"}
            A photo that cannot be read raises, or gives a row of NaN.
        progress : bool, optional
            A bar; without a wish on terminals and in notebooks, if tqdm is installed.

        Returns
        -------
        ndarray of float32, [n, length]
        """
        if isinstance(photos, np.ndarray) and photos.ndim == 4 and photos.dtype != np.uint8:
            return self._rows_of_array(photos, batch)
        recipe = c.lib.eg_net_recipe(self._net)
        if recipe == c.ffi.NULL:
            raise _reasons.NoRecipe(f"'{self.name}' does not say how photos become its input (give preprocess=)", "E_NOT_FOUND", "NO_RECIPE", self.name)
        todo = as_list(photos)
        run = self._run(batch)
        height, width = recipe.crop[0], recipe.crop[1]
        out = np.empty((len(todo), c.lib.eg_run_length(run, 0)), np.float32)
        pixels = np.empty((batch, height, width, 3), np.uint8)
        failed: list[int] = []

        def read(row: int, slot: int) -> EngraftError | None:
            err = c.new_error()
            try:
                data = bytes_of(todo[row])
                c.check(c.lib.eg_image_pixels(c.ffi.from_buffer(data), len(data), recipe, c.ffi.cast("uint8_t *", pixels[slot].ctypes.data), err), err)
            except EngraftError as cause:
                named = f"'{path_text(todo[row])}'" if is_path(todo[row]) else f"photo {row}"
                return type(cause)(f"cannot read {named}: {cause}", cause.status, cause.reason, cause.subject)
            except OSError as cause:
                return EngraftError(f"cannot read '{path_text(todo[row])}': {cause.strerror}", "E_IO", "OTHER", path_text(todo[row]))
            return None

        workers = c.lib.eg_pool_threads(c.pool(self._arguments["threads"]))
        with c.progress("transform", progress) as bar, ThreadPoolExecutor(workers) as readers:
            for first in range(0, len(todo), batch):
                n = min(batch, len(todo) - first)
                for row, cause in zip(range(first, first + n), readers.map(read, range(first, first + n), range(n))):
                    if cause is not None and on_error == "raise":
                        raise cause
                    if cause is not None:
                        failed.append(row)
                        pixels[row - first] = 0
                rows = c.ffi.new("float *[1]", [c.ffi.cast("float *", out[first:].ctypes.data)])
                err = c.new_error()
                c.check(c.lib.eg_run_forward_pixels(run, recipe, c.ffi.cast("uint8_t *", pixels.ctypes.data), n, rows, err), err)
                if not bar.step(first + n, len(todo)):
                    raise KeyboardInterrupt
        out[failed] = np.nan
        return out

    def __repr__(self) -> str:
        return f"<pyengraft.{type(self).__name__} {self.name!r}, cut at {self.cut!r}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr{' style=font-weight:bold' if layer.name == self.cut or self.cut in layer.aliases else ''}><td>{layer.index}</td>"
            f"<td>{html.escape(layer.name)}</td><td>{html.escape(layer.op)}</td><td>{'&times;'.join(map(str, layer.shape))}</td>"
            f"<td>{layer.parameters:,}</td><td>{layer.macs:,}</td><td>{'&#10003;' if layer.cut else ''}</td></tr>"
            for layer in self.layers
        )
        return (
            f"<b>{html.escape(self.name)}</b>, cut at {html.escape(str(self.cut))}<div style='max-height:24em;overflow:auto'><table>"
            "<tr><th>#</th><th>layer</th><th>operator</th><th>output</th><th>parameters</th><th>multiply-adds</th><th>cut</th></tr>"
            f"{rows}</table></div>"
        )


class _Run:
    """A run, freed by the process that made it: its threads are not in a child of fork."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self._owner = os.getpid()

    def __del__(self) -> None:
        if os.getpid() == self._owner:
            c.lib.eg_run_free(self.handle)


def _network_again(kind: type[Network], arguments: dict[str, Any]) -> Network:
    return kind(**arguments)
