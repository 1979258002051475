"""Parity of embeddings and recurrent layers; lengths by PyTorch's packed sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from portnn import nn
from tests.parity.frame import cases, compare, torch


@cases(2)
def test_embedding(rng):
    n, features = rng.integers(1, 300, 2).tolist()
    padding = int(rng.integers(n)) if rng.integers(2) else None
    symbols = rng.integers(0, n, (4, 3))
    compare(nn.Embedding(n, features, padding), torch.nn.Embedding(n, features, padding), symbols)


@cases(1)
def test_embedding_of_many_symbols(rng):
    symbols = rng.integers(0, 9, (4, 3)) * 100
    compare(nn.Embedding(900, 2, 0), torch.nn.Embedding(900, 2, 0), symbols)


def packed(lengths: Any) -> Any:
    """PyTorch's outputs and state, in portnn's order, from sequences of some lengths."""

    def call(module: Any, x: Any, *initial: Any) -> Any:
        parts = tuple(initial) if len(initial) > 1 else initial[0] if initial else None
        utils = torch.nn.utils.rnn
        if lengths is None:
            y, state = module(x, parts)
        else:
            data = utils.pack_padded_sequence(
                x, torch.asarray(lengths), batch_first=True, enforce_sorted=False
            )
            y, state = module(data, parts)
            y = utils.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]
        return y, tuple(zip(*state, strict=True)) if isinstance(state, tuple) else tuple(state)

    return call


def kinds(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """A recurrent layer and its module, by name, and the options that only one kind has."""
    name = ("RNN", "GRU", "LSTM")[rng.integers(3)]
    mine: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    if name == "RNN" and rng.integers(2):
        mine, theirs = {"activation": nn.relu}, {"nonlinearity": "relu"}
    return getattr(nn, name), getattr(torch.nn, name), mine, theirs


@cases(12)
def test_recurrent(rng):
    cls, module, mine, theirs = kinds(rng)
    n, time, features, hidden, layers = rng.integers(1, 5, 5).tolist()
    both, bias = rng.integers(0, 2, 2).astype(bool).tolist()
    lengths = rng.integers(1, time + 1, n) if rng.integers(2) else None
    compare(
        cls(features, hidden, num_layers=layers, bidirectional=both, bias=bias, returns="both", **mine),
        module(features, hidden, layers, bias=bias, bidirectional=both, batch_first=True, **theirs),
        rng.normal(size=(n, time, features)),
        options={} if lengths is None else {"lengths": lengths},
        call=packed(lengths),
    )


def attend(mask: Any, real: Any, causal: bool) -> Any:
    """PyTorch's attention with portnn's masks, True for what is allowed; outputs and weights of each head."""

    def call(module: Any, x: Any, memory: Any = None) -> Any:
        memory = x if memory is None else memory
        blocked = None if mask is None else ~torch.asarray(mask)
        if causal:
            past = torch.ones(x.shape[1], memory.shape[1], dtype=torch.bool).tril()
            blocked = ~past if blocked is None else blocked | ~past
        padding = None if real is None else ~torch.asarray(real)
        options = {"attn_mask": blocked, "key_padding_mask": padding, "average_attn_weights": False}
        return module(x, memory, memory, need_weights=True, **options)

    return call


@cases(8)
def test_multi_head_attention(rng):
    n, m, k, heads, size = rng.integers(1, 5, 5).tolist()
    features, width = heads * size, int(rng.integers(1, 5))
    bias, cross, causal, masked, padded = rng.integers(0, 2, 5).astype(bool).tolist()
    x = rng.normal(size=(n, m, features))
    inputs = (x, rng.normal(size=(n, k, width))) if cross else (x,)
    k = k if cross else m
    mask, real = rng.uniform(size=(m, k)) < 0.7, rng.uniform(size=(n, k)) < 0.8
    mask[:, 0] = real[:, 0] = True  # PyTorch gives NaN where nothing may be attended
    options: dict[str, Any] = {"causal": causal, "weights": True}
    options |= {"mask": mask} if masked else {}
    options |= {"key_mask": real} if padded else {}
    widths = {"kdim": width, "vdim": width} if cross else {}
    compare(
        nn.MultiHeadAttention(features, heads, memory_features=width if cross else None, bias=bias),
        torch.nn.MultiheadAttention(features, heads, bias=bias, batch_first=True, **widths),
        *inputs,
        options=options,
        call=attend(options.get("mask"), options.get("key_mask"), causal),
    )


def blocks(rng: np.random.Generator) -> tuple[tuple[int, int, int], dict[str, Any], dict[str, Any]]:
    """Sizes and options of a transformer's layers, here and there."""
    heads, size, hidden = rng.integers(1, 4, 3).tolist()
    first, bias, gelu = rng.integers(0, 2, 3).astype(bool).tolist()
    mine = {"norm_first": first, "bias": bias, "activation": nn.gelu if gelu else nn.relu}
    theirs = {"norm_first": first, "bias": bias, "activation": "gelu" if gelu else "relu"}
    sizes = (heads * (size + 1), heads, hidden)
    return sizes, mine, {"dropout": 0.0, "batch_first": True, "dim_feedforward": hidden, **theirs}


@cases(4)
def test_transformer_encoder(rng):
    sizes, mine, theirs = blocks(rng)
    n, time, layers = rng.integers(1, 4, 3).tolist()
    x, real = rng.normal(size=(n, time, sizes[0])), rng.uniform(size=(n, time)) < 0.7
    real[:, 0] = True
    module = torch.nn.TransformerEncoderLayer(*sizes[:2], **theirs)

    def call(module: Any, x: Any) -> Any:
        return module(x, src_key_padding_mask=~torch.asarray(real))

    layer = nn.TransformerEncoderLayer(*sizes, **mine)
    options: dict[str, Any] = {"options": {"key_mask": real}, "call": call}
    compare(layer, module, x, **options)
    stack = torch.nn.TransformerEncoder(
        module, layers, norm=torch.nn.LayerNorm(sizes[0], bias=mine["bias"]), enable_nested_tensor=False
    )
    compare(nn.TransformerEncoder(layer, layers, True), stack, x, **options)


@cases(4)
def test_transformer_decoder(rng):
    sizes, mine, theirs = blocks(rng)
    n, time, length, layers = rng.integers(1, 4, 4).tolist()
    x, memory = (rng.normal(size=(n, t, sizes[0])) for t in (time, length))
    real = rng.uniform(size=(n, length)) < 0.7
    real[:, 0] = True

    def call(module: Any, x: Any, memory: Any) -> Any:
        past = torch.ones(time, time, dtype=torch.bool).tril()
        return module(x, memory, tgt_mask=~past, memory_key_padding_mask=~torch.asarray(real))

    layer = nn.TransformerDecoderLayer(*sizes, **mine)
    module = torch.nn.TransformerDecoderLayer(*sizes[:2], **theirs)
    options: dict[str, Any] = {"options": {"memory_mask": real}, "call": call}
    compare(layer, module, x, memory, **options)
    stack = torch.nn.TransformerDecoder(module, layers)
    compare(nn.TransformerDecoder(layer, layers, False), stack, x, memory, **options)
