# SPDX-License-Identifier: BSD-3-Clause
"""From the logits of a search to the mixture of its candidates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .dtypes import cast, widened


class Softmax(NamedTuple):
    """``softmax((logits - log(noise)) / temperature)``; noise that is exponentially distributed makes it Gumbel's.

    Attributes:
        temperature: Positive.
        noise: Of the logits' shape, in single precision at least; None for none.

    Source: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, arXiv:1611.01144.
    """

    temperature: float
    noise: Tensor | None = None

    @classmethod
    def drawn(cls, temperature: float, logits: Tensor) -> Softmax:
        """With fresh noise from torch's generator for the logits' device."""
        return cls(temperature, torch.empty_like(widened(logits), requires_grad=False).exponential_())

    def mixture(self, logits: Tensor) -> Tensor:
        """Of the logits' shape and dtype."""
        scores = widened(logits)
        if self.noise is not None:
            # a variate of exactly 0 would make the noise infinite
            scores = scores - self.noise.clamp_min(torch.finfo(self.noise.dtype).tiny).log()
        if self.temperature != 1:
            scores = scores / self.temperature
        return cast(torch.softmax(scores, dim=0), logits.dtype)

    def logits_grad(self, grad: Tensor, mixture: Tensor) -> Tensor:
        """The gradient of the logits from that of the mixture."""
        return mixture * (grad - (grad * mixture).sum()) / self.temperature
