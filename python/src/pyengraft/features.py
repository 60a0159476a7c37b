"""Feature files: photos through a network to HDF5, and back as arrays."""
from __future__ import annotations

import html
import json
import os
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _library as c
from .network import Floats, Network

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]


class Features:
    """A feature file, open for reading.

    Parameters
    ----------
    path : path
        An HDF5 file of engraft's, or another program's matrix.
    cut : str, optional
        One of the file's; without: the first.
    """

    def __init__(self, path: str | os.PathLike[str], cut: str | None = None) -> None:
        self.path = os.path.abspath(path)
        self._handle: Any = None
        keep: list[Any] = []
        err = c.new_error()
        self._cut = 0
        _open.add(self)
        if cut is not None:
            index = c.ffi.new("size_t *")
            c.check(c.lib.eg_features_find_cut(self._features, c.encoded(cut, keep), index, err), err)
            self._cut = int(index[0])
        _ = self._features
        self.report: dict[str, Any] = {}
        """Of the extraction that made it in this session; else empty."""
        self._x: Floats | None = None

    @property
    def _features(self) -> Any:
        """The open file."""
        if self._handle is None:
            keep: list[Any] = []
            made, err = c.ffi.new("eg_features **"), c.new_error()
            c.check(c.lib.eg_features_open(c.encoded(self.path, keep), made, err), err)
            self._handle = c.ffi.gc(made[0], c.lib.eg_features_close)
        return self._handle

    def _close(self) -> None:
        """Until it is asked for again: who writes the file must be alone with it."""
        if self._handle is not None:
            c.ffi.release(self._handle)
        self._handle = self._x = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Features, (self.path, self.cut)

    def __len__(self) -> int:
        return int(c.lib.eg_features_info(self._features).n_rows)

    @property
    def cut(self) -> str:
        return c.words(c.lib.eg_features_cut(self._features, self._cut).name)

    @property
    def cuts(self) -> list[str]:
        n = c.lib.eg_features_info(self._features).n_cuts
        return [c.words(c.lib.eg_features_cut(self._features, i).name) for i in range(n)]

    @property
    def classes(self) -> list[str]:
        """In label order."""
        info = c.lib.eg_features_info(self._features)
        return [c.words(info.classes[i]) for i in range(info.n_classes)]

    @property
    def X(self) -> Floats:
        """[n, length]; memory-mapped where the file has it in one piece (h5py finds that), else read."""
        if self._x is None:
            self._x = self._mapped()
        if self._x is None:
            one = c.lib.eg_features_cut(self._features, self._cut)
            x = np.empty((len(self), one.length), np.float32)
            err = c.new_error()
            step = max(1, (64 << 20) // (4 * max(1, int(one.length))))
            for first in range(0, len(self), step):
                n = min(step, len(self) - first)
                c.check(c.lib.eg_features_read(self._features, self._cut, first, n, c.ffi.cast("float *", x[first:].ctypes.data), err), err)
            self._x = x
        return self._x

    def _mapped(self) -> Floats | None:
        try:
            import h5py  # type: ignore[import-untyped]
        except ImportError:
            return None
        with h5py.File(self.path, "r") as file:
            data = file.get(f"cuts/{self.cut}", file.get("features"))
            if data is None or data.shape[:1] != (len(self),) or data.dtype != np.float32 or data.chunks is not None:
                return None
            offset = data.id.get_offset()
            if offset is None or data.is_virtual or data.external:
                return None
            return np.memmap(self.path, np.float32, "r", offset, data.shape)

    def _rows(self) -> list[Any]:
        return [c.lib.eg_features_row(self._features, i) for i in range(len(self))]

    @property
    def y(self) -> npt.NDArray[np.int32]:
        """Labels: indices into `classes`, -1 where there is none."""
        return np.array([row.label for row in self._rows()], np.int32)

    @property
    def paths(self) -> list[str]:
        return [c.words(row.path) for row in self._rows()]

    @property
    def status(self) -> list[str]:
        """ "done", "waiting", "unreadable" or "vanished", a row."""
        return [c.words(row.status) for row in self._rows()]

    def to_pandas(self, features: bool = False) -> pandas.DataFrame:
        """A table of path, label, status and reason; with `features` their numbers behind, too."""
        import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]

        classes, rows = self.classes, self._rows()
        table = pandas.DataFrame(
            {
                "path": [c.words(row.path) for row in rows],
                "label": pandas.Categorical([classes[row.label] if row.label >= 0 else None for row in rows], classes),
                "status": [c.words(row.status) for row in rows],
                "reason": [c.text(row.reason) for row in rows],
            }
        )
        return table if not features else pandas.concat([table, pandas.DataFrame(self.X).add_prefix("f")], axis=1)

    def network(self, **arguments: Any) -> Network:
        """The network that made the features."""
        info = c.lib.eg_features_info(self._features)
        return Network(c.words(info.network), cut=self.cut, **arguments)

    def __repr__(self) -> str:
        return f"<pyengraft.Features {self.path!r}: {len(self)} rows, {len(self.classes)} classes, cut {self.cut!r}>"

    def _repr_html_(self) -> str:
        counts = Counter(self.y.tolist())
        rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{counts.get(i, 0):,}</td></tr>" for i, name in enumerate(self.classes))
        return f"<b>{html.escape(os.path.basename(self.path))}</b>: {len(self):,} photos, {html.escape(self.cut)}<table><tr><th>class</th><th>photos</th></tr>{rows}</table>"


