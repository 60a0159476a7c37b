"""A network's features as a scikit-learn transformer: pipelines, GridSearchCV, clone, pickle."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]

from .network import Network


class Features(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Photos to features; nothing is learned by `fit`.

    Parameters
    ----------
    net : Network or str
        A network, or the name or file of one.
    cut : str, optional
        In place of the network's own; a parameter for GridSearchCV.
    batch : int
        Photos computed at a time; never changes a result.
    """

    def __init__(self, net: Any = "efficientnet-lite0", cut: str | None = None, batch: int = 8) -> None:
        self.net = net
        self.cut = cut
        self.batch = batch

    def _network(self) -> Network:
        base: Network = self.net if isinstance(self.net, Network) else Network(self.net)
        return base if self.cut is None else Network(**{**base._arguments, "cut": self.cut})

    def fit(self, X: Any, y: Any = None) -> Features:
        """Load the network."""
        self.network_ = self._network()
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """X: paths, PIL images or uint8 arrays. [n, length]"""
        if not hasattr(self, "network_"):
            self.network_ = self._network()
        photos = X.tolist() if isinstance(X, np.ndarray) and X.dtype.kind in "OUS" else X
        return self.network_.transform(photos, batch=self.batch, progress=False)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:
        """engraft0, engraft1, ..."""
        return np.array([f"engraft{i}" for i in range(self._network().length)], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "network_"}

    # What it takes is photos, as a text vectorizer takes strings: scikit-learn's checks of numbers
    # in columns have no meaning. It needs no fit, either.
    def _more_tags(self) -> dict[str, Any]:  # scikit-learn < 1.6
        return {"X_types": ["string"], "stateless": True, "requires_fit": False}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags
