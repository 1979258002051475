"""Arrays from NumPy's files, and pictures as arrays."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, shown
from portnn.ops._options import check_flag

__all__ = ["read_arrays", "read_image"]

_MOST_PIXELS = 1 << 25  # a picture file of a few bytes can claim any number of pixels


def read_arrays(file: PathLike) -> dict[str, NDArray[Any]]:
    """Read the arrays of a ``.npy`` or ``.npz`` file; objects, which would be code, are refused.

    Args:
        file: path of the file.

    Returns:
        The arrays by name; that of a ``.npy`` file, which has none, under "".

    Raises:
        DataError: the file is damaged, of another kind, or holds objects.
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(folder + "/a.npz", x=np.ones(2))
        ...     read_arrays(folder + "/a.npz")["x"].tolist()
        [1.0, 1.0]
    """
    path = as_path(file, "file")
    if not path.is_file():
        raise _not_a_file(path)
    try:
        with path.open("rb") as stream:  # np.load leaves a damaged file open
            _check_beginning(stream)
            found: Any = np.load(stream, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            with found:
                return {name: _array_of(found, name) for name in found.files}
    except Exception as error:  # noqa: BLE001  # damaged bytes lead zipfile and NumPy's parser to any of them
        raise DataError(f"{shown(path)}: no whole file of NumPy arrays: {str(error)[:120]}") from None


def _array_of(archive: Any, name: str) -> NDArray[Any]:
    """Return a member of an archive; NumPy reads members that are not arrays as bytes."""
    array = archive[name]
    if not isinstance(array, np.ndarray):
        raise ValueError(f"its member {name[:60]!r} is not an array")  # noqa: TRY004  # an error of the file
    return array


def _not_a_file(path: Path) -> OSError:
    """Return the error for a path that is not a regular file; a pipe has no random access."""
    if path.is_dir():
        return FileNotFoundError(f"{shown(path)}: is a folder")
    if path.exists():
        return OSError(f"{shown(path)}: is a pipe or a device, expected a file")
    return FileNotFoundError(f"{shown(path)}: no such file")


def _check_beginning(stream: IO[bytes]) -> None:
    """Refuse what is neither format: NumPy would take it for a pickle, and say how to open that."""
    if stream.read(4) not in (b"\x93NUM", b"PK\x03\x04", b"PK\x05\x06"):
        raise ValueError("it begins neither as .npy nor as .npz")
    stream.seek(0)


def read_image(file: PathLike, shape: tuple[int, ...], *, invert: bool = False) -> NDArray[np.uint8]:
    """Read a picture and bring it to the shape that a network expects, by Pillow.

    Args:
        file: path of the file: PNG, JPEG or whatever else Pillow reads.
        shape: (height, width) for shades of grey; (1, height, width) or (3, height, width) for grey or
            colours.
        invert: whether to exchange dark and light: a network that learned light digits on dark ground reads
            ink on paper so.

    Returns:
        The pixels, uint8, of that shape.

    Raises:
        DataError: the file is not a picture, has more than 2²⁵ (about 33 million) pixels, or such of 32 bits,
            whose black and white nothing tells.
        FileNotFoundError: there is no such file.
        ImportError: Pillow is not installed.
        ValueError: the shape is none of pictures.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (56, 56), "white").save(folder + "/a.png")
        ...     int(read_image(folder + "/a.png", (28, 28)).min())
        255
    """
    check_flag("read_image", "invert", invert)
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ImportError('reading pictures needs Pillow: pip install "portnn[image]"') from None
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise ValueError(f"a picture has the shape (height, width) or (channels, height, width), not {shape}")
    if min(shape) < 1 or shape[-1] * shape[-2] > _MOST_PIXELS:
        raise ValueError(f"a picture has 1 to {_MOST_PIXELS:,} pixels, got the shape {shape}")
    path = Path(as_path(file, "file"))
    if not path.is_file():
        raise _not_a_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the check below allows less
            opened = Image.open(path)
        with opened:
            _check_size(path, opened.width, opened.height)
            turned = _of_8_bits(path, ImageOps.exif_transpose(opened), str(opened.format))
            picture = _on_paper(turned)
            picture = picture.convert("RGB" if len(shape) == 3 and shape[0] == 3 else "L")
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{shown(path)}: not a picture: {str(error)[:120]}") from None
    if invert:
        picture = ImageOps.invert(picture)
    pixels = np.asarray(picture.resize((shape[-1], shape[-2]), Image.Resampling.LANCZOS), dtype=np.uint8)
    return np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels.reshape(shape)


def _check_size(path: Path, width: int, height: int) -> None:
    """Raise a DataError for a picture of too many pixels, before it is decoded."""
    if width * height > _MOST_PIXELS:
        raise DataError(
            f"{shown(path)}: has {width} x {height} pixels, at most {_MOST_PIXELS:,} are read; "
            "make the picture smaller"
        )


def _of_8_bits(path: Path, picture: Any, kind: str) -> Any:
    """Shades of 16 bits as those of 8: Pillow would make everything above 255 white."""
    from PIL import Image

    if picture.mode.startswith("I;16") or (picture.mode == "I" and kind == "PNG"):
        shades = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((shades * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise DataError(
            f"{shown(path)}: its pixels have 32 bits, and nothing says which are black and white; "
            "convert it to 8 or 16 bits"
        )
    return picture


def _on_paper(picture: Any) -> Any:
    """What is transparent becomes white, and not the black that lies below by chance."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
