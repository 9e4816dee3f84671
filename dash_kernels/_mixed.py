# SPDX-License-Identifier: BSD-3-Clause
"""The part of ``MixedConv1d``, ``MixedConv2d`` and ``MixedConv3d`` that does not depend on the number of axes."""

import math
import operator
from collections.abc import Sequence
from typing import Any, ClassVar, SupportsFloat, SupportsIndex

import torch
from torch import Tensor, nn

from . import _arguments as check
from . import functional
from .conv import AnyConv
from .dtypes import DTYPES
from .engines import ENGINES, resolve
from .export import candidate_conv, same_padding, summed_conv
from .softmax import Softmax
from .space import Candidate, SearchSpace, shared

MIXTURES = ("gumbel", "softmax")

Choices = Sequence[int | Sequence[int]]


class MixedConvNd(nn.Module):
    """What the three layers share; ``ndim`` is the number of axes that are convolved."""

    ndim: ClassVar[int]
    conv: ClassVar[type[AnyConv]]
    causal: bool = False  #: only ``MixedConv1d`` sets it, before it calls the constructor below

    alpha: nn.Parameter
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_sizes: Choices,
        dilations: Choices,
        stride: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        mixture: str = "gumbel",
        temperature: float = 1.0,
        engine: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels = check.whole("in_channels", in_channels, 1)
        self.out_channels = out_channels = check.whole("out_channels", out_channels, 1)
        self.groups = groups = check.whole("groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups is {groups}: it must divide in_channels={in_channels} and out_channels={out_channels}."
            )
        if padding_mode not in functional.PADDING_MODES:
            raise ValueError(f"padding_mode is {padding_mode!r}: use one of {', '.join(functional.PADDING_MODES)}.")
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in DTYPES:
            raise TypeError(f"dtype is {dtype}: use one of {', '.join(map(str, DTYPES))}.")

        self.space = shared(SearchSpace(kernel_sizes=kernel_sizes, dilations=dilations))
        self.candidates: tuple[Candidate, ...] = self.space.candidates(self.ndim)
        self.stride = check.per_axis("stride", stride, self.ndim)
        check.lattice(
            self.space, self.ndim, self.stride, self.causal, padded=False
        )  # a strided layer cannot have every candidate
        self.padding_mode = padding_mode
        self.mixture = mixture
        self.temperature = temperature
        resolve(engine)  # an unknown name is told here, not in the first forward pass
        self.engine = engine
        self.original_groups = groups  #: what `discretize` gives a fresh convolution; `convert` sets the old layer's

        widest = max(self.candidates, key=_volume)
        self.kernel_size, self.dilation = widest.kernel_size, widest.dilation
        #: what ``nn.ConvNd.padding`` would be; of a causal layer, the padding on the left
        self.padding: str | tuple[int, ...] = widest.reach if self.causal else same_padding(widest)

        self._starts = [0]
        for candidate in self.candidates:
            self._starts.append(self._starts[-1] + candidate.taps)
        factory = {"device": device, "dtype": dtype}
        self.alpha = nn.Parameter(torch.empty(len(self.candidates), **factory))
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, self._starts[-1], **factory))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels, **factory))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @property
    def mixture(self) -> str:
        """``"gumbel"`` (noise in training) or ``"softmax"`` (none); set it at any time."""
        return self._mixture

    @mixture.setter
    def mixture(self, value: str) -> None:
        if value not in MIXTURES:
            raise ValueError(f"mixture is {value!r}: use one of {', '.join(MIXTURES)}.")
        self._mixture = value

    @property
    def temperature(self) -> float:
        """Divides the logits before the softmax; set it at any time, for instance once per epoch, to anneal."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: SupportsFloat) -> None:
        try:
            number = None if isinstance(value, str | bytes | bool) else float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):  # an array of several numbers, None, 10**400
            number = None
        if number is None:
            raise TypeError(f"temperature is {value!r}: give one positive, finite number.")
        if not 0 < number < math.inf:
            raise ValueError(f"temperature is {value}: give one positive, finite number.")
        self._temperature = number

    def reset_parameters(self) -> None:
        """Draws each candidate as ``nn.ConvNd`` of its shape does, the bias as candidate 0's, alpha as 1e-3·N(0, 1)."""
        with torch.no_grad():
            for i in range(len(self.candidates)):
                kernel = self.candidate_weight(i)
                fresh = torch.empty_like(kernel, memory_format=torch.contiguous_format)
                nn.init.kaiming_uniform_(fresh, a=math.sqrt(5))
                kernel.copy_(fresh)
            if self.bias is not None:
                bound = 1 / math.sqrt(self.weight.shape[1] * self.candidates[0].taps)
                nn.init.uniform_(self.bias, -bound, bound)
            nn.init.normal_(self.alpha, std=1e-3)

    def candidate_weight(self, i: SupportsIndex) -> Tensor:
        """The ``(out, in/groups, *kernel_size)`` kernel of candidate ``i``: a view of ``weight``.

        Raises:
            ValueError: There is no candidate ``i``.
        """
        i = self._checked(i)
        candidate = self.candidates[i]
        kernel = self.weight[:, :, self._starts[i] : self._starts[i + 1]]
        return kernel.view(*kernel.shape[:2], *candidate.kernel_size)

    def mixture_weights(self) -> Tensor:
        """``softmax(alpha / temperature)``, ``(len(candidates),)``: the mixture without noise."""
        return Softmax(self.temperature).mixture(self.alpha)

    def winner(self) -> int:
        """The index of the candidate with the largest logit, the first of them on a tie.

        Raises:
            ValueError: A logit is not a number.
        """
        if bool(self.alpha.isnan().any()):
            raise ValueError("alpha contains NaN, so no candidate wins: the search diverged, lower its learning rate.")
        return int(self.alpha.argmax())

    def forward(self, x: Tensor, mixture: Tensor | None = None) -> Tensor:
        """Convolves ``x`` with the mixture of the candidates; shapes and dtypes as the class says.

        Args:
            x: ``(batch, in_channels, *sizes)`` or unbatched ``(in_channels, *sizes)``.
            mixture: ``(len(candidates),)`` weights used as they are, of any sign. By default ``softmax(alpha /
                temperature)``, in training with ``mixture="gumbel"`` under fresh noise.

        Returns:
            ``(batch, out_channels, *ceil(sizes / stride))``, without batch if ``x`` has none.

        Raises:
            TypeError: ``x`` or ``mixture`` is no tensor of real floating point, or dtypes differ outside autocast.
            ValueError: A shape does not fit, devices differ, ``padding_mode="reflect"`` reaches further than the input
                is wide, or the engine that was asked for cannot compute this.
        """
        x = check.tensor("input", x)
        if x.dim() not in (self.ndim + 1, self.ndim + 2) or x.shape[-self.ndim - 1] != self.in_channels:
            raise ValueError(
                f"input has shape {tuple(x.shape)}: {type(self).__name__} takes (batch, {self.in_channels}, *n) or "
                f"({self.in_channels}, *n) with n of {self.ndim} axes."
            )
        softmax = None
        if mixture is None:
            mixture = check.tensor("alpha", self.alpha)
            noisy = self.training and self.mixture == "gumbel"
            softmax = Softmax.drawn(self.temperature, mixture) if noisy else Softmax(self.temperature)
        else:
            mixture = check.tensor("mixture", mixture)
        batched = x.dim() == self.ndim + 2
        y = functional.searched_conv(
            x if batched else x.unsqueeze(0),
            self.weight,
            mixture,
            softmax,
            self.space,
            self.bias,
            self.stride,
            self.groups,
            self.padding_mode,
            self.engine,
            self.causal,
            self.ndim,
        )
        return y if batched else y.squeeze(0)

    def to_conv(self, i: SupportsIndex | None = None, cls: type[AnyConv] | None = None) -> AnyConv:
        """Candidate ``i`` (default: the winner) as an ordinary convolution, the same function as its one-hot mixture.

        Args:
            i: Index into ``candidates``, anything that stands for a whole number: ``layer.alpha.argmax()`` does.
            cls: The class to build, by default ``nn.ConvNd``. ``dk.ConvNd`` computes more: causal layers, circular
                padding further than the input is wide, and many kernels faster.

        Returns:
            A new module with copies of the weights and of the bias, in this layer's device, dtype and mode.

        Raises:
            ValueError: There is no candidate ``i``, or ``cls`` cannot compute it.
            TypeError: ``cls`` is not a convolution class of this dimension.
        """
        return candidate_conv(self, self.winner() if i is None else self._checked(i), cls or self.conv)

    def collapse(self, mixture: Tensor | None = None, cls: type[AnyConv] | None = None) -> AnyConv:
        """The whole mixture as one convolution with the summed kernel, the same function as this layer.

        The kernel reaches as far as the widest candidate; where all taps sit on a grid, the grid becomes its dilation.

        Args:
            mixture: ``(len(candidates),)``; by default ``mixture_weights()``.
            cls: As in :meth:`to_conv`.

        Returns:
            As in :meth:`to_conv`.

        Raises:
            ValueError: As in :meth:`to_conv`, or ``mixture`` has another shape.
            TypeError: As in :meth:`to_conv`, or ``mixture`` is no tensor of real floating point.
        """
        mixture = self.mixture_weights() if mixture is None else check.tensor("mixture", mixture)
        if mixture.shape != self.alpha.shape:
            names = " ".join(map(str, self.candidates))
            raise ValueError(
                f"mixture has shape {tuple(mixture.shape)}, the layer has {len(self.candidates)} candidates: {names}."
            )
        return summed_conv(self, mixture, cls or self.conv)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}", f"candidates=[{' '.join(map(str, self.candidates))}]"]
        parts += [f"stride={self.stride}"]
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode!r}"] if self.padding_mode != "zeros" else []
        parts += ["causal=True"] if self.causal else []
        parts += [f"mixture={self.mixture!r}", f"temperature={self.temperature:g}"]
        engine = self.engine
        if engine == "auto":  # which engines it can choose from is what one wants to see where a fast one is missing
            device = self.weight.device.type
            engine += f" ({', '.join(e.name for e in ENGINES if e.available(device) is None)})"
        return ", ".join([*parts, f"engine={engine}"])

    def _checked(self, i: SupportsIndex) -> int:
        try:
            number = -1 if isinstance(i, bool) else operator.index(i)
        except TypeError:
            number = -1
        if not 0 <= number < len(self.candidates):
            raise ValueError(f"there is no candidate {i!r}: the layer has candidates 0 to {len(self.candidates) - 1}.")
        return number


def _volume(candidate: Candidate) -> int:
    """Pixels in the box that the candidate's taps span."""
    return math.prod(reach + 1 for reach in candidate.reach)
