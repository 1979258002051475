"""Trees: laws that hold for any nesting, and what does not match."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portnn import tree


class Pair(NamedTuple):
    left: object
    right: object


def containers(children):
    keys = st.text("abc", min_size=1, max_size=3)
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.dictionaries(keys, children, max_size=3),
        st.dictionaries(keys, children, max_size=3).map(OrderedDict),
        st.builds(Pair, children, children),
    )


LEAVES = st.one_of(st.integers(), st.floats(allow_nan=False), st.none())
TREES = st.recursive(LEAVES, containers, max_leaves=12)


def double(x):
    return x * 2


@given(TREES)
def test_flatten_and_unflatten_are_inverse(t):
    leaves, shape = tree.flatten(t)
    again = tree.unflatten(shape, leaves)
    assert again == t
    assert repr(again) == repr(t)  # types of containers as well
    assert tree.structure(again) == shape


@given(TREES)
def test_map_of_the_identity_is_the_tree(t):
    assert tree.map(lambda x: x, t) == t
    assert tree.structure(tree.map(double, t)) == tree.structure(t)


@given(TREES)
def test_map_of_a_composition_is_the_composition_of_maps(t):
    assert tree.map(lambda x: double(double(x)), t) == tree.map(double, tree.map(double, t))


@given(TREES)
def test_leaves_are_in_the_order_of_map_and_items(t):
    met = []
    tree.map(met.append, t)
    assert tree.leaves(t) == met == [leaf for _, leaf in tree.items(t)]
    assert tree.leaves(tree.map(double, t)) == [double(x) for x in met]


@given(TREES)
def test_paths_are_unique_and_lead_to_their_leaves(t):
    pairs = list(tree.items(t))
    assert len({path for path, _ in pairs}) == len(pairs)
    for path, leaf in pairs:
        here = t
        for key in path.split(".") if path else []:
            here = here[key] if isinstance(here, dict) else here[int(key)]
        assert here is leaf


@given(TREES)
def test_map_of_several_trees(t):
    assert tree.map(lambda a, b, c: (a, b, c)[1], t, tree.map(double, t), t) == tree.map(double, t)


@given(TREES, TREES)
def test_trees_of_different_structure_are_never_mapped(a, b):
    if repr(tree.structure(a)) == repr(tree.structure(b)):
        assert tree.leaves(tree.map(lambda x, y: (x, y)[1], a, b)) == tree.leaves(b)
    elif tree.structure(a) != tree.structure(b):
        with pytest.raises(ValueError, match=r"^trees differ at .*: expected .*, got .*") as caught:
            tree.map(lambda x, _: x, a, b)
        assert len(str(caught.value)) < 300


@given(TREES)
def test_a_wrong_number_of_values_is_refused(t):
    leaves, shape = tree.flatten(t)
    with pytest.raises(ValueError, match=f"has {len(leaves)} leaves, got {len(leaves) + 1} values"):
        tree.unflatten(shape, [*leaves, 0])
    if leaves:
        with pytest.raises(ValueError, match=f"has {len(leaves)} leaves, got {len(leaves) - 1} values"):
            tree.unflatten(shape, leaves[1:])


def test_keys_match_in_any_order():
    assert tree.map(lambda a, b: a - b, {"a": 5, "b": 7}, {"b": 1, "a": 2}) == {"a": 3, "b": 6}


def test_types_of_containers_are_kept():
    t = OrderedDict(a=Pair(1, (2, [3])), b=None)
    found = tree.map(double, t)
    assert type(found) is OrderedDict
    assert type(found["a"]) is Pair
    assert found == {"a": Pair(2, (4, [6])), "b": None}


def test_a_leaf_is_a_tree():
    assert tree.flatten(5)[0] == [5]
    assert tree.unflatten(tree.structure(5), [6]) == 6
    assert list(tree.items(5)) == [("", 5)]
    assert tree.leaves(None) == tree.leaves({}) == tree.leaves([()]) == []


DIFFERENT = {
    "key": ({"a": 1}, {"b": 1}, r"at the root: expected .* keys \['a'\], got a dict with keys \['b'\]"),
    "length": ({"a": [1, 2]}, {"a": [1]}, "at a: expected a list of 2, got a list of 1"),
    "kind": ({"a": [(1,)]}, {"a": [[1]]}, r"at a\.0: expected a tuple of 1, got a list of 1"),
    "leaf": ([1], [[1]], "at 0: expected a leaf of type int, got a list of 1"),
    "container": ([[1]], [1], "at 0: expected a list of 1, got a leaf of type int"),
    "none": ([None], [1], "at 0: expected None, got a leaf of type int"),
    "nothing": ([1], [None], "at 0: expected a leaf of type int, got None"),
    "named": (Pair(1, 2), (1, 2), "expected a Pair of 2, got a tuple of 2"),
}  # fmt: skip


@pytest.mark.parametrize(("a", "b", "text"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_the_place_of_a_difference_is_named(a, b, text):
    with pytest.raises(ValueError, match=text):
        tree.map(lambda *_: None, a, b)
    with pytest.raises(ValueError, match=text):
        tree.map(lambda *_: None, a, a, b)


def test_an_error_of_the_function_is_its_own():
    def fail(_):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        tree.map(fail, [1])
    with pytest.raises(ValueError, match=r"^mine$"):
        tree.map(lambda a, b: fail(a), [1], [2])


def test_an_exhausted_iterator_in_the_function_is_not_swallowed():
    with pytest.raises((StopIteration, RuntimeError)):
        tree.map(lambda _: next(iter([])), {"a": 1})
