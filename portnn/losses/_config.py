"""Convert losses to plain data for files, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from portnn._typing import Array
from portnn.losses._loss import Loss

__all__ = ["loss_config", "loss_from_config"]


def loss_config(loss: Callable[..., Array]) -> dict[str, Any] | None:
    """Return a loss of portnn as plain data; None for a user-defined one, which a file cannot name.

    Args:
        loss: a loss, or a `functools.partial` of one that binds numbers or text.

    Example:
        >>> from functools import partial
        >>> from portnn.losses import huber
        >>> loss_config(partial(huber, delta=2.0))
        {'name': 'huber', 'options': {'delta': 2.0}}
    """
    options: dict[str, Any] = {}
    inner: Any = loss
    while isinstance(inner, partial):
        options, inner = {**inner.keywords, **options}, inner.func
    name = getattr(inner, "__name__", "")
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in options.values())
    if _named(name) is not inner or inner is None or not plain:
        return None
    return {"name": name, "options": options}


def loss_from_config(data: Mapping[str, Any]) -> Callable[..., Array]:
    """Return the loss of a config.

    Args:
        data: what `loss_config` returned, or plain data from a file.

    Raises:
        ValueError: if the data are not the config of a loss of portnn.

    Example:
        >>> loss_from_config({"name": "huber", "options": {}}).__name__
        'huber'
    """
    name, options = data.get("name"), data.get("options")
    if not isinstance(name, str) or not isinstance(options, dict):
        wrong = "options" if isinstance(name, str) else "name"
        text = f"the description lacks a valid {wrong!r}; the file is damaged or not portnn's"
        raise ValueError(text)  # noqa: TRY004 - a file has values, not types
    loss = _named(name)
    if loss is None:
        raise ValueError(f"{name[:60]!r} is not a loss of this version of portnn")
    if odd := sorted(data.keys() - {"name", "options"}):
        raise ValueError(f"the loss {name} has the unknown field {odd[0][:60]!r}")
    if any(isinstance(value, dict | list) for value in options.values()):
        raise ValueError(f"the loss {name} has an option that is neither number nor text")
    if odd := sorted(options.keys() - signature(loss).parameters.keys()):
        raise ValueError(f"the loss {name} has no option {odd[0][:60]!r}")
    return partial(loss, **options) if options else loss


def _named(name: str) -> Any:
    """Return the loss with a name; None if there is none."""
    package = import_module("portnn.losses")
    found = getattr(package, name) if name in package.__all__ else None
    return found if isinstance(found, Loss) else None
