"""What losses refuse, and what they say."""

import array_api_strict as strict
import numpy as np
import pytest

from portnn import losses
from portnn.losses import Loss, Task
from tests.losses.names import CLASSES, F32, INT, LABELS, NAMES, args_for, mine

BINARY = [losses.sigmoid_cross_entropy, losses.sigmoid_focal, losses.hinge]
REGRESSION = [losses.squared_error, losses.absolute_error, losses.huber, losses.log_cosh, losses.poisson_nll]
SOFTMAX = [losses.softmax_cross_entropy, losses.focal, losses.multiclass_hinge, losses.kl_divergence]


def refuses(error, text, loss, *args, **options):
    with pytest.raises(error, match=text) as caught:
        loss(*args, **options)
    message = str(caught.value)
    name = getattr(loss, "func", loss).__name__
    assert message.startswith(f"{name}: ")
    assert len(message) < 300


@pytest.mark.parametrize("loss", BINARY + REGRESSION + [losses.cosine_distance])
def test_shapes_are_never_broadcast(loss):
    what = "logits" if loss in BINARY else "predictions"
    refuses(
        ValueError, rf"targets have shape \(4,\), {what} \(4, 1\); both must", loss, F32[:, :1], F32[:, 0]
    )
    refuses(ValueError, rf"targets have shape \(4, 1\), {what} \(4,\)", loss, F32[:, 0], F32[:, :1])
    refuses(ValueError, rf"targets have shape \(\), {what} \(4, 3\)", loss, F32, np.asarray(1.0))


@pytest.mark.parametrize("loss", SOFTMAX)
def test_class_shapes(loss):
    text = r"targets have shape \(4, 1\), logits \(4, 3\); expected integer labels of shape \(4,\) or"
    refuses(ValueError, text, loss, F32, INT[:, None])
    refuses(ValueError, r"targets have shape \(3,\), logits \(4, 3\)", loss, F32, INT[:3])
    scalar = np.asarray(1.0)
    refuses(ValueError, r"logits must have an axis of classes, got shape \(\)", loss, scalar, scalar)


@pytest.mark.parametrize("loss", SOFTMAX)
@pytest.mark.parametrize("dtype", ["float64", "bool"])
def test_class_labels_are_integers(loss, dtype):
    text = rf"targets of shape \(4,\) are class labels and must be integers, got dtype {dtype}; convert"
    hint = (
        " them with astype" if dtype == "bool" else " numbers .* to predict values take losses.squared_error"
    )
    refuses(TypeError, f"{text}{hint}$", loss, F32, INT.astype(dtype))


@pytest.mark.parametrize("name", NAMES)
def test_dtypes_of_predictions(name):
    loss = getattr(losses, name)
    what = "logits" if name in CLASSES | LABELS else "predictions"
    text = rf"{what} must be a real floating-point array, got dtype (int64|complex128); convert"
    for dtype in ("int64", "complex128"):
        refuses(TypeError, text, loss, np.ones((4, 2), dtype=dtype), INT)
    refuses(TypeError, rf"{what}: expected an array .*, got list", loss, [[1.0, 2.0]], INT)
    refuses(TypeError, "targets: expected an array .*, got list", loss, F32, [0, 1, 2, 0])


@pytest.mark.parametrize("loss", BINARY + REGRESSION + SOFTMAX)
def test_complex_targets(loss):
    refuses(TypeError, "targets must be real, got dtype complex128", loss, F32, F32.astype(complex))


@pytest.mark.parametrize("name", NAMES)
def test_options_of_all(name):
    loss, args = getattr(losses, name), args_for(name)
    loss(*args)
    refuses(
        ValueError,
        "reduction must be 'mean', 'sum' or 'none', got 'average'",
        loss,
        *args,
        reduction="average",
    )
    for weight in (np.ones(3), np.ones((3, 4)), np.ones((4, 1)), np.asarray(1.0), np.ones((4, 3, 1))):
        text = (
            rf"sample_weight has shape {str(weight.shape)[:-1]}\)?, expected \(4,\), a weight for each sample"
        )
        refuses(ValueError, text.replace("(", r"\(", 1), loss, *args, sample_weight=weight)
    refuses(
        TypeError, "sample_weight must be an array, got list", loss, *args, sample_weight=[1.0, 1.0, 1.0, 1.0]
    )
    refuses(TypeError, "different libraries|real", loss, *args, sample_weight=np.ones(4, dtype=complex))


@pytest.mark.parametrize("name", NAMES)
def test_empty_batches(name):
    loss, args = getattr(losses, name), [a[:0] for a in args_for(name)]
    refuses(ValueError, r"the mean of no samples is not defined; the losses have shape \(0", loss, *args)
    assert float(loss(*args, reduction="sum")) == 0.0
    assert loss(*args, reduction="none").shape[0] == 0


