"""A network's features as a scikit-learn transformer: pipelines, GridSearchCV, clone, pickle."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]
from sklearn.utils.validation import check_array  # type: ignore[import-untyped]

from .network import Network


def _is_matrix(X: Any) -> bool:
    """Rows of numbers (also wrong ones, to be refused as such), not photos?"""
    if hasattr(X, "toarray") or hasattr(X, "iloc"):
        return not hasattr(X, "iloc") or getattr(X, "ndim", 2) == 2
    if hasattr(X, "__array__") and not hasattr(X, "getbands"):
        made = np.asarray(X)
        return made.dtype.kind in "fiubc" and made.ndim < 3 or made.dtype == object and made.ndim == 2
    if isinstance(X, (list, tuple)) and X:
        return isinstance(X[0], (int, float, complex)) or isinstance(X[0], (list, tuple)) or isinstance(X[0], np.ndarray) and X[0].ndim < 2
    return False


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
    shape : tuple, optional
        Of the pictures in a matrix [n, pixels], as scikit-learn's data sets have them: (height, width) or
        (height, width, 3); without: one row of grey pixels.
    scale : float
        What makes the matrix's numbers 0 to 255 (255 where they are 0 to 1); what lies beyond is cut off.
    """

    def __init__(
        self, net: Any = "efficientnet-lite0", cut: str | None = None, batch: int = 8, shape: tuple[int, ...] | None = None, scale: float = 1.0,
    ) -> None:
        self.net = net
        self.cut = cut
        self.batch = batch
        self.shape = shape
        self.scale = scale

    def _network(self) -> Network:
        base: Network = self.net if isinstance(self.net, Network) else Network(self.net)
        return base if self.cut is None else Network(**{**base._arguments, "cut": self.cut})

    def fit(self, X: Any, y: Any = None) -> Features:
        """Load the network; of a matrix, note how many columns it has."""
        self.network_ = self._network()
        if _is_matrix(X):
            self._checked(X, first=True)
        return self

    def _checked(self, X: Any, first: bool) -> npt.NDArray[Any]:
        """A matrix of finite numbers, as many columns as at the fit."""
        try:
            from sklearn.utils.validation import validate_data
        except ImportError:  # scikit-learn < 1.6
            made: npt.NDArray[Any] = self._validate_data(X, reset=first) if first or hasattr(self, "n_features_in_") else check_array(X)
            return made
        checked: npt.NDArray[Any] = validate_data(self, X, reset=first) if first or hasattr(self, "n_features_in_") else check_array(X)
        return checked

    def _pictures(self, X: npt.NDArray[Any]) -> list[npt.NDArray[np.uint8]]:
        shape = self.shape or (1, X.shape[1])
        if int(np.prod(shape)) != X.shape[1] or len(shape) not in (2, 3):
            raise ValueError(f"shape {shape} is not that of rows of {X.shape[1]} numbers")
        pixels = np.clip(np.rint(X.astype(np.float64) * self.scale), 0, 255).astype(np.uint8).reshape(len(X), *shape)
        return [np.repeat(one[:, :, None], 3, 2) if one.ndim == 2 else one for one in pixels]

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """X: paths, PIL images, uint8 arrays, or a matrix of pixels. [n, length]"""
        network = self.network_ if hasattr(self, "network_") else self._network()
        if _is_matrix(X):
            return network.transform(self._pictures(self._checked(X, first=False)), batch=self.batch, progress=False)
        photos = X.tolist() if isinstance(X, np.ndarray) and X.dtype.kind in "OUS" else X
        return network.transform(photos, batch=self.batch, progress=False)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[Any]:
        """engraft0, engraft1, ..."""
        if input_features is not None and hasattr(self, "n_features_in_") and len(input_features) != self.n_features_in_:
            raise ValueError(f"input_features should have length equal to number of features ({self.n_features_in_}), got {len(input_features)}")
        return np.array([f"engraft{i}" for i in range(self._network().length)], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in super().__getstate__().items() if key != "network_"}

    # It needs no fit; numbers come out as float32 whatever went in.
    def _more_tags(self) -> dict[str, Any]:  # scikit-learn < 1.6
        return {"X_types": ["2darray", "string"], "stateless": True, "requires_fit": False, "preserves_dtype": []}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
