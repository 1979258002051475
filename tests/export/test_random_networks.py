"""Random deep networks: what is exported is the network, however its roundings add up."""

from __future__ import annotations

import pytest
from onnx.reference import ReferenceEvaluator

from tests.export.random_networks import RandomNetwork, distance, doubled

# What is left: numbers that the model holds in float32, such as epsilons, behind norms that enlarge.
TOLERANCE = 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_the_graph_in_float64_is_the_network_in_float64(seed: int):
    network = RandomNetwork(seed)
    run = ReferenceEvaluator(doubled(network.model()))
    x = network.batch(3)
    [y] = run.run(None, {"x": x if network.symbols else x.astype("float64")})
    assert y.dtype == "float64"
    assert distance(y, network.truth(x)) < TOLERANCE
