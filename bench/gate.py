# SPDX-License-Identifier: BSD-3-Clause
"""The correctness gate: nobody is timed who does not compute the function."""

from __future__ import annotations

import os

import torch
from torch import Tensor

import dash_kernels as dk

from .layers import Layer
from .rivals import LayerContestant

BAR = 1e-5  # norm-wise, in float32: far below any wrong tap, far above rounding; the test suite holds the sharp bar


class WrongResult(Exception):
    """A contestant computes something else, or not with compiled kernels."""


def check(layer: Layer, contestant: LayerContestant, *others: LayerContestant) -> None:
    r"""Compares output and every gradient with direct sums in float64, all samples of the batch at once.

    A convolution is linear, so with shares r that add up to 1, all different, and upstream gradients :math:`r_b g`,
    the sums :math:`\sum_b r_b y_b` and :math:`\sum_b \partial x_b`, and the gradients of all parameters, are those of
    the one sample :math:`\sum_b r_b x_b`: direct sums over it check the whole batch.

    Args:
        layer: What is to be computed.
        contestant: With its whole batch.
        others: Rivals with the same parameters and a batch of one: they get the contestant's, and that sample.

    Raises:
        WrongResult: One is further off than :data:`BAR`.
    """
    shares = torch.rand(contestant.batch) + 0.5
    shares /= shares.sum()
    x = contestant.x.detach()
    sample = torch.tensordot(shares, x, 1)[None]
    upstream = torch.randn(1, *contestant.grad.shape[1:])
    exact = truth(layer, sample, dict(contestant.module.named_parameters()), upstream)
    compare(layer, contestant, shares, upstream, exact)
    for other in others:
        other.module.load_state_dict(contestant.module.state_dict())
        other.x = sample.clone().requires_grad_()
        compare(layer, other, torch.ones(1), upstream, exact)


def compare(
    layer: Layer, contestant: LayerContestant, shares: Tensor, upstream: Tensor, exact: dict[str, Tensor]
) -> None:
    """What a contestant computes of its own input, beside ``exact``."""
    x, parameters = contestant.x, dict(contestant.module.named_parameters())
    mixture = torch.softmax(parameters["alpha"], 0) if "alpha" in parameters else None
    y = contestant.compute(x, mixture)
    grads = torch.autograd.grad(y, (x, *parameters.values()), shares.view(-1, *[1] * (x.dim() - 1)) * upstream)
    got = {"output": torch.tensordot(shares, y.detach(), 1), "gradient of input": grads[0].sum(0)}
    got |= {f"gradient of {name}": grad for name, grad in zip(parameters, grads[1:], strict=True)}
    for what, value in got.items():
        error = float((value.double().flatten() - exact[what].flatten()).norm())
        bar = BAR * float(exact[what].norm())
        if not error <= bar:
            raise WrongResult(f"{what} of {contestant.label} is off by {error:.1e}, at most {bar:.1e} is allowed")


def truth(layer: Layer, sample: Tensor, parameters: dict[str, Tensor], upstream: Tensor) -> dict[str, Tensor]:
    """Output and gradients for one sample by direct sums over taps in float64."""
    x = sample.double().flatten(2).unflatten(2, layer.size).requires_grad_()
    exact = {name: value.detach().double().requires_grad_() for name, value in parameters.items()}
    mixture = torch.softmax(exact["alpha"], 0) if "alpha" in exact else torch.ones(1, dtype=torch.float64)
    weight = exact["weight"].flatten(2)
    y = dk.functional.mixed_conv(
        x, weight, mixture, layer.space, exact["bias"], layer.stride, layer.groups, engine="reference"
    )
    grads = torch.autograd.grad(y, (x, *exact.values()), upstream.double().flatten(2).unflatten(2, layer.out_size))
    names = ("gradient of input", *(f"gradient of {name}" for name in exact))
    return {"output": y.detach(), **dict(zip(names, grads, strict=True))}


def check_engine(layer: Layer, contestant: LayerContestant) -> None:
    """Makes sure that compiled kernels compute this layer: a time of the reference would be no news.

    Raises:
        WrongResult: The reference would compute a part of it.
    """
    if os.environ.get("DASH_KERNELS_STRICT") != "1":
        raise WrongResult("set DASH_KERNELS_STRICT=1: a fallback must be an error here")
    report = dk.explain(contestant.module, (contestant.batch, layer.channels[0], *layer.size))
    engines = {row.engine for row in report.rows if row.chosen}
    if not engines or "reference" in engines:
        raise WrongResult(f"it would run on the reference:\n{report}")
