# SPDX-License-Identifier: BSD-3-Clause
"""The compiled operators of a whole mixed convolution, called by themselves with what does not fit."""

from __future__ import annotations

import pytest
import torch

from dash_kernels import _load

if _load.LOAD.error is not None:
    pytest.skip(_load.LOAD.error, allow_module_level=True)

GRAD, X, TAPS, INDEX = torch.ones(2, 3, 6), torch.ones(2, 4, 6), torch.ones(3, 4, 2), torch.tensor([0, 1, 1])
FORWARD: dict[str, object] = dict(
    x=X, weight=torch.ones(3, 4, 3), mixture=torch.ones(2), index=INDEX, counts=[1, 2], offsets=torch.tensor([0, 1]),
    out_size=[6], stride=[1], length=[8], groups=1, circular=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(x=X[:0]), "batch is empty"),
        (dict(x=X[:, :3]), "shapes"),
        (dict(weight=torch.ones(3, 4)), "shapes"),
        (dict(weight=torch.ones(3, 4, 2)), "index has 3 entries"),
        (dict(mixture=torch.ones(3)), "one entry per candidate"),
        (dict(mixture=torch.ones(2).double()), "one dtype"),
        (dict(weight=torch.ones(3, 4, 3).double()), "one dtype"),
        (dict(index=torch.tensor([0, 1, 2])), "outside the lattice"),
        (dict(index=torch.tensor([0, 1])), "index has 2 entries"),
        (dict(counts=[1, 1]), "counts sum to 2"),
        (dict(counts=[4, -1]), "negative"),
        (dict(length=[4]), "shorter than the map"),
        (dict(bias=torch.ones(2)), "bias"),
    ],
)
def test_the_compiled_mixed_convolution_refuses_bad_input(change: dict[str, object], message: str) -> None:
    y, taps = torch.ops.dash_kernels.fourier_mixed_conv(**FORWARD)
    assert y.shape == GRAD.shape and torch.equal(taps, torch.tensor([1.0, 2.0]).expand(3, 4, 2))
    with pytest.raises((RuntimeError, ValueError), match=message):
        torch.ops.dash_kernels.fourier_mixed_conv(**(FORWARD | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(grad=GRAD[:1]), "shapes"),
        (dict(grad=GRAD[:0], x=X[:0]), "batch is empty"),
        (dict(grad=GRAD[:, :2]), "shapes"),
        (dict(taps=TAPS[..., :1]), "expected 1 offsets"),
        (dict(weight=torch.ones(3, 3, 3)), "same channels"),
        (dict(weight=torch.ones(3, 4, 4)), "index has 3 entries"),
        (dict(mixture=torch.ones(3)), "one entry per candidate"),
        (dict(x=X.double()), "one dtype"),
        (dict(weight=torch.ones(3, 4, 3).double()), "one dtype"),
    ],
)
def test_the_compiled_gradients_refuse_bad_input(change: dict[str, object], message: str) -> None:
    call = {name: value for name, value in FORWARD.items() if name != "out_size"} | dict(grad=GRAD, taps=TAPS)
    of_x, of_weight, of_mixture, of_bias = torch.ops.dash_kernels.fourier_mixed_conv_grads(**call)
    assert (of_x.shape, of_weight.shape, of_mixture.shape, of_bias.shape) == (X.shape, (3, 4, 3), (2,), (3,))
    with pytest.raises((RuntimeError, ValueError), match=message):
        torch.ops.dash_kernels.fourier_mixed_conv_grads(**(call | change))
