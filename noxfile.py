"""Sessions of portnn: ``nox`` runs what a newcomer wants, ``nox --list`` shows the rest.

Environments are made by uv where it is found, else by virtualenv. PyTorch is the exception: its builds for
the CPU and for CUDA share a version, and only pip finds the one that the machine offers.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests(numpy)", "tests(strict)", "lint", "types"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
TORCH = "torch==2.13.0"
WHEEL_LIMIT = 800_000
SMOKE = ROOT / "tests" / "smoke.py"
COMPARISON = ROOT / "tests" / "conformance"
SUITE = "https://github.com/data-apis/array-api-tests"
SUITE_COMMIT = "55fcc60179efa2680ddd6cd926ddf17b83530e2b"  # of 2026-04-03
STANDARD = "2025.12"  # the suite's default, and what portnn's namespace says of itself
EMULATION = ROOT / "tests" / "cpucuda" / "inject"
# What `-- subset` runs on the emulated GPU, in each mode: at most 6 minutes on two cores.
EMULATED_SUBSET = {
    "immediate": [
        *("tests/cpucuda", "tests/compile/gpu", "tests/network", "tests/table/test_table.py"),
        *("tests/test_indices.py", "--ignore", "tests/compile/gpu/test_captured.py"),
        *("-k", "not proof and not (test_epochs and (hidden or two))"),
    ],
    "late": [
        *("tests/cpucuda", "tests/compile/gpu/test_on_gpu.py", "tests/compile/gpu/test_streams.py"),
        *("tests/compile/gpu/test_memory.py", "tests/train"),
        *("-k", "not (test_epochs and (hidden or two))"),
    ],
}


def group(name: str) -> list[str]:
    """The requirements of a dependency group."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


def quiet_threads() -> dict[str, str]:
    """One BLAS thread: the tests' matrices are too small to share, and timings stay comparable."""
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def pytest(session: nox.Session, *options: str) -> None:
    """Run pytest on all cores with `options`, then what stands after ``--`` on nox's command line."""
    shared = ("--numprocesses", "auto")
    session.run("python", "-m", "pytest", *shared, *options, *session.posargs, env=quiet_threads())


@nox.session
@nox.parametrize("backend", [nox.param(name, id=name) for name in ("numpy", "strict", "jax", "gpu")])
def tests(session: nox.Session, backend: str) -> None:
    """Run the tests on one backend; PORTNN_CUDA=cuda12x or cuda13x chooses CuPy's build."""
    extras = {"jax": "[jax]", "gpu": f"[{os.environ.get('PORTNN_CUDA', 'cuda12x')}]"}
    session.install("-e", f".{extras.get(backend, '')}", *group("test"))
    # "cpu" is NumPy twice: as it is, and with arrays that cannot be written to.
    options = ("--backend", "cpu") if backend == "numpy" else ("--backend", backend, "--own")
    # JAX compiles for each process; the tests of a file share most of what is compiled.
    together = ("--dist", "loadfile") if backend == "jax" else ()
    pytest(session, *together, *options)


@nox.session(name="tests(torch)", venv_backend="virtualenv")
def tests_torch(session: nox.Session) -> None:
    """Run the tests on PyTorch: an exact version, by pip."""
    session.install(TORCH)
    session.install("-e", ".", *group("test"))
    pytest(session, "--backend", "torch", "--own")


@nox.session(name="tests(emulated)", venv_backend="virtualenv")
def tests_emulated(session: nox.Session) -> None:
    """Run the tests on an emulated GPU under the real CuPy, on Linux with g++; ``-- subset`` runs a part.

    First with streams that work immediately, then with streams that work as late as CUDA allows. Finally the
    real NVRTC compiles all kernels that ran.
    """
    check_emulation(session)
    session.install("-e", ".", *group("test"), *group("emulated"))
    # Outside the session's folder, which is deleted with its environment: kernels are compiled once.
    home = (session.cache_dir / "cpucuda").resolve()
    loaded = Path(session.create_tmp()).resolve() / "kernels"
    loaded.unlink(missing_ok=True)
    emulation = {"PYTHONPATH": str(EMULATION), "CPUCUDA_HOME": str(home), "CPUCUDA_LOADED": str(loaded)}
    chosen, subset = list(session.posargs), "subset" in session.posargs
    if subset:
        chosen.remove("subset")
    for lazy, mode in enumerate(EMULATED_SUBSET):
        session.log(f"streams work: {mode}")
        session.env.update(emulation, CPUCUDA_LAZY=str(lazy))
        session.run("python", "-c", "import cupy")  # builds, before pytest's workers start
        folders = EMULATED_SUBSET[mode] if subset else []
        options = ("--numprocesses", "auto", "--dist", "worksteal", "--backend", "gpu", "--own")
        session.run("python", "-m", "pytest", *options, *folders, *chosen, env=quiet_threads())
    if loaded.exists():
        session.run("python", "-m", "cpucuda.nvrtc", f"@{loaded}")


