"""JAX: its CPU, GPU and TPU devices."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from portnn._typing import Array, Device, Namespace
from portnn.backend._errors import BackendUnavailableError, load, said


def open_device(device: str) -> tuple[str, Namespace, Device]:
    """A JAX device: "" for JAX's own first one, or a platform and a number, as "cpu", "gpu", "gpu:1"."""
    name = f"jax:{device}" if device else "jax"
    platform, _, number = device.partition(":")
    if number and not (number.isascii() and number.isdigit()):
        known = "a platform and a number, as in 'jax:cpu' or 'jax:gpu:1'"
        raise ValueError(f"backend {name!r}: a JAX device is {known}")
    jax = load("jax", name)
    try:
        found = jax.local_devices(backend=platform or None)
    except RuntimeError as error:
        message = f'JAX said: {said(error)}. For NVIDIA GPUs: pip install "jax[cuda13]" or "jax[cuda12]"'
        raise BackendUnavailableError(name, "device", message) from error
    index = int(number or 0)
    if index >= len(found):
        message = f"JAX finds {len(found)} device(s) of that platform, numbered from 0"
        raise BackendUnavailableError(name, "device", message)
    xp = importlib.import_module("jax.numpy")
    try:
        float((xp.ones(2, dtype=xp.float32, device=found[index]) + 1).sum())
    except RuntimeError as error:
        message = f"the device is there but failed on a two-element sum (JAX said: {said(error)})"
        raise BackendUnavailableError(name, "broken", message) from error
    return _name(found[index]), xp, found[index]


def _name(device: Any) -> str:
    """The CPU is mostly one; other devices are named with their number."""
    peers = device.client.local_devices()
    number = peers.index(device)
    if device.platform == "cpu" and number == 0:
        return "jax:cpu"
    return f"jax:{device.platform}:{number}"


def device_names() -> list[str]:
    """Each device of JAX's default platform, and the CPU."""
    jax = load("jax", "jax")
    try:
        devices = [*jax.local_devices(backend="cpu"), *jax.local_devices()]
    except RuntimeError as error:
        raise BackendUnavailableError("jax", "device", f"JAX said: {said(error)}") from error
    return list(dict.fromkeys(_name(device) for device in devices))


def on_device(x: Array, device: Device) -> bool:
    """Whether the whole array is there; a traced array of JAX's own has no device yet and is anywhere."""
    jax = importlib.import_module("jax")
    return isinstance(x, jax.core.Tracer) or x.devices() == {device}


def name_of(x: Array) -> str:
    """The name of the array's device; an array spread over several has none."""
    jax = importlib.import_module("jax")
    if isinstance(x, jax.core.Tracer):
        return "jax"
    if len(x.devices()) > 1:
        raise ValueError(f"x is a JAX array spread over {len(x.devices())} devices: gather it on one first")
    return _name(next(iter(x.devices())))


def to_host(x: Array) -> Any:
    """A read-only view on the CPU, a copy elsewhere; waits until the array is computed."""
    import numpy as np

    if isinstance(x, importlib.import_module("jax").core.Tracer):
        message = "x is traced by JAX (jax.jit, jax.grad) and has no values yet: keep it on backend 'jax'"
        raise TypeError(message)
    return np.asarray(x)


def from_host(host: Any, device: Device) -> Array:
    """A view on the CPU where alignment allows it, a copy otherwise."""
    jnp = importlib.import_module("jax.numpy")
    return jnp.asarray(host, device=device)


def activate(device: Device) -> AbstractContextManager[object]:
    """Nothing to do: JAX computes where its arrays are."""
    return nullcontext()


def free_bytes(device: Device) -> None:
    """Return None: data are not streamed to this library's devices."""


def synchronize(device: Device) -> None:
    """Wait for every live array of the platform: JAX computes in the background, on the CPU too."""
    jax = importlib.import_module("jax")
    jax.block_until_ready([x for x in jax.live_arrays(device.platform) if device in x.devices()])


def hardware(device: Device) -> str:
    """Return the kind of an accelerator, as JAX names it."""
    return "" if device.platform == "cpu" else str(device.device_kind)
