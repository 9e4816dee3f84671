# SPDX-License-Identifier: BSD-3-Clause
"""The names and arguments other programs rely on. A change here is a change of the public interface."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import dash_kernels as dk

NAMES = {
    "Candidate", "Conv1d", "Conv2d", "Conv3d", "MixedConv1d", "MixedConv2d", "MixedConv3d", "SearchSpace", "TapLattice",
    "apply_architecture", "arch_parameters", "convert", "discretize", "engines", "explain", "functional",
    "predict_time", "use_engine", "weight_parameters",
}  # fmt: skip


def arguments(function: Callable[..., Any]) -> str:
    """Names and defaults, without types."""
    signature = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(inspect.Signature(bare))


SIGNATURES = {
    dk.SearchSpace: "(kernel_sizes, dilations)",
    dk.Candidate: "(kernel_size, dilation)",
    dk.TapLattice.of: "(candidates, causal=False)",
    dk.functional.mixed_conv: (
        "(x, weight, mixture, space, bias=None, stride=1, groups=1, padding_mode='zeros', engine='auto', *, "
        "causal=False, ndim=None)"
    ),
    dk.functional.tap_conv: (
        "(x, taps, offsets, bias=None, stride=1, groups=1, out_size=None, circular=False, engine='auto')"
    ),
    dk.MixedConv1d: (
        "(in_channels, out_channels, *, kernel_sizes, dilations, stride=1, groups=1, bias=True, padding_mode='zeros', "
        "mixture='gumbel', temperature=1.0, engine='auto', causal=False, device=None, dtype=None)"
    ),
    dk.engines: "()",
    dk.use_engine: "(name)",
    dk.explain: "(layer, input_shape, *, measure=False)",
    dk.predict_time: "(layer, input_shape)",
}


def test_names() -> None:
    assert set(dk.__all__) == NAMES
    assert sorted(dk.__all__) == list(dk.__all__)
    assert all(hasattr(dk, name) for name in NAMES)


@pytest.mark.parametrize(("function", "expected"), SIGNATURES.items(), ids=lambda v: getattr(v, "__name__", None))
def test_arguments(function: Callable[..., Any], expected: str) -> None:
    assert arguments(function) == expected


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_documented(name: str) -> None:
    documentation = inspect.getdoc(getattr(dk, name))
    assert documentation and len(documentation) > 20


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", dk.__version__)
