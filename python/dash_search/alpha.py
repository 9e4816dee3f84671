# SPDX-License-Identifier: BSD-3-Clause
"""DASH's rule for the gradient of the mixture logits."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

import dash_kernels as dk

MixedConv = dk.MixedConv1d | dk.MixedConv2d | dk.MixedConv3d
_TINY = 1e-8


def mixed_layers(model: nn.Module) -> dict[str, MixedConv]:
    """The mixed convolutions of a supernet by module name, in the order of registration, shared ones once."""
    return {name: module for name, module in model.named_modules() if isinstance(module, MixedConv)}


def kernel_extents(candidates: Sequence[dk.Candidate]) -> list[float]:
    """Extent d(k-1)+1 of each candidate in pixels, averaged over the axes."""
    return [1 + sum(candidate.reach) / len(candidate.reach) for candidate in candidates]


class AlphaRule:
    r"""Rewrites the logits' gradients in place, layer by layer:

    .. math:: g \leftarrow \frac{g}{s\,(\lVert g\rVert + 10^{-8})} + \lambda f

    with s = ``grad_scale``, :math:`\lambda` = ``size_penalty`` and f the extents of the candidates in pixels. So the
    task pulls with the strength 1/s in every layer, and larger kernels have to be worth their size. Logits without a
    gradient are left alone.

    Args:
        layers: The mixed convolutions, on the device on which they are trained.
        grad_scale: s.
        size_penalty: :math:`\lambda`, per pixel.

    Source: the code of DASH (arXiv:2204.07554), where f of dense tasks is ten times the kernel size whatever the
    dilation; here it is the extent in all tasks.
    """

    def __init__(self, layers: Iterable[MixedConv], grad_scale: float, size_penalty: float) -> None:
        self._grad_scale = grad_scale
        self._penalties = [
            (layer.alpha, layer.alpha.detach().new_tensor(kernel_extents(layer.candidates)) * size_penalty)
            for layer in layers
        ]

    @torch.no_grad()
    def __call__(self) -> None:
        """Applies the rule to the gradients that are there now."""
        for alpha, penalty in self._penalties:
            gradient: Tensor | None = alpha.grad
            if gradient is not None:
                gradient.div_(self._grad_scale * (gradient.norm() + _TINY)).add_(penalty)
