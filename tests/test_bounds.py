"""Options with a bound: the last value that is allowed is taken, the next one beyond is refused by name."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portnn import Network, jit, losses, metrics, nn, ops, optim
from portnn.backend import get_backend
from portnn.optim import schedules
from portnn.train import callbacks

HOST = get_backend("numpy")
X = np.arange(1.0, 25.0).reshape(2, 3, 4)
IMAGES = np.ones((1, 2, 4, 4))
Y, P = np.asarray([0, 1, 2]), np.eye(3)
TINY = 5e-324  # the smallest number above zero
BELOW_ONE, ABOVE_ONE = float(np.nextafter(1.0, 0.0)), float(np.nextafter(1.0, 2.0))


def trained(**options):
    x = np.ones((4, 2), dtype=np.float32)
    net = Network([nn.Linear(2, 1)], loss=losses.squared_error)
    return net.fit(x, x[:, :1], progress=False, **{"epochs": 1, **options})


# What an option does with a value; the last that is allowed; the first beyond.
BOUNDS = {
    "sgd momentum, up": (lambda v: optim.sgd(0.1, momentum=v), BELOW_ONE, 1.0),
    "sgd momentum, down": (lambda v: optim.sgd(0.1, momentum=v), 0.0, -TINY),
    "sgd dampening, up": (lambda v: optim.sgd(0.1, momentum=0.5, dampening=v), BELOW_ONE, 1.0),
    "sgd dampening, down": (lambda v: optim.sgd(0.1, momentum=0.5, dampening=v), 0.0, -TINY),
    "sgd learning_rate": (optim.sgd, TINY, 0.0),
    "sgd weight_decay": (lambda v: optim.sgd(0.1, weight_decay=v), 0.0, -TINY),
    "adamw weight_decay": (lambda v: optim.adamw(0.1, weight_decay=v), 0.0, -TINY),
    "adam betas, up": (lambda v: optim.adam(betas=(v, 0.9)), BELOW_ONE, 1.0),
    "adam betas, down": (lambda v: optim.adam(betas=(v, 0.9)), 0.0, -TINY),
    "adam betas[1], up": (lambda v: optim.adam(betas=(0.9, v)), BELOW_ONE, 1.0),
    "adam betas[1], down": (lambda v: optim.adam(betas=(0.9, v)), 0.0, -TINY),
    "lion betas": (lambda v: optim.lion(betas=(v, 0.9)), BELOW_ONE, 1.0),
    "adam eps": (lambda v: optim.adam(eps=v), TINY, 0.0),
    "adamax eps": (lambda v: optim.adamax(eps=v), TINY, 0.0),
    "nadam eps": (lambda v: optim.nadam(eps=v), TINY, 0.0),
    "nadam momentum_decay": (lambda v: optim.nadam(momentum_decay=v), 0.0, -TINY),
    "radam eps": (lambda v: optim.radam(eps=v), TINY, 0.0),
    "rmsprop eps": (lambda v: optim.rmsprop(eps=v), TINY, 0.0),
    "rmsprop alpha, up": (lambda v: optim.rmsprop(alpha=v), BELOW_ONE, 1.0),
    "rmsprop alpha, down": (lambda v: optim.rmsprop(alpha=v), 0.0, -TINY),
    "rmsprop momentum": (lambda v: optim.rmsprop(momentum=v), BELOW_ONE, 1.0),
    "adagrad eps": (lambda v: optim.adagrad(eps=v), TINY, 0.0),
    "adagrad lr_decay": (lambda v: optim.adagrad(lr_decay=v), 0.0, -TINY),
    "adagrad initial_accumulator_value": (lambda v: optim.adagrad(initial_accumulator_value=v), 0.0, -TINY),
    "adadelta rho": (lambda v: optim.adadelta(rho=v), BELOW_ONE, 1.0),
    "adadelta eps": (lambda v: optim.adadelta(eps=v), TINY, 0.0),
    "accumulate steps": (lambda v: optim.accumulate(optim.sgd(0.1), v), 1, 0),
    "clip_by_value limit": (optim.clip_by_value, TINY, 0.0),
    "clip_by_global_norm max_norm": (optim.clip_by_global_norm, TINY, 0.0),
    "dynamic_loss_scale initial": (lambda v: optim.dynamic_loss_scale(optim.sgd(0.1), initial=v), 1.0, 0.0),
    "dynamic_loss_scale initial, up": (lambda v: optim.dynamic_loss_scale(optim.sgd(0.1), initial=v), 2.0**24, 2.0**25),
    "dynamic_loss_scale initial, kind": (lambda v: optim.dynamic_loss_scale(optim.sgd(0.1), initial=v), 4.0, 3.0),
    "truncated_normal interval": (lambda v: nn.init.TruncatedNormal(1.0, lower=v, upper=9.0), 3.05, 3.15),
    "truncated_normal lower": (lambda v: nn.init.TruncatedNormal(1.0, lower=v), BELOW_ONE, 2.0),
    "dynamic_loss_scale interval": (lambda v: optim.dynamic_loss_scale(optim.sgd(0.1), interval=v), 1, 0),
    "ema decay, up": (lambda v: optim.ema(optim.sgd(0.1), v), BELOW_ONE, 1.0),
    "ema decay, down": (lambda v: optim.ema(optim.sgd(0.1), v), 0.0, -TINY),
    "constant learning_rate": (schedules.constant, TINY, 0.0),
    "step every": (lambda v: schedules.step(0.1, v), 1, 0),
    "step factor": (lambda v: schedules.step(0.1, 3, factor=v), TINY, 0.0),
    "multi_step milestones": (lambda v: schedules.multi_step(0.1, [v, 3]), 0, -1),
    "multi_step milestones, order": (lambda v: schedules.multi_step(0.1, [3, v]), 4, 3),
    "exponential factor": (lambda v: schedules.exponential(0.1, v), TINY, 0.0),
    "polynomial steps": (lambda v: schedules.polynomial(0.1, v), 1, 0),
    "polynomial end": (lambda v: schedules.polynomial(0.1, 3, end=v), 0.0, -TINY),
    "polynomial exponent": (lambda v: schedules.polynomial(0.1, 3, exponent=v), TINY, 0.0),
    "cosine steps": (lambda v: schedules.cosine(0.1, v), 1, 0),
    "cosine end": (lambda v: schedules.cosine(0.1, 3, end=v), 0.0, -TINY),
    "cosine_restarts period": (lambda v: schedules.cosine_restarts(0.1, v), 1, 0),
    "cosine_restarts growth": (lambda v: schedules.cosine_restarts(0.1, 3, growth=v), 1, 0),
    "cosine_restarts end": (lambda v: schedules.cosine_restarts(0.1, 3, end=v), 0.0, -TINY),
    "warmup steps": (lambda v: schedules.warmup(0.1, v), 1, 0),
    "warmup start_factor, up": (lambda v: schedules.warmup(0.1, 3, start_factor=v), BELOW_ONE, 1.0),
    "warmup start_factor, down": (lambda v: schedules.warmup(0.1, 3, start_factor=v), 0.0, -TINY),
    "one_cycle steps": (lambda v: schedules.one_cycle(0.1, v), 2, 1),
    "one_cycle rise, up": (lambda v: schedules.one_cycle(0.1, 9, rise=v), BELOW_ONE, 1.0),
    "one_cycle rise, down": (lambda v: schedules.one_cycle(0.1, 9, rise=v), 0.0, -TINY),
    "one_cycle start_divisor": (lambda v: schedules.one_cycle(0.1, 9, start_divisor=v), 1.0, BELOW_ONE),
    "one_cycle end_divisor": (lambda v: schedules.one_cycle(0.1, 9, end_divisor=v), 1.0, BELOW_ONE),
    "Linear in_features": (lambda v: nn.Linear(v, 2), 1, 0),
    "Linear out_features": (lambda v: nn.Linear(2, v), 1, 0),
    "Conv2d kernel_size": (lambda v: nn.Conv2d(1, 1, v), 1, 0),
    "Conv2d groups": (lambda v: nn.Conv2d(2, 2, 1, groups=v), 1, 0),
    "Conv2d stride": (lambda v: nn.Conv2d(1, 1, 1, stride=v), 1, 0),
    "Conv2d dilation": (lambda v: nn.Conv2d(1, 1, 1, dilation=v), 1, 0),
    "Conv2d padding": (lambda v: nn.Conv2d(1, 1, 1, padding=v), 0, -1),
    "MaxPool2d padding": (lambda v: nn.MaxPool2d(2, padding=v), 0, -1),
    "LSTM hidden": (lambda v: nn.LSTM(2, v), 1, 0),
    "LSTM num_layers": (lambda v: nn.LSTM(2, 2, num_layers=v), 1, 0),
    "LSTM dropout": (lambda v: nn.LSTM(2, 2, num_layers=2, dropout=v), 0.0, -TINY),
    "Dropout p": (nn.Dropout, 0.0, -TINY),
    "BatchNorm features": (nn.BatchNorm, 1, 0),
    "BatchNorm momentum, down": (lambda v: nn.BatchNorm(2, momentum=v), TINY, -TINY),
    "GroupNorm features": (lambda v: nn.GroupNorm(1, v), 1, 0),
    "InstanceNorm features": (nn.InstanceNorm, 1, 0),
    "Embedding padding_idx": (lambda v: nn.Embedding(3, 2, padding_idx=v), 2, 3),
    "Embedding embeddings": (lambda v: nn.Embedding(v, 2), 1, 0),
    "InstanceNorm positions": (lambda v: nn.InstanceNorm(2).apply({}, np.ones((1, 2, v))), 2, 1),
    "InstanceNorm positions, down and across": (lambda v: nn.InstanceNorm(2).apply({}, np.ones((1, 2, v, 1))), 2, 1),
    "BatchNorm momentum, up": (lambda v: nn.BatchNorm(2, momentum=v), 1.0, ABOVE_ONE),
    "BatchNorm elements": (lambda v: nn.BatchNorm(2, affine=False, track=False).apply({}, np.ones((v, 2)), training=True), 2, 1),
    "Dropout p, up": (nn.Dropout, 1.0, ABOVE_ONE),
    "he_normal scale": (lambda v: replace(nn.init.he_normal(), scale=v), 0.0, -TINY),
    "uniform low": (lambda v: nn.init.uniform(v, 1.0), 1.0, ABOVE_ONE),
    "normal stddev": (nn.init.normal, 0.0, -TINY),
    "MLP width": (lambda v: nn.MLP([4] * v), 2, 1),
    "SinusoidalPositions base": (lambda v: nn.SinusoidalPositions(4, base=v), ABOVE_ONE, 1.0),
    "Reshape shape": (nn.Reshape, (2, -1), (-1, -1)),
    "celu alpha": (lambda v: nn.celu(X, alpha=v), 1e-3, 0.0),
    "conv_transpose1d output_padding, stride": (lambda v: ops.conv_transpose1d(X, np.ones((3, 1, 2)), stride=3, output_padding=v), 2, 3),
    "conv_transpose1d output_padding, dilation": (lambda v: ops.conv_transpose1d(X, np.ones((3, 1, 2)), dilation=3, output_padding=v), 2, 3),
    "conv_transpose1d padding": (lambda v: ops.conv_transpose1d(X[:, :, :1], np.ones((3, 1, 5)), padding=v), 2, 3),
    "tensordot axes": (lambda v: ops.tensordot(X, X, axes=v), 3, 4),
    "tensordot axes, down": (lambda v: ops.tensordot(X, X, axes=v), 0, -1),
    "diff n": (lambda v: ops.diff(X, n=v), 0, -1),
    "repeat repeats": (lambda v: ops.repeat(X, v, axis=0), 0, -1),
    "max_pool1d padding, even": (lambda v: ops.max_pool1d(X, 4, padding=v), 2, 3),
    "max_pool1d padding, odd": (lambda v: ops.max_pool1d(X, 3, padding=v), 1, 2),
    "avg_pool1d padding": (lambda v: ops.avg_pool1d(X, 2, padding=v), 1, 2),
    "pad widths": (lambda v: ops.pad(X, [(0, 0), (0, 0), (v, 0)]), 0, -1),
    "focal gamma": (lambda v: losses.focal(P, Y, gamma=v), 0.0, -TINY),
    "sigmoid_focal gamma": (lambda v: losses.sigmoid_focal(P, P, gamma=v), 0.0, -TINY),
    "sigmoid_focal alpha, up": (lambda v: losses.sigmoid_focal(P, P, alpha=v), 1.0, ABOVE_ONE),
    "sigmoid_focal alpha, down": (lambda v: losses.sigmoid_focal(P, P, alpha=v), 0.0, -TINY),
    "softmax_cross_entropy label_smoothing, up": (lambda v: losses.softmax_cross_entropy(P, Y, label_smoothing=v), BELOW_ONE, 1.0),
    "softmax_cross_entropy label_smoothing, down": (lambda v: losses.softmax_cross_entropy(P, Y, label_smoothing=v), 0.0, -TINY),
    "sigmoid_cross_entropy label_smoothing": (lambda v: losses.sigmoid_cross_entropy(P, P, label_smoothing=v), BELOW_ONE, 1.0),
    "huber delta": (lambda v: losses.huber(P, P, delta=v), TINY, 0.0),
    "huber delta, up": (lambda v: losses.huber(P, P, delta=v), 1e300, float("inf")),
    "r2 samples": (lambda v: metrics.r2(P[:v, 0], P[:v, 1]), 2, 1),
    "accuracy y_true": (lambda v: metrics.accuracy(Y[:v], Y[:v]), 1, 0),
    "confusion_matrix n_classes": (lambda v: metrics.confusion_matrix(Y[:1], Y[:1], n_classes=v), 1, 0),
    "fit batch_size": (lambda v: trained(batch_size=v), 1, 0),
    "fit epochs": (lambda v: trained(epochs=v), 1, 0),
    "fit accumulate": (lambda v: trained(accumulate=v), 1, 0),
    "fit validation_split, up": (lambda v: trained(validation_split=v), 0.7, 1.0),
    "jit cache_size": (lambda v: jit(ops.exp, cache_size=v), 1, 0),
    "MultiHeadAttention heads": (lambda v: nn.MultiHeadAttention(4, v), 1, 0),
    "PReLU features": (nn.PReLU, 1, 0),
    "Upsample scale": (nn.Upsample, 1, 0),
    "linspace num": (lambda v: ops.linspace(0.0, 1.0, v, dtype="float64", like=HOST), 0, -1),
    "fftfreq n": (lambda v: ops.fft.fftfreq(v, like=HOST), 1, 0),
    "rfftfreq n": (lambda v: ops.fft.rfftfreq(v, like=HOST), 1, 0),
    "group_norm groups": (lambda v: ops.group_norm(X, groups=v), 1, 0),
    "layer_norm eps": (lambda v: ops.layer_norm(X, eps=v), TINY, 0.0),
    "embedding padding, up": (lambda v: ops.embedding(P, Y, padding=v), 2, 3),
    "embedding padding, down": (lambda v: ops.embedding(P, Y, padding=v), -3, -4),
    "max_pool2d kernel": (lambda v: ops.max_pool2d(IMAGES, v), 4, 5),
    "avg_pool2d kernel": (lambda v: ops.avg_pool2d(IMAGES, v), 4, 5),
    "conv2d kernel": (lambda v: ops.conv2d(IMAGES, np.ones((1, 2, v, v))), 4, 5),
    "softmax axis, up": (lambda v: ops.softmax(X, axis=v), 2, 3),
    "softmax axis, down": (lambda v: ops.softmax(X, axis=v), -3, -4),
    "expand_dims axis, up": (lambda v: ops.expand_dims(X, axis=v), 3, 4),
    "expand_dims axis, down": (lambda v: ops.expand_dims(X, axis=v), -4, -5),
    "top_k_accuracy k": (lambda v: metrics.top_k_accuracy(Y, P, k=v), 3, 4),
    "top_k_accuracy k, down": (lambda v: metrics.top_k_accuracy(Y, P, k=v), 1, 0),
    "Checkpoint every_epochs": (lambda v: callbacks.Checkpoint("folder", every_epochs=v), 1, 0),
    "Checkpoint every_steps": (lambda v: callbacks.Checkpoint("folder", every_steps=v), 1, 0),
    "Checkpoint keep": (lambda v: callbacks.Checkpoint("folder", keep=v), 1, 0),
    "ModelCheckpoint every": (lambda v: callbacks.ModelCheckpoint("file", every=v), 1, 0),
    "EarlyStopping patience": (lambda v: callbacks.EarlyStopping(patience=v), 1, 0),
    "EarlyStopping min_delta": (lambda v: callbacks.EarlyStopping(min_delta=v), 0.0, -TINY),
    "ReduceLROnPlateau patience": (lambda v: callbacks.ReduceLROnPlateau(patience=v), 1, 0),
    "ReduceLROnPlateau cooldown": (lambda v: callbacks.ReduceLROnPlateau(cooldown=v), 0, -1),
    "ReduceLROnPlateau factor, up": (lambda v: callbacks.ReduceLROnPlateau(factor=v), BELOW_ONE, 1.0),
    "ReduceLROnPlateau factor, down": (lambda v: callbacks.ReduceLROnPlateau(factor=v), TINY, 0.0),
    "ReduceLROnPlateau min_scale": (lambda v: callbacks.ReduceLROnPlateau(min_scale=v), 0.0, -TINY),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bound_is_where_it_is_said_to_be(name):
    call, allowed, beyond = BOUNDS[name]
    call(allowed)
    option = name.split()[1].strip(",").partition("[")[0]
    with pytest.raises(ValueError, match=f"{option.split('_')[0]}|axis|kernel") as caught:
        call(beyond)
    assert len(str(caught.value)) < 300
