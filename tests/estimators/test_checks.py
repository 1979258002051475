"""scikit-learn's own checks of estimators; the whole sweep runs with --slow.

Its checks of the Array API need the variable SCIPY_ARRAY_API=1 before SciPy is imported, as the session
``nox -s sklearn`` sets it.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from portnn import estimators

SOME = {
    "check_estimator_cloneable", "check_no_attributes_set_in_init", "check_fit_score_takes_y",
    "check_estimators_overwrite_params", "check_n_features_in_after_fitting", "check_mixin_order",
    "check_estimators_dtypes", "check_complex_data", "check_dtype_object", "check_estimators_nan_inf",
    "check_all_zero_sample_weights_error", "check_fit1d", "check_fit2d_1sample", "check_requires_y_none",
    "check_supervised_y_2d", "check_estimators_pickle", "check_set_params", "check_valid_tag_types",
}  # fmt: skip
# The checks train on what cannot be learned.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def name_of(check):
    return check.func.__name__ if not hasattr(check.func, "func") else name_of(check.func)


@pytest.mark.parametrize("name", estimators.__all__)
def test_some(name):
    # Two epochs, since none of these asks for good predictions.
    found = [
        check
        for _, check in estimator_checks_generator(getattr(estimators, name)())
        if name_of(check) in SOME
    ]
    assert {name_of(check) for check in found} == SOME
    for check in found:
        check(getattr(estimators, name)(max_iter=2))


@pytest.mark.slow
@pytest.mark.parametrize("name", estimators.__all__)
def test_all(name, record_property):
    model = getattr(estimators, name)()
    found = check_estimator(model, expected_failed_checks={}, on_skip=None, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in found if r["status"] == "failed"]
    assert failed == []
    count = Counter(r["status"] for r in found)
    print(f"{name}: {dict(count)}")
    assert count["passed"] > 60
    dispatched = [
        r for r in found if r["check_name"].startswith("check_array_api") and r["status"] == "passed"
    ]
    assert (len(dispatched) >= 5) == (os.environ.get("SCIPY_ARRAY_API") == "1")
