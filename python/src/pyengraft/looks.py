"""What spoke for a class, and photos that look alike."""
from __future__ import annotations

import base64
import html
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import numpy as np

from . import _library as c
from ._errors import EngraftError
from .classifier import Classifier
from .features import Features
from .network import Floats, Network, Photo, as_list, bytes_of, is_path, path_text


@contextmanager
def listed(photos: list[Photo]) -> Iterator[Any]:
    """The library's list of photos; those that are no files are written to some, for so long."""
    keep: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="pyengraft-") as folder:
        names = []
        for i, photo in enumerate(photos):
            names.append(path_text(photo) if is_path(photo) else os.path.join(folder, f"{i}.png"))
            if not is_path(photo):
                Path(names[-1]).write_bytes(bytes_of(photo))
        made, err = c.ffi.new("eg_dataset **"), c.new_error()
        c.check(c.lib.eg_dataset_list(c.encoded_list(names, keep), len(names), made, err), err)
        yield c.ffi.gc(made[0], c.lib.eg_dataset_free)


class Explanation(dict[str, Any]):
    """The fields of `engraft explain --json`: path, label, index, method, score, bias, map, ...; a picture in notebooks."""

    picture: bytes | None
    """A PNG: the map over what the network saw, red for the class, blue against it."""

    @property
    def map(self) -> Floats:
        """[height, width]: what each place had in the score."""
        return np.array(self["map"], np.float32)

    def _repr_html_(self) -> str:
        words = f"{html.escape(os.path.basename(self['path']))}: <b>{html.escape(str(self['label']))}</b>, {self['probability']:.1%} ({html.escape(self['method'])})"
        if self.picture is None:
            return words
        return f"{words}<br><img alt='what spoke for it' src='data:image/png;base64,{base64.b64encode(self.picture).decode()}'>"


def _picture(explanation: Any, folder: str) -> bytes | None:
    if explanation.seen == c.ffi.NULL:
        return None
    keep: list[Any] = []
    image, err = c.ffi.new("struct eg_image *"), c.new_error()
    c.check(c.lib.eg_explanation_picture(explanation, image, err), err)
    path = os.path.join(folder, "picture.png")
    status = c.lib.eg_image_save_png(image, c.encoded(path, keep), True, err)
    c.lib.eg_image_release(image)
    c.check(status, err)
    return Path(path).read_bytes()


@overload
def explain(model: Classifier | Network, photos: str | os.PathLike[str], *, label: str | None = None, method: str = "auto", progress: bool | None = None) -> Explanation: ...
@overload
def explain(model: Classifier | Network, photos: Photo | Iterable[Photo], *, label: str | None = None, method: str = "auto", progress: bool | None = None) -> Explanation | list[Explanation]: ...
def explain(
    model: Classifier | Network, photos: Photo | Iterable[Photo], *, label: str | None = None, method: str = "auto", progress: bool | None = None,
) -> Explanation | list[Explanation]:
    """What spoke for a class in photos, as `engraft explain`.

    Parameters
    ----------
    model : Classifier or Network
        A network needs its own classifier.
    photos : path, PIL image, uint8 array [H, W, 3], or several
    label : str, optional
        The class to explain; without: each photo's likeliest.
    method : {"auto", "exact", "grad-cam"}

    Returns
    -------
    Explanation, or a list of them for several photos
        A photo that cannot be read raises.
    """
    methods = {"auto": 0, "exact": 1, "grad-cam": 2}
    if method not in methods:
        raise ValueError(f"method '{method}' is none of {', '.join(methods)}")
    net = model.network if isinstance(model, Classifier) else model
    todo = as_list(photos)
    found: list[Explanation] = []
    causes: list[BaseException] = []
    keep: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="pyengraft-") as folder, listed(todo) as dataset, c.progress("explain", progress) as bar:

        def take(user: Any, explanation: Any) -> None:
            if explanation.error != c.ffi.NULL:
                causes.append(EngraftError(f"cannot read '{c.words(explanation.path)}': {c.words(explanation.error)}", "E_FORMAT", "OTHER", c.words(explanation.path)))
                return
            made = Explanation(json.loads(c.owned_text(c.lib.eg_explanation_json(explanation, c.ffi.NULL, c.ffi.NULL))))
            made["probability"] = float(explanation.probability)
            made.picture = _picture(explanation, folder)
            found.append(made)

        def failed(kind: Any, value: BaseException, trace: Any) -> None:
            causes.append(value)

        taker = c.ffi.callback("void(void *, struct eg_explanation *)", take, onerror=failed)
        how = c.options("eg_explain_options", keep, label=c.encoded(label, keep), method=methods[method], pool=c.pool(net._arguments["threads"]), progress=bar.callback)
        c.run(bar, c.lib.eg_explain, net._net, dataset, how, taker, c.ffi.NULL)
    if causes:
        raise causes[0]
    one = is_path(photos) and not os.path.isdir(path_text(photos)) or not isinstance(photos, (list, tuple)) and len(found) == 1
    return found[0] if one else found


class Similar(dict[str, Any]):
    """A photo's `path` and `nearest` (path, label, similarity), as `engraft similar --json`; a table in notebooks."""

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{one['similarity']:.4f}</td><td>{html.escape(str(one['label'] or ''))}</td><td>{html.escape(one['path'])}</td></tr>" for one in self["nearest"])
        return f"{html.escape(self['path'])}<table><tr><th>similarity</th><th>label</th><th>photo</th></tr>{rows}</table>"


def similar(features: Features, photos: Photo | Iterable[Photo], *, top: int = 5, net: Network | None = None, progress: bool | None = None) -> list[Similar]:
    """The photos of a feature file that are nearest to these, as `engraft similar`: cosine, all rows looked at.

    Parameters
    ----------
    features : Features
    photos : paths, PIL images, uint8 arrays [H, W, 3], or a folder
    top : int
        How many of the nearest.
    net : Network, optional
        What made the features; without: the one that the file names.
    """
    todo = as_list(photos)
    keep: list[Any] = []
    made = net if net is not None else features.network()
    report = c.ffi.new("struct eg_similar_report **")
    with listed(todo) as dataset, c.progress("similar", progress) as bar:
        how = c.options("eg_similar_options", keep, features=c.encoded(features.cut, keep), top=top, pool=c.pool(made._arguments["threads"]), progress=bar.callback)
        c.run(bar, c.lib.eg_similar, features._features, made._net, dataset, how, report)
    owned = c.ffi.gc(report[0], c.lib.eg_similar_report_free)
    found = [Similar(one) for one in json.loads(c.owned_text(c.lib.eg_similar_report_json(owned)))]
    for one in found:
        if "error" in one:
            raise EngraftError(f"cannot read '{one['path']}': {one['error']}", "E_FORMAT", "OTHER", one["path"])
    return found