def check_emulation(session: nox.Session) -> None:
    """Fail unless this machine can compile and run the emulated GPU."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        session.error(
            f"tests(emulated): expected Linux on x86-64, got {sys.platform} on {platform.machine()}"
        )
    if shutil.which(os.environ.get("CPUCUDA_CXX", "g++")) is None:
        session.error(
            "tests(emulated): expected g++ 12 or later, but it is not on PATH; install it (apt install g++)"
        )


@nox.session
def tests_minimum(session: nox.Session) -> None:
    """Run the tests on NumPy with the lowest allowed versions of the mandatory dependencies."""
    lowest = [requirement.replace(">=", "==") for requirement in PYPROJECT["project"]["dependencies"]]
    session.install("-e", ".", *lowest, *group("test"))
    pytest(session, "--backend", "cpu")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples as a person would, on a small budget."""
    session.install("-e", ".[plot,progress,examples]")
    tmp = Path(session.create_tmp())
    digits = ("python", "examples/digits.py")
    files = ("--plot", str(tmp / "digits.png"), "--save", str(tmp / "digits.safetensors"))
    session.run(*digits, "--epochs", "1", *files)
    for output in ("softmax", "sigmoid"):
        article = ("--recipe", "article", "--output", output)
        session.run(*digits, *article, "--epochs", "50", "--samples", "6000")
    session.run(*digits, "--recipe", "best", "--epochs", "1", "--samples", "2000")
    session.run("python", "examples/backprop_by_hand.py")
    session.run("python", "examples/custom_loop.py")
    of_digits = ("digits_conv", "multilabel_digits", "generative_digits")
    for name in (*of_digits, "regression_rotation", "deep_big_simple", "seq2seq_pronunciation"):
        session.run("python", f"examples/{name}.py", "--quick", "--plot", str(tmp / f"{name}.png"))


@nox.session
def onnx(session: nox.Session) -> None:
    """Run all tests of the export, among them one in an environment that holds onnxruntime and not portnn."""
    session.install("-e", ".[onnx]", *group("test"))
    pytest(session, "--backend", "cpu", "--slow", "tests/export")


@nox.session(venv_backend="virtualenv")
def sklearn(session: nox.Session) -> None:
    """Hold the estimators to all of scikit-learn's checks, and give them arrays of each library."""
    session.install(TORCH)
    session.install("-e", ".[jax,sklearn]", "rich", *group("test"))
    session.env["SCIPY_ARRAY_API"] = "1"  # without it, scikit-learn refuses to follow arrays
    pytest(session, "--backend", "cpu", "--slow", "tests/estimators")


@nox.session
def browser(session: nox.Session) -> None:
    """Draw digits on the example's page in a browser; Debian: apt install chromium chromium-driver."""
    session.install("-e", ".", *group("test"), *group("browser"))
    environment = {**quiet_threads(), "PORTNN_BROWSER": "required"}
    session.run("python", "-m", "pytest", "tests/browser", *session.posargs, env=environment)


