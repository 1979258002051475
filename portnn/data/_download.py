"""Fetching the files of MNIST from public mirrors, through pooch, which only this module imports."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from portnn.data._errors import DownloadError

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# SHA-256 of the packed files as their authors published them.
_CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_BY_HAND = f"Put {', '.join(_CHECKSUMS)} in a folder and call load_mnist(folder)"


def fetch_mnist(prefix: str) -> tuple[Path, Path]:
    """The images and the labels of one split (``"train"`` or ``"t10k"``), from the cache or a mirror."""
    pooch = _import_pooch()
    images, labels = (name for name in _CHECKSUMS if name.startswith(prefix))
    return _fetch_file(pooch, images), _fetch_file(pooch, labels)


def _import_pooch() -> ModuleType:
    """pooch, or an error with both ways out."""
    try:
        import pooch
    except ImportError as error:
        message = f'Downloading MNIST needs pooch: pip install "portnn[data]". Or: {_BY_HAND}'
        raise ImportError(message, name="pooch") from error
    return pooch


def _fetch_file(pooch: ModuleType, name: str) -> Path:
    """One file with the right checksum, from the first mirror that has it."""
    folder = pooch.os_cache("portnn") / "mnist"
    failures: list[Exception] = []
    for mirror in _MIRRORS:
        try:
            return Path(pooch.retrieve(mirror + name, _CHECKSUMS[name], fname=name, path=folder))
        # Errors of requests are OSErrors; pooch raises ValueError for a wrong checksum.
        except (OSError, ValueError) as error:
            failures.append(error)
    reason = type(failures[-1]).__name__
    raise DownloadError(f"MNIST could not be downloaded ({reason}). {_BY_HAND}") from failures[-1]
