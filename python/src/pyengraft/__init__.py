"""Cut a pretrained network and grow your own classifier on it.

>>> import pyengraft
>>> net = pyengraft.Network("efficientnet-lite0")
>>> f = pyengraft.extract(net, "photos", "f.h5")                   # doctest: +SKIP
>>> clf = pyengraft.train(f, classifier="svm")                     # doctest: +SKIP
>>> clf.predict_proba(["a.jpg", "b.jpg"])                          # doctest: +SKIP
"""
from . import errors
from ._errors import EngraftError
from ._library import lib as _lib
from ._library import words as _words
from .classifier import Classifier, Report, load, train
from .features import Audit, Features, audit, extract
from .looks import Explanation, Similar, explain, similar
from .network import Layer, Network

__version__ = _words(_lib.eg_version())
__all__ = [
    "Audit", "Classifier", "EngraftError", "Explanation", "Features", "Layer", "Network", "Report", "Similar", "audit", "errors", "explain", "extract",
    "load", "similar", "train",
]
