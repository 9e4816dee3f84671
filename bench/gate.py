# SPDX-License-Identifier: BSD-3-Clause
"""The correctness gate: nobody is timed who does not compute the function."""

from __future__ import annotations

import os

import torch
from torch import Tensor

import dash_kernels as dk

from .entries import Entry
from .rivals import MIXED_CONV, MIXTURES, Contestant

BATCH = 1
BAR = 1e-5  # norm-wise, in float32: far below any wrong tap, far above rounding; the test suite holds the sharp bar


def check(entry: Entry) -> None:
    """Compares output and every gradient of all contestants with direct sums in float64, on a batch of one.

    Raises:
        AssertionError: A contestant computes something else, or the compiled engine is not the one that runs.
    """
    check_engine(entry)
    for name in (MIXED_CONV, *(rival for rival in MIXTURES if entry.batch_of(rival))):
        contestant = Contestant(name, entry, BATCH)
        contestant.grad.normal_()
        got, exact = run(contestant, torch.float32), truth(contestant)
        for what, value in got.items():
            error = (value.double() - exact[what]).norm() / exact[what].norm()
            assert error <= BAR, f"{entry.name}: {what} of {name} is off by {error:.1e}, at most {BAR:.0e} is allowed"


def check_engine(entry: Entry) -> None:
    """Asserts that compiled kernels compute this layer: a time of the reference would be no news."""
    assert os.environ.get("DASH_KERNELS_STRICT") == "1", "set DASH_KERNELS_STRICT=1: a fallback must be an error here"
    contestant = Contestant(MIXED_CONV, entry, BATCH)
    report = dk.explain(contestant.layer, (entry.batch, entry.channels[0], *entry.size))
    engines = {row.engine for row in report.rows if row.chosen}
    assert engines and "reference" not in engines, f"{entry.name} would run on the reference:\n{report}"


def run(contestant: Contestant, dtype: torch.dtype) -> dict[str, Tensor]:
    layer = contestant.layer
    mixture = torch.softmax(layer.alpha, 0)
    y = contestant.compute(mixture)
    inputs = {"input": contestant.x, "alpha": layer.alpha, "weight": layer.weight, "bias": layer.bias}
    grads = torch.autograd.grad(y, tuple(inputs.values()), contestant.grad)
    return {"output": y.detach()} | {f"gradient of {name}": g for name, g in zip(inputs, grads, strict=True)}


def truth(contestant: Contestant) -> dict[str, Tensor]:
    """The same by direct sums over taps in float64."""
    layer = contestant.layer
    x, alpha, weight, bias = (
        t.detach().double().requires_grad_() for t in (contestant.x, layer.alpha, layer.weight, layer.bias)
    )
    y = dk.functional.mixed_conv(
        x, weight, torch.softmax(alpha, 0), layer.space, bias, layer.stride, layer.groups, engine="reference"
    )
    grads = torch.autograd.grad(y, (x, alpha, weight, bias), contestant.grad.double())
    names = ("input", "alpha", "weight", "bias")
    return {"output": y.detach()} | {f"gradient of {name}": g for name, g in zip(names, grads, strict=True)}