_open: weakref.WeakSet[Features] = weakref.WeakSet()


def open_dataset(images: str | os.PathLike[str], exclude: Iterable[str] = ()) -> Any:
    keep: list[Any] = []
    patterns = list(exclude)
    how = c.options("eg_dataset_options", keep, exclude=c.encoded_list(patterns, keep), n_exclude=len(patterns))
    made, err = c.ffi.new("eg_dataset **"), c.new_error()
    c.check(c.lib.eg_dataset_scan(c.encoded_list([os.fspath(images)], keep), 1, how, made, err), err)
    return c.ffi.gc(made[0], c.lib.eg_dataset_free)


def extract(
    net: Network, images: str | os.PathLike[str], path: str | os.PathLike[str], *, exclude: Iterable[str] = (), half: bool = False,
    batch: int = 8, deflate: int = 0, append: bool = False, overwrite: bool = False, fast_decode: bool = False, progress: bool | None = None,
) -> Features:
    """Photos through a cut network to a feature file.

    A call that was stopped goes on where it was when made again; ctrl-C loses nothing.

    Parameters
    ----------
    net : Network
    images : path
        A folder with a subfolder a class, a CSV `path,label`, or a `.npy` array.
    path : path
        The feature file, HDF5.
    exclude : iterable of str
        Shell patterns of names or paths to leave out.
    half : bool
        float16 on disk.
    append : bool
        The photos have changed: compute new and changed ones, keep the rest.
    overwrite : bool
        Begin anew though the file is there.

    Returns
    -------
    Features
        Its `report` says what was done, and what could not be read.
    """
    dataset = open_dataset(images, exclude)
    for other in list(_open):
        if os.path.exists(path) and os.path.exists(other.path) and os.path.samefile(path, other.path):
            other._close()
    keep: list[Any] = []
    cuts = net._cuts(keep)
    with c.progress("extract", progress) as bar:
        how = c.options(
            "eg_extract_options", keep, cuts=cuts, half=half, batch=batch, deflate=deflate, append=append, overwrite=overwrite,
            fast_decode=fast_decode, command=c.encoded("pyengraft.extract", keep), pool=c.pool(net._arguments["threads"]), progress=bar.callback,
        )
        report = c.ffi.new("struct eg_extract_report **")
        c.run(bar, c.lib.eg_extract, net._net, dataset, c.encoded(path, keep), how, report)
    made = c.ffi.gc(report[0], c.lib.eg_extract_report_free)
    features = Features(path)
    features.report = json.loads(c.owned_text(c.lib.eg_extract_report_json(made, dataset, c.encoded(path, keep))))
    return features


def audit(features: Features, *, root: str | os.PathLike[str] | None = None, seed: int = 0, progress: bool | None = None) -> Audit:
    """What is wrong with the data: labels, duplicates, odd ones, confused classes; as `engraft audit`.

    Parameters
    ----------
    features : Features
    root : path, optional
        Where the photos are now; without: where they were.

    Returns
    -------
    Audit
        A dictionary: rows, classes, suspects, duplicates, outliers, learning_curve.
    """
    keep: list[Any] = []
    text = c.ffi.new("char **")
    with c.progress("audit", progress) as bar:
        how = c.options("eg_audit_options", keep, features=c.encoded(features.cut, keep), root=c.encoded(root, keep), seed=seed, pool=c.pool(), progress=bar.callback)
        c.run(bar, c.lib.eg_audit, features._features, how, text)
    return Audit(json.loads(c.owned_text(text[0])))


class Audit(dict[str, Any]):
    """The fields of `engraft audit --json`."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(one['path'])}</td><td>{html.escape(str(one['label']))}</td><td>{html.escape(str(one['suggestion']))}</td><td>{one['probability']:.3f}</td></tr>"
            for one in self["suspects"][:100]
        )
        return (
            f"{self['rows']:,} photos; {len(self['suspects'])} labels look wrong, {len(self['duplicates'])} groups are the same photo, {len(self['outliers'])} are odd"
            f"<table><tr><th>photo</th><th>label</th><th>rather</th><th>probability</th></tr>{rows}</table>"
        )