@nox.session
def notebook(session: nox.Session) -> None:
    """Run examples/digits.ipynb from top to bottom in a kernel, and look at a training's bar in one."""
    session.install("-e", ".", *group("test"), *group("notebook"))
    tests = ("tests/examples/test_notebook.py", "tests/train/test_progress.py")
    options = ("--slow", "-W", "default", "-k", "notebook or kernel")
    session.run("python", "-m", "pytest", *tests, *options, *session.posargs, env=quiet_threads())


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, the direction of imports, and spelling."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy, strictly."""
    session.install("-e", ".", *group("types"))
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site strictly into site/; a public name without a place in the reference fails."""
    session.install(*group("docs"))
    options = session.posargs or ["--site-dir", "site"]
    session.run("mkdocs", "build", "--strict", *options, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure lines and branches of portnn on both CPU backends; under 95 % fails."""
    session.install("-e", ".", *group("test"))
    data = {**quiet_threads(), "COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    backends = ("--backend", "cpu", "--backend", "strict")
    session.run("coverage", "run", "-m", "pytest", *backends, *session.posargs, env=data)
    session.run("coverage", "report", env=data)


@nox.session
def mutants(session: nox.Session) -> None:
    """Plant small mistakes and look whether a test fails; ``-- --seed 20 --count 200`` are the defaults."""
    session.install("-e", ".", *group("test"))
    cache = str(Path(session.create_tmp()).resolve() / "map")
    session.run("python", "-m", "tests.mutants", "--cache", cache, *session.posargs, env=quiet_threads())


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the sdist, look inside, and try the wheel in an environment of its own."""
    session.install(*group("build"))
    tmp = Path(session.create_tmp()).resolve()
    for old in (tmp / "dist").glob("*"):
        old.unlink()
    session.run("python", "-m", "build", "--outdir", str(tmp / "dist"))
    files = sorted((tmp / "dist").iterdir())
    session.run("twine", "check", "--strict", *map(str, files))
    [wheel] = [file for file in files if file.suffix == ".whl"]
    check_wheel(session, wheel)
    session.run("python", "-m", "venv", "--clear", str(tmp / "clean"))
    python = tmp / "clean" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    session.run(str(python), "-m", "pip", "install", str(wheel), external=True)
    session.chdir(tmp)
    session.run(str(python), "-I", str(SMOKE), version(wheel), external=True)


def version(wheel: Path) -> str:
    """The version in a wheel's name."""
    return wheel.name.split("-")[1]


def check_wheel(session: nox.Session, wheel: Path) -> None:
    """Fail unless `wheel` is small, runs everywhere, and holds the package alone."""
    size = wheel.stat().st_size
    session.log(f"{wheel.name}: {size} bytes")
    if not wheel.name.endswith("-py3-none-any.whl"):
        session.error(f"expected a py3-none-any wheel, got {wheel.name}")
    if size >= WHEEL_LIMIT:
        session.error(f"expected a wheel under {WHEEL_LIMIT} bytes, got {size}")
    names = zipfile.ZipFile(wheel).namelist()
    strays = [
        name for name in names if not name.startswith(("portnn/", f"portnn-{version(wheel)}.dist-info/"))
    ]
    strays += [
        name for name in names if name.startswith("portnn/") and not name.endswith((".py", ".md", "py.typed"))
    ]
    if strays or "portnn/py.typed" not in names:
        session.error(f"expected the package's code and py.typed alone, got also {strays[:5]}")


@nox.session
def cli(session: nox.Session) -> None:
    """Try the command line of a built wheel: with its extra alone, then all of it with what it may use."""
    session.install(*(requirement for requirement in group("build") if requirement.startswith("build")))
    tmp = Path(session.create_tmp()).resolve()
    for old in (tmp / "dist").glob("*"):
        old.unlink()
    session.run("python", "-m", "build", "--wheel", "--outdir", str(tmp / "dist"))
    [wheel] = (tmp / "dist").iterdir()
    session.install("--force-reinstall", f"portnn[cli] @ {wheel.as_uri()}")
    session.chdir(tmp)
    table, net = str(ROOT / "tests" / "cli" / "flowers.csv"), "flowers.safetensors"
    session.run("portnn", "train", table, "--epochs", "60", "--lr", "0.02", "--output", net)
    for command in ("predict", "evaluate"):
        session.run("portnn", command, net, table)
    session.run("portnn", "summary", net)
    session.run("portnn", "compare", net, "--dtypes", "float32,float64", "--gradient")
    session.run("portnn", "bench", net, "--seconds", "0.2")
    session.run("portnn", "info")
    session.run("portnn", "completion", "bash", silent=True)
    session.run("portnn", "export", net, "flowers.onnx", success_codes=[1])  # needs an extra, and says so
    session.install(
        f"portnn[cli,image,onnx,parquet,plot] @ {wheel.as_uri()}",
        "array-api-strict",
        "hypothesis",
        "onnxruntime",
        "pytest",
    )
    # Not the tests' own configuration, which would find the package in this folder before the installed one.
    alone = ("-c", os.devnull, "--rootdir", str(tmp), "--confcutdir", str(ROOT / "tests" / "cli"))
    options = ("--import-mode", "importlib", "-q", "-p", "no:cacheprovider", "-o", "markers=slow", *alone)
    tests = (str(ROOT / "tests" / "cli"), str(ROOT / "tests" / "data" / "test_read_table.py"))
    environment = {**quiet_threads(), "PORTNN_INSTALLED": "1"}
    session.run("python", "-m", "pytest", *options, *tests, *session.posargs, env=environment)


@nox.session(venv_backend="virtualenv")
def bench(session: nox.Session) -> None:
    """Measure portnn beside its peers, ten minutes; what stands after ``--`` are the benchmark's options."""
    session.install(TORCH)
    session.install("-e", ".", *group("bench"))
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session(venv_backend="virtualenv")
def peers(session: nox.Session) -> None:
    """Hold portnn to the test data that PyTorch, ONNX and scikit-learn ship, and count the cases."""
    session.install(TORCH)
    session.install("-e", ".", *group("peers"))
    options = ("-W", "default", "--dist", "worksteal", "tests/peers")
    pytest(session, *options)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz readers of files and the command line, ``-- 60`` seconds each, with atheris if it installs."""
    session.install("-e", ".[cli,onnx]", *group("fuzz"))
    # atheris has no wheel for some systems and Pythons; the summary says which engine ran.
    session.install(*group("atheris"), success_codes=[0, 1, 2])
    findings = Path(session.create_tmp()).resolve() / "findings"
    session.run("python", "-m", "tests.fuzz", "--findings", str(findings), *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Hold portnn to array-api-tests: ARRAY_API_TESTS_DIR names the suite's folder, else it is cloned."""
    session.install("-e", ".", *group("conformance"))
    tmp = Path(session.create_tmp()).resolve()
    suite = find_suite(session, tmp)
    pairs = []
    # NumPy's own functions differ from the standard here and there; portnn wraps what array-api-compat mends.
    for name, module in (("numpy", "array_api_compat.numpy"), ("array_api_strict", "array_api_strict")):
        reference, wrapped = tmp / f"{name}-reference.xml", tmp / f"{name}-portnn.xml"
        run_suite(session, suite, module, reference)
        # No single quote inside: the suite takes what stands between exec(' and ').
        code = f"import portnn, {name}; xp = portnn.differentiable({name})"
        run_suite(session, suite, f"exec('{code}')", wrapped)
        pairs.append(f"{reference}={wrapped}")
    session.run("python", str(COMPARISON / "compare.py"), *pairs)


def find_suite(session: nox.Session, tmp: Path) -> Path:
    """The folder of array-api-tests: the one that is named, else a clone of the commit that is pinned."""
    if "ARRAY_API_TESTS_DIR" in os.environ:
        suite = Path(os.environ["ARRAY_API_TESTS_DIR"]).resolve()
    else:
        suite = tmp / "array-api-tests"
        git = ("git", "-C", str(suite))
        if not suite.exists():
            session.run("git", "clone", "--no-checkout", SUITE, str(suite), external=True)
        session.run(*git, "checkout", "--detach", SUITE_COMMIT, external=True)
        session.run(*git, "submodule", "update", "--init", external=True)
    if not (suite / "array_api_tests").is_dir():
        session.error(f"expected the folder of array-api-tests with its package inside, got {suite}")
    return suite


def run_suite(session: nox.Session, suite: Path, module: str, report: Path) -> None:
    """Run the suite in its folder; failing tests are left to the comparison, a broken run is not."""
    report.unlink(missing_ok=True)
    options = ["--max-examples", "10", "--derandomize", "--disable-deadline", "-p", "seeded"]
    options += [
        "-p",
        "no:cacheprovider",
        "-q",
        "--tb",
        "line",
        "--disable-warnings",
        "--junit-xml",
        str(report),
    ]
    environment = {
        **quiet_threads(),
        "ARRAY_API_TESTS_MODULE": module,
        "ARRAY_API_TESTS_VERSION": STANDARD,
        "HYPOTHESIS_STORAGE_DIRECTORY": str(report.parent / "hypothesis"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(COMPARISON),
    }
    with session.chdir(suite):
        run = ("python", "-m", "pytest", "array_api_tests", *options, *session.posargs)
        session.run(*run, env=environment, success_codes=[0, 1])
