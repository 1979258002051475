"""Who competes in predicting: float32 NumPy arrays in, probabilities as NumPy arrays out."""

from __future__ import annotations

from tests.benchmarks.contenders import Contender
from tests.benchmarks.inference._base import Predictor, PredictorReference
from tests.benchmarks.inference._by_hand import ByHandPredictor
from tests.benchmarks.inference._jax import JaxPredictor
from tests.benchmarks.inference._onnxruntime import OnnxPredictor
from tests.benchmarks.inference._portnn import PortnnPredictor
from tests.benchmarks.inference._sklearn import SklearnPredictor
from tests.benchmarks.inference._torch import TorchCompilePredictor, TorchPredictor

__all__ = ["INFERENCE", "Predictor", "PredictorReference"]

INFERENCE: dict[str, type[Contender]] = {
    contender.slug: contender
    for contender in (
        PortnnPredictor, ByHandPredictor, OnnxPredictor, TorchPredictor, TorchCompilePredictor, JaxPredictor,
        SklearnPredictor,
    )
}  # fmt: skip
