"""The stand-ins for cuSOLVER and cuFFT, and cuBLAS's batched LU, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("cpucuda", reason="needs the emulated GPU: nox -s 'tests(emulated)'")
cp = pytest.importorskip("cupy", reason="CuPy is not installed")

KINDS = ["float32", "float64", "complex64", "complex128"]
SHAPES = [
    (5, 5),
    (3, 5, 5),
    (2, 40, 40),
]  # one, a stack that Jacobi's method takes, a stack that is too large for it


def drawn(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype.startswith("c") else 0)
    return x.astype(dtype)


def positive(shape, dtype):
    x = drawn(shape, dtype)
    return x @ adjoint(x) + np.eye(shape[-1], dtype=dtype)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def assert_near(got, expected):
    """Equal but for the roundings of the element type."""
    got = got.get() if isinstance(got, cp.ndarray) else got
    scale = np.max(np.abs(expected))
    rtol = 2e-3 if expected.dtype.name in ("float32", "complex64") else 1e-9
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", KINDS)
def test_solving(dtype, shape):
    a, b = drawn(shape, dtype), drawn(shape, dtype, 1)
    assert_near(cp.linalg.inv(cp.asarray(a)), np.linalg.inv(a))
    assert_near(cp.linalg.solve(cp.asarray(a), cp.asarray(b)), np.linalg.solve(a, b))
    assert_near(cp.linalg.det(cp.asarray(a)), np.linalg.det(a))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", KINDS)
def test_cholesky_and_eigenvalues(dtype, shape):
    a = positive(shape, dtype)
    assert_near(cp.linalg.cholesky(cp.asarray(a)), np.linalg.cholesky(a))
    assert_near(cp.linalg.eigvalsh(cp.asarray(a)), np.linalg.eigvalsh(a))
    values, vectors = (x.get() for x in cp.linalg.eigh(cp.asarray(a), UPLO="U"))
    assert_near(vectors * values[..., None, :] @ adjoint(vectors), a)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 5, 3), (2, 3, 5), (2, 40, 35), (2, 35, 40)])
@pytest.mark.parametrize("dtype", KINDS)
def test_orthogonal_factors(dtype, shape):
    a, k = drawn(shape, dtype), min(shape[-2:])
    for mode in ("reduced", "complete"):
        q, r = (x.get() for x in cp.linalg.qr(cp.asarray(a), mode=mode))
        assert_near(q @ r, a)
        assert_near(
            adjoint(q) @ q,
            np.broadcast_to(np.eye(q.shape[-1], dtype=dtype), (*shape[:-2], *q.shape[-1:] * 2)),
        )
    for full in (False, True):
        u, s, v = (x.get() for x in cp.linalg.svd(cp.asarray(a), full_matrices=full))
        assert_near(u[..., :k] * s[..., None, :] @ v[..., :k, :], a)
        assert [x.shape for x in (u, v)] == [np.linalg.svd(a, full_matrices=full)[i].shape for i in (0, 2)]
    assert_near(cp.linalg.svd(cp.asarray(a), compute_uv=False), np.linalg.svd(a, compute_uv=False))
    assert_near(cp.linalg.pinv(cp.asarray(a)), np.linalg.pinv(a))


def test_a_singular_matrix_is_reported():
    from cupyx import errstate

    with errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
        cp.linalg.inv(cp.zeros((3, 3)))


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("n", [1, 4, 7, 12, 30])
def test_transforms_of_a_line(n, axis, dtype):
    a = drawn((7, 3, 5), dtype)
    names = ["fft", "ifft", "irfft", "hfft"] + ([] if dtype.startswith("c") else ["rfft", "ihfft"])
    for name in names:
        assert_near(
            getattr(cp.fft, name)(cp.asarray(a), n=n, axis=axis), getattr(np.fft, name)(a, n=n, axis=axis)
        )


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("axes", [None, (0, 2), (2, 1), (1,)])
def test_transforms_of_several_axes(axes, dtype):
    a = drawn((4, 3, 5), dtype)
    names = ["fftn", "ifftn", "irfftn"] + ([] if dtype.startswith("c") else ["rfftn"])
    for name in names:
        assert_near(getattr(cp.fft, name)(cp.asarray(a), axes=axes), getattr(np.fft, name)(a, axes=axes))
