"""What is imported late behaves as if it had been imported."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from portnn.backend import get_backend


def run(code: str) -> str:
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


START = "import sys; import portnn; xp = portnn.get_backend('cpu').xp; import numpy; "
FIT = "portnn.Network([portnn.Linear(3, 2)]).fit(numpy.ones((4, 3)), [0, 1, 0, 1], progress=False); "


def test_parts_of_numpy_that_nobody_uses_are_not_imported() -> None:
    inside = "'numpy.testing._private.utils', 'numpy.ma.core', 'numpy.f2py.crackfortran'"
    assert run(START + FIT + f"print([name for name in ({inside}) if name in sys.modules])") == "[]"


@pytest.mark.parametrize(
    "use",
    [
        "numpy.testing.assert_allclose(1.0, 1.0)",
        "from numpy.testing import assert_array_equal",
        "import numpy.testing._private.utils",
        "import numpy.ma as ma; assert ma.masked_array([1, 2], [True, False]).sum() == 2",
        "assert xp.ma is numpy.ma and xp.ma.MaskedArray is numpy.ma.core.MaskedArray",
        "assert numpy.f2py.get_include()",
        "import pickle; assert pickle.loads(pickle.dumps(numpy.ma.array([1.0])))[0] == 1.0",
    ],
)
def test_they_are_there_when_they_are_used(use: str) -> None:
    assert run(START + use + "; print('used')") == "used"


def test_what_was_imported_before_stays() -> None:
    assert run("import numpy.testing as before; " + START + "print(before is numpy.testing)") == "True"


def test_arrays_are_taken_while_another_thread_imports_masked_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "ma", ModuleType("numpy.ma"))
    monkeypatch.setitem(sys.modules, "numpy.ma.core", ModuleType("numpy.ma.core"))
    assert get_backend("numpy").asarray(np.ones(2)).shape == (2,)
