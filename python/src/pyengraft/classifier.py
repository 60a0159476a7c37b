"""Classifiers: learned from features, used on photos, kept as one ONNX file."""
from __future__ import annotations

import html
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _library as c
from . import _reasons
from ._errors import EngraftError
from .features import Features
from .network import Floats, Network, Photo, as_list, bytes_of, is_path, model_folders, path_text


class Report(dict[str, Any]):
    """The fields of `engraft train --json`; in notebooks the page of `engraft train --report`."""

    _about: dict[str, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Report, (dict(self),)

    def page(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False, progress: bool | None = None) -> str:
        """The report as one self-contained page: confusions with their photos, errors, doubtful labels, copies, a map.

        Parameters
        ----------
        path : path, optional
            Where to write it, too.

        Returns
        -------
        str
            The page's HTML. Costs an audit the first time. Only of a training of this session.
        """
        if self._about is None:
            raise ValueError("a report that was kept has no page: its photos and features are not at hand (engraft evaluate --report makes one)")
        if "page" not in self._about:
            self._about["page"] = _make_page(self, self._about, progress)
        made: str = self._about["page"]
        if path is not None:
            with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
                file.write(made)
        return made

    def _repr_html_(self) -> str:
        if self._about is None:
            return self._table()
        return f"<iframe title='report' style='width:100%;height:40em;border:0' sandbox='allow-scripts' srcdoc=\"{html.escape(self.page(progress=False))}\"></iframe>"

    def _table(self) -> str:
        facts = [(key, self.get(key)) for key in ("classifier", "scale", "C", "cv_accuracy", "test_accuracy", "test_count", "seconds")]
        rows = "".join(f"<tr><td>{key}</td><td>{f'{value:.4g}' if isinstance(value, float) else html.escape(str(value))}</td></tr>" for key, value in facts if value is not None)
        grid = "".join(f"<tr><td>{one['C']:g}</td><td>{one['cv_accuracy']:.4f}</td></tr>" for one in self.get("grid") or [])
        grid = grid and f"<table><tr><th>C</th><th>cross-validated accuracy</th></tr>{grid}</table>"
        return f"<table>{rows}</table>{grid}<pre>{html.escape(self.get('text', ''))}</pre>"


def _make_page(report: Report, about: dict[str, Any], progress: bool | None) -> str:
    keep: list[Any] = []
    features, clf = about["features"], about["classifier"]
    test = about["test"]
    number = isinstance(test, (int, float))
    data = features.path if number else test.path if isinstance(test, Features) else os.fspath(test)
    with tempfile.TemporaryDirectory(prefix="pyengraft-") as folder, c.progress("report", progress) as bar:
        path = os.path.join(folder, "page.html")
        how = c.options(
            "eg_page_options", keep, kind=c.encoded("train", keep), title=c.encoded(os.path.basename(features.path), keep),
            report=c.encoded(json.dumps({key: value for key, value in report.items() if key != "text"}), keep), features=features._features,
            cut=c.encoded(report.get("cut"), keep), model=clf.network._net, data=c.encoded(data if report.get("test_count") else None, keep),
            rows=c.lib.EG_ROWS_AUTO if number else c.lib.EG_ROWS_ALL, same_data=number, command=c.encoded("pyengraft.train", keep),
            features_path=c.encoded(features.path, keep), test_fraction=float(test) if number and test else -1.0, seed=about["seed"],
            pool=c.pool(clf.network._arguments["threads"]), progress=bar.callback,
        )
        c.run(bar, c.lib.eg_report_page, how, c.encoded(path, keep))
        return Path(path).read_text("utf-8", "surrogateescape")


class Classifier:
    """A network with a classifier on it: photos to classes.

    Parameters
    ----------
    path : path
        An ONNX file that engraft trained.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0) -> None:
        self._holder: tempfile.TemporaryDirectory[str] | None = None
        self._path = os.path.abspath(path)
        self.report = Report()
        """Of the training, where it was in this session; else empty."""
        self.network = Network(self._path, cut="", threads=threads)

    @property
    def classes_(self) -> list[str]:
        """In the order of `predict_proba`'s columns."""
        return self.network.classes

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the ONNX file; needs nothing of engraft where it is used."""
        if not overwrite and os.path.exists(path):
            raise _reasons.OutputExists(f"'{os.fspath(path)}' exists (overwrite=True replaces it)", "E_EXISTS", "OUTPUT_EXISTS", os.fspath(path))
        part = f"{os.fspath(path)}.part"
        shutil.copyfile(self._path, part)
        os.replace(part, path)

    def __getstate__(self) -> dict[str, Any]:
        return {"onnx": Path(self._path).read_bytes(), "report": self.report, "threads": self.network._arguments["threads"]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        holder = tempfile.TemporaryDirectory(prefix="pyengraft-")
        path = os.path.join(holder.name, "model.onnx")
        Path(path).write_bytes(state["onnx"])
        self.__init__(path, threads=state["threads"])  # type: ignore[misc]
        self._holder, self.report = holder, state["report"]

    def _answers(self, photos: Photo | Iterable[Photo], batch: int, progress: bool | None) -> tuple[Floats, list[str], list[str | None]]:
        """Probabilities, the answers, and why a photo has none."""
        todo = as_list(photos)
        classes = self.classes_
        found = np.full((len(todo), len(classes)), np.nan, np.float32)
        answers = [""] * len(todo)
        errors: list[str | None] = [None] * len(todo)
        at = 0

        def take(user: Any, answer: Any) -> None:
            nonlocal at
            row, at = at, at + 1
            errors[row] = c.text(answer.error)
            for i in range(answer.n_top):
                guess = answer.top[i]
                if i == 0:
                    answers[row] = c.words(guess.label)
                if guess.index >= 0:
                    found[row, guess.index] = guess.probability

        taker = c.ffi.callback("void(void *, struct eg_answer *)", take)
        if not todo:
            return found, answers, errors
        with tempfile.TemporaryDirectory(prefix="pyengraft-") as folder, c.progress("predict", progress) as bar:
            names = []
            for i, photo in enumerate(todo):
                names.append(path_text(photo) if is_path(photo) else os.path.join(folder, f"{i}.png"))
                if not is_path(photo):
                    Path(names[-1]).write_bytes(bytes_of(photo))
            keep: list[Any] = []
            made, err = c.ffi.new("eg_dataset **"), c.new_error()
            c.check(c.lib.eg_dataset_list(c.encoded_list(names, keep), len(names), made, err), err)
            dataset = c.ffi.gc(made[0], c.lib.eg_dataset_free)
            # One more than there are classes: a photo that is refused has "unknown" first.
            how = c.options("eg_classify_options", keep, top=len(classes), batch=batch, pool=c.pool(self.network._arguments["threads"]), progress=bar.callback)
            c.run(bar, c.lib.eg_classify, self.network._net, dataset, how, taker, c.ffi.NULL)
        for row, answer in enumerate(answers):
            if answer == "unknown" and errors[row] is None and np.isnan(found[row]).sum() == 1:
                found[row, np.isnan(found[row])] = 1 - np.nansum(found[row])
        return found, answers, errors

    @staticmethod
    def _refuse(errors: list[str | None], photos: list[Photo], on_error: str) -> None:
        for photo, error in zip(photos, errors):
            if error is not None and on_error == "raise":
                named = f"'{path_text(photo)}'" if is_path(photo) else "a photo"
                raise EngraftError(f"cannot read {named}: {error}", "E_FORMAT", "OTHER", path_text(photo) if is_path(photo) else "")

    def predict_proba(self, photos: Photo | Iterable[Photo], *, batch: int = 8, on_error: str = "raise", progress: bool | None = None) -> Floats:
        """[n, classes]: how likely each class is, as `engraft predict` says.

        Parameters
        ----------
        photos : paths, PIL images, uint8 arrays [H, W, 3], or a folder
        on_error : {"raise", "nan"}
        """
        todo = as_list(photos)
        found, _, errors = self._answers(todo, batch, progress)
        self._refuse(errors, todo, on_error)
        return found

    def predict(self, photos: Photo | Iterable[Photo], *, batch: int = 8, progress: bool | None = None) -> npt.NDArray[np.str_]:
        """The likeliest class of each photo; "unknown" where the classifier rejects it."""
        todo = as_list(photos)
        _, answers, errors = self._answers(todo, batch, progress)
        self._refuse(errors, todo, "raise")
        return np.array(answers, dtype=np.str_)

    def evaluate(self, data: str | os.PathLike[str] | Features, *, progress: bool | None = None) -> dict[str, Any]:
        """How good it is on photos that it has not learned from, as `engraft evaluate`.

        Parameters
        ----------
        data : path or Features
            A feature file, or labelled images.
        """
        keep: list[Any] = []
        report = c.ffi.new("struct eg_evaluate_report **")
        path = data.path if isinstance(data, Features) else data
        with c.progress("evaluate", progress) as bar:
            how = c.options("eg_evaluate_options", keep, pool=c.pool(), progress=bar.callback)
            c.run(bar, c.lib.eg_evaluate, self.network._net, c.encoded(path, keep), how, report)
        made = c.ffi.gc(report[0], c.lib.eg_evaluate_report_free)
        found: dict[str, Any] = json.loads(c.owned_text(c.lib.eg_evaluate_report_json(made, self.network._net)))
        return found

    def __repr__(self) -> str:
        return f"<pyengraft.Classifier of {len(self.classes_)} classes: {', '.join(self.classes_[:5])}{', ...' if len(self.classes_) > 5 else ''}>"

    def _repr_html_(self) -> str:
        return f"{html.escape(repr(self))}{self.report._repr_html_() if self.report else ''}"


def train(
    features: Features, path: str | os.PathLike[str] | None = None, *, classifier: str = "logistic", C: float | Sequence[float] | None = None,
    cv: int = 5, test: float | str | os.PathLike[str] | Features = 0.25, scale: str = "auto", balance: bool = False, group: str | None = None,
    reject: float = 0.0, trees: int = 0, seed: int = 0, overwrite: bool = False, models: Sequence[str | os.PathLike[str]] = (),
    threads: int = 0, progress: bool | None = None,
) -> Classifier:
    """Features to a classifier of photos.

    Parameters
    ----------
    features : Features
    path : path, optional
        Where the ONNX file goes; without: into a temporary file, for `Classifier.save`.
    classifier : {"logistic", "svm", "forest", "mlp", "auto"}
    C : float or sequence, optional
        Values to choose from by cross-validation; without: a usual grid.
    cv : int
        Folds; 1: no cross-validation.
    test : float, path or Features
        A part of the rows, never learned from; 0: none. Or other photos or features to test on.
    group : str, optional
        A regular expression: photos whose paths match alike stay together.
    reject : float
        Answer "unknown" so often for known photos.

    Returns
    -------
    Classifier
        Its `report` holds the choice, the test and its times.
    """
    keep: list[Any] = []
    net, err = c.ffi.new("eg_net **"), c.new_error()
    c.check(c.lib.eg_net_load_of(features._features, c.encoded(model_folders(models), keep), net, err), err)
    trunk = c.ffi.gc(net[0], c.lib.eg_net_free)
    holder = None if path is not None else tempfile.TemporaryDirectory(prefix="pyengraft-")
    target = os.path.join(holder.name, "model.onnx") if holder is not None else os.fspath(path or "")
    grid = [C] if isinstance(C, (int, float)) else list(C or [])
    values = c.ffi.new("double[]", grid)
    other = test.path if isinstance(test, Features) else None if isinstance(test, (int, float)) else os.fspath(test)
    part = test if isinstance(test, (int, float)) else 0.0
    report = c.ffi.new("struct eg_train_report **")
    with c.progress("train", progress) as bar:
        how = c.options(
            "eg_train_options", keep, classifier=c.encoded(classifier, keep), c=values if grid else c.ffi.NULL, n_c=len(grid), folds=cv,
            test_fraction=part or (0.0 if other else -1.0), test=c.encoded(other, keep), group=c.encoded(group, keep),
            features=c.ffi.NULL if classifier == "auto" else c.encoded(features.cut, keep), scale=c.encoded(scale, keep), balance=balance,
            n_trees=trees, reject_rate=reject, overwrite=overwrite, seed=seed, command=c.encoded("pyengraft.train", keep),
            pool=c.pool(threads), progress=bar.callback,
        )
        c.run(bar, c.lib.eg_train, features._features, trunk, c.encoded(target, keep), how, report)
    made = c.ffi.gc(report[0], c.lib.eg_train_report_free)
    trained = Classifier(target, threads=threads)
    trained._holder = holder
    trained.report = Report(json.loads(c.owned_text(c.lib.eg_train_report_json(made, c.encoded(target, keep)))))
    # Its page is of these; a copy of the classifier, so that neither keeps the other alive.
    trained.report._about = {"features": features, "classifier": Classifier(target, threads=threads), "test": test, "seed": seed, "holder": holder}
    if made.test.n:
        names = c.encoded_list([c.words(made.classes[i]) for i in range(made.n_classes)], keep)
        trained.report["text"] = c.owned_text(c.lib.eg_metrics_report(c.ffi.addressof(made, "test"), names))
    return trained


def load(path: str | os.PathLike[str], *, threads: int = 0) -> Classifier:
    """A classifier that engraft trained and saved."""
    return Classifier(path, threads=threads)