ONE = np.ones(1)
# Loss, arguments, options, what the message says.
VALUE_ERRORS = [
    (
        "softmax_cross_entropy",
        (F32, INT),
        {"label_smoothing": 1.0},
        "label_smoothing must be .* below 1, got 1.0",
    ),
    ("softmax_cross_entropy", (F32, INT), {"label_smoothing": -0.1}, "label_smoothing .* got -0.1"),
    (
        "softmax_cross_entropy",
        (F32, INT),
        {"class_weights": ONE},
        r"class_weights has shape \(1,\), expected \(3,\)",
    ),
    ("softmax_cross_entropy", (F32, F32), {"ignore_index": 0}, "ignore_index needs integer labels; .* of 0"),
    ("focal", (F32, INT), {"gamma": -1.0}, "gamma must be at least 0, got -1.0"),
    ("focal", (F32, INT), {"alpha": ONE}, r"alpha has shape \(1,\), expected \(3,\)"),
    ("multiclass_hinge", (F32, F32), {}, r"expected integer labels of shape \(4,\); take the argmax"),
    ("multiclass_hinge", (F32, INT), {"margin": np.nan}, "margin must be finite, got nan"),
    ("kl_divergence", (F32, INT), {}, r"expected probabilities of shape \(4, 3\), got labels"),
    ("sigmoid_cross_entropy", (F32, F32), {"label_smoothing": 2.0}, "label_smoothing .* got 2.0"),
    (
        "sigmoid_cross_entropy",
        (F32, F32),
        {"positive_weights": np.ones(4)},
        r"weights have shape \(4,\), which does",
    ),
    (
        "sigmoid_cross_entropy",
        (F32, F32),
        {"positive_weights": np.ones((1, 4, 3))},
        "which does not broadcast",
    ),
    ("sigmoid_focal", (F32, F32), {"gamma": np.nan}, "gamma must be at least 0, got nan"),
    ("sigmoid_focal", (F32, F32), {"alpha": 1.5}, "alpha must be from 0 to 1, got 1.5"),
    ("huber", (F32, F32), {"delta": 0.0}, "delta must be positive and finite, got 0.0"),
    ("huber", (F32, F32), {"delta": np.inf}, "delta must be positive and finite, got inf"),
    ("cosine_distance", (F32[:, :0], F32[:, :0]), {}, r"expected arrays of shape .*features\), got \(4, 0\)"),
    ("gaussian_nll", (F32, F32), {}, r"shape \(4, 3\), predictions \(4, 3\); without log_variance"),
    ("gaussian_nll", (F32, F32), {"log_variance": F32[:, :1]}, r"targets .* \(4, 3\), log_variance \(4, 1\)"),
    ("gaussian_nll", (F32, INT), {"log_variance": INT + 0.0}, r"targets .* \(4,\), predictions \(4, 3\)"),
]
TYPE_ERRORS = [
    ("softmax_cross_entropy", (F32, INT), {"class_weights": [1.0]}, "class_weights: expected an array"),
    ("softmax_cross_entropy", (F32, INT), {"class_weights": INT}, "class_weights must be a real floating"),
    (
        "sigmoid_cross_entropy",
        (F32, F32),
        {"positive_weights": 2.0},
        "positive_weights: expected at least one array",
    ),
    ("gaussian_nll", (F32, F32), {"log_variance": INT}, "log_variance must be a real floating-point array"),
]


@pytest.mark.parametrize(("name", "args", "options", "text"), VALUE_ERRORS)
def test_value_errors(name, args, options, text):
    refuses(ValueError, text, getattr(losses, name), *args, **options)


@pytest.mark.parametrize(("name", "args", "options", "text"), TYPE_ERRORS)
def test_type_errors(name, args, options, text):
    refuses(TypeError, text, getattr(losses, name), *args, **options)


def test_errors_of_the_class():
    with pytest.raises(TypeError, match=r"Loss: task must be Task\.CLASSES, .* got 'classes'"):
        Loss(mine, task="classes")
    with pytest.raises(TypeError, match="Loss: function must be callable, got str"):
        Loss("mine", task=Task.VALUES)
    with pytest.raises(TypeError, match="Loss: link must be callable, got str"):
        Loss(mine, task=Task.VALUES, link="sigmoid")


def test_different_libraries_are_refused():
    for name in NAMES:
        x, t = args_for(name)
        refuses(TypeError, "arrays of different libraries", getattr(losses, name), x, strict.asarray(t))
    with pytest.raises(TypeError, match="sample_weight: arrays of different libraries"):
        losses.squared_error(F32, F32, sample_weight=strict.ones(4))
