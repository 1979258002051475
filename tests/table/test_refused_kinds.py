"""What takes real floating-point arrays alone refuses integers and complex numbers, by its name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.table.test_table import ROWS

# Positions of arguments that may not be integers (i) or complex (c), and the functions and layers of which
# this is so; the first argument of a layer's row is its tree of parameters.
REFUSED = {
    "0c 1c": (
        "ops.remainder ops.floor_divide ops.logaddexp ops.hypot ops.copysign ops.nextafter "
        "ops.softmax_cross_entropy"
    ),
    "0c": "ops.floor ops.ceil ops.trunc ops.signbit ops.fft.rfft",
    "0c 0i": (
        "ops.sigmoid ops.erf ops.erfc ops.logsumexp ops.softmax ops.log_softmax nn.tanh nn.sigmoid "
        "nn.log_sigmoid nn.softplus nn.softsign nn.silu nn.mish nn.gelu nn.relu nn.leaky_relu nn.elu nn.celu "
        "nn.selu nn.hard_sigmoid nn.hard_tanh nn.hard_swish nn.softmax nn.log_softmax nn.softmin nn.glu "
        "nn.Dropout nn.Dropout1d nn.Dropout2d ops.rotary ops.max_pool1d ops.avg_pool1d ops.avg_pool2d "
        "ops.global_avg_pool ops.upsample"
    ),
    "0c 1c 2c": "ops.linear",
    "0c 0i 1c 1i": "nn.prelu ops.attention_weights",
    "1c 1i": (
        "nn.Linear nn.RNN nn.GRU nn.SinusoidalPositions nn.LSTM nn.LayerNorm nn.RMSNorm nn.GroupNorm "
        "nn.InstanceNorm nn.Conv1d nn.Conv2d nn.ConvTranspose1d nn.ConvTranspose2d nn.MaxPool1d nn.MaxPool2d "
        "nn.AvgPool1d nn.AvgPool2d nn.GlobalAvgPool1d nn.GlobalAvgPool2d nn.GlobalMaxPool1d "
        "nn.GlobalMaxPool2d nn.ZeroPad1d nn.ZeroPad2d"
    ),
    "0c 0i 1c 2c": (
        "losses.softmax_cross_entropy losses.kl_divergence losses.sigmoid_cross_entropy losses.squared_error "
        "losses.log_cosh losses.cosine_distance ops.batch_norm ops.layer_norm ops.group_norm ops.conv2d "
        "ops.conv_transpose1d ops.conv_transpose2d"
    ),
    "0c 0i 2c": (
        "losses.focal losses.multiclass_hinge losses.sigmoid_focal losses.hinge losses.absolute_error "
        "losses.huber losses.poisson_nll"
    ),
    "0c 0i 1c 2c 3c": "losses.gaussian_nll",
    "0c 0i 1c 1i 2c 2i": "ops.rnn_step ops.scaled_dot_product_attention nn.BatchNorm",
    "0c 0i 1c 1i 2c 2i 3c": "ops.gru_step",
    "0c 0i 1c 1i 2c 3c 3i": "ops.lstm_step",
    "1c 1i 2c 2i": "nn.MultiHeadAttention",
    "0c 0i 1c": "ops.rms_norm ops.conv1d",
}
CASES = [(name, places) for places, names in REFUSED.items() for name in names.split()]


@pytest.mark.parametrize(("name", "places"), CASES, ids=[name for name, _ in CASES])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_refused_by_name(name: str, places: str) -> None:
    rows = [row for row in ROWS if row.name == name]
    assert rows
    for row in rows:
        args = row.make()
        for place, kind in places.split():
            i, dtype = int(place), {"i": "int64", "c": "complex128"}[kind]
            if i < len(args) and isinstance(args[i], np.ndarray) and args[i].dtype.kind == "f":
                odd = [*args[:i], np.abs(args[i]).astype(dtype), *args[i + 1 :]]
                with pytest.raises(TypeError, match=name.rpartition(".")[2]) as caught:
                    row.function(*odd)
                assert len(str(caught.value)) < 300
