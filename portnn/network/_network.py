"""`Network`: a description, a backend and parameters; what most people use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self, final

from portnn import tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import Backend
from portnn.losses import Task, link_of
from portnn.network._inputs import bring_inputs
from portnn.network._measures import check_predictions, score_of
from portnn.network._model import activated
from portnn.network._trainable import Trainable

__all__ = ["Network"]


@final
class Network(Trainable):
    """A neural network: layers, a loss that decides its task, and parameters on a backend.

    Arrays of any library come in and answers go out in the library of the question: NumPy in, NumPy out,
    on every backend. Crossing happens here and nowhere else.

    Args:
        layers: a layer, or a list of layers and activation functions.
        loss: a loss of `portnn.losses`, a `functools.partial` of one that binds options, or a
            `portnn.losses.Loss` of your own. It decides the task: classes, labels, or values.
        backend: "cpu" (NumPy), "gpu" (CuPy), "auto", the name of another library, or a `Backend`.
        seed: decides the initial parameters and the order of batches, the same on every backend; at least 0
            and less than 2¹²⁸.
        dtype: "float32" or "float64", the dtype of parameters and of floating-point input.

    Attributes:
        layer: the layers, as one layer.
        loss: the loss.
        backend: the backend.
        seed: the seed.
        dtype: the dtype.
        params: the parameters, a tree of arrays on the backend.
        state: the running state of the layers, likewise.
        epochs: how many epochs the network has been trained for.
        steps: how many steps.
        notes: plain data of your own that are saved with the network, such as the names of the classes.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a layer's hyperparameters, `seed` or `dtype` are wrong.
        BackendUnavailableError: if the backend cannot serve; the message says what is missing.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> from portnn.nn import Linear, tanh
        >>> x = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        >>> y = np.asarray([0, 1, 1, 0])
        >>> net = Network([Linear(2, 8), tanh, Linear(8, 2)], backend="cpu", seed=0)
        >>> history = net.fit(x, y, epochs=100, batch_size=None, optimizer=optim.adam(0.05), progress=False)
        >>> net.predict(x).tolist(), net.score(x, y)
        ([0, 1, 1, 0], 1.0)
    """

    @activated
    def evaluate(
        self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """The loss on data, and the accuracy for classes and labels.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.

        Returns:
            ``{"loss": ..., "accuracy": ...}``; for values the loss alone.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`, and if a prediction is NaN.
        """
        return self._evaluate(self._dataset(x, y, sample_weight, streamed=True), "evaluate")

    @activated
    def score(self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
        """One number for how good the predictions are: accuracy, or R² for values.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.

        Returns:
            The share of samples that are wholly right; for values the coefficient of determination.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`, and if a prediction is NaN.
        """
        data = self._dataset(x, y, sample_weight, streamed=True)
        predictions = self._forward(data.x)
        check_predictions("score", predictions, self.task, self.dtype, raw=True)
        shown = link_of(self.loss)(predictions)
        check_predictions("score", shown, self.task, self.dtype, raw=False)
        y, weight = self._targets(data)
        return score_of(predictions, shown, y, self.task, weight)

    def predict(self, x: ArrayLike) -> Any:
        """Decisions: the class of each sample, yes or no for each label, or values.

        Args:
            x: inputs, as for `fit`.

        Returns:
            Integers (n,), booleans (n, labels), or values of the shape of the output, in the library of `x`
            (NumPy for lists).

        Raises:
            TypeError: if `x` is not made of real numbers.
            ValueError: if its shape does not fit, it is empty, it has NaN or an id that does not exist, or a
                prediction is NaN or an infinite value.
        """
        return self._show("linked" if self.task is Task.VALUES else "decided", x)

    def predict_proba(self, x: ArrayLike) -> Any:
        """Probabilities: of each class, or of yes for each label.

        Args:
            x: inputs, as for `fit`.

        Returns:
            Probabilities of the shape of the output, in the library of `x` (NumPy for lists).

        Raises:
            TypeError: if `x` is not made of real numbers, or the network predicts values.
            ValueError: if the shape of `x` does not fit, it is empty, it has NaN or an id that does not
                exist, or a prediction is NaN, as where a layer overflows.
        """
        if self.task is Task.VALUES:
            raise TypeError(
                "predict_proba: the network's loss is for values, which have no probabilities; use predict"
            )
        return self._show("linked", x)

    @activated
    def activations(self, x: ArrayLike) -> dict[str, Any]:
        """What each layer makes of inputs: hidden units, feature maps, and the raw predictions last.

        Args:
            x: inputs, as for `fit`.

        Returns:
            By the place and the kind of a layer its output (n, ...), in the library of `x` (NumPy for lists),
            in the order of the calls. Containers are represented by their members.

        Raises:
            TypeError: if `x` is not made of real numbers.
            ValueError: if its shape does not fit, it is empty, or it has NaN.

        Example:
            >>> from portnn.nn import Linear, relu
            >>> net = Network([Linear(4, 8), [relu, Linear(8, 3)]])
            >>> {name: y.shape for name, y in net.activations([[1.0, 0.0, 0.0, 0.0]]).items()}
            {'0 Linear(4, 8)': (1, 8), '1.0 Activation(relu)': (1, 8), '1.1 Linear(8, 3)': (1, 3)}
        """
        from portnn.network._seeing import outputs_of  # not needed to train

        inputs = bring_inputs(x, self.backend, self.dtype)
        self._check_sample(inputs)
        outputs = outputs_of(self.layer, self.params, self.state, inputs)
        return {name: self._answer(y, x) for name, y in outputs.items()}

    @activated
    def gradients(self, x: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> Tree:
        """The gradient of the loss on data, as a step of training on all of them would see it.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.

        Returns:
            A tree of the structure of `params`, of NumPy arrays. The network stays as it is.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`.

        Example:
            >>> from portnn.nn import Linear
            >>> net = Network([Linear(4, 3)])
            >>> net.gradients([[1.0, 0.0, 0.0, 0.0]], [2])[0]["weight"].shape
            (4, 3)
        """
        from portnn.network._seeing import gradients_of

        data = self._dataset(x, y, sample_weight)
        grads = gradients_of(self.layer, self.loss, self.params, self.state, data, self.seed)
        return tree.map(self.backend.to_numpy, grads)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file: its description as plain data, and its arrays.

        The file holds no code, and SHA-256 of every byte of it. It is written under another name, flushed
        and renamed, so that `path` is never half a file. A file of 100 MB takes about 0.2 s to write and
        0.1 s to read, on a processor with instructions for SHA and without waiting for a slow disk.

        Args:
            path: the file, ``digits.safetensors`` for instance; its folder exists.

        Raises:
            TypeError: if a layer or activation is not portnn's own, since a file must not name code.
            ValueError: if `load` would refuse the file: if a parameter is not finite, or one has another
                name, shape or dtype than the layers make. Changing `params` in place can cause this.
            FileNotFoundError: if the folder does not exist.
            IsADirectoryError: if `path` is a folder.
        """
        from portnn.network._files import write_network  # files are not needed to train

        write_network(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str | Backend = "cpu",
        loss: Callable[..., Array] | None = None,
    ) -> Self:
        """Read a network that `save` wrote, on any backend; every byte of the file is checked.

        Names, shapes and dtypes are compared before memory is taken, so reading takes that of the file.
        Files of format 1, of early versions, have no digests: they load with a warning.

        Args:
            path: the file.
            backend: where the network shall live; it need not be where it was saved.
            loss: the loss, for a network that was saved with one of the user's own.

        Returns:
            The network, with the same predictions.

        Raises:
            FileNotFoundError: if there is no such file.
            CheckpointError: if the file is damaged or not portnn's; the message says what is wrong.
        """
        from portnn.network._files import read_network

        return read_network(cls, path, backend, loss)
