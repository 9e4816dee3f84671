# SPDX-License-Identifier: BSD-3-Clause
"""``Conv1d``, ``Conv2d`` and ``Conv3d``: torch's layers, computed by torch or by the engines, whichever is faster."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.experimental import symbolic_shapes

from . import _arguments as check
from . import functional
from .dtypes import DTYPES, HALF
from .engines import Convolution, Weighing, resolve, weigh

AnyConv = nn.Conv1d | nn.Conv2d | nn.Conv3d

NOMINAL = 64
"""Taken for a size that nothing is known of."""

# Of a size that is a symbol in a graph, the value it has while the graph is made; adds no guard. torch renamed it.
_HINT = "optimization_hint" if hasattr(symbolic_shapes, "optimization_hint") else "size_hint"
_hint: Callable[[Any, int], int] = getattr(symbolic_shapes, _HINT)


# torch.compile must not trace the search through engines and their plans
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _engine_is_faster(*fields: Any) -> bool:
    """Whether an engine is expected to be faster than torch; takes what :func:`_weighed` takes."""
    return _weighed(*fields).engine_is_faster


def _weighed(*fields: Any) -> Weighing:
    """torch beside the engines, from all fields of a ``Convolution`` but the first."""
    return weigh(Convolution(torch.get_num_threads() > 1, *fields))


class EngineConv(nn.modules.conv._ConvNd):
    """The part of the three layers that decides who computes; torch's class stands behind it in the order of bases."""

    engine: str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str = "auto",
    ) -> None:
        resolve(engine)  # an unknown name is told here, not in the first forward pass
        build: Any = super().__init__  # of nn.ConvNd, which has fewer arguments than its base has for a type checker
        build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.engine = engine
        # torch takes the integers of other libraries as they are, the engines take Python's
        self.groups = operator.index(self.groups)
        for name in ("kernel_size", "stride", "dilation", *(() if isinstance(self.padding, str) else ("padding",))):
            setattr(self, name, tuple(map(operator.index, getattr(self, name))))
        self._reversed_padding_repeated_twice = list(map(operator.index, self._reversed_padding_repeated_twice))

    def extra_repr(self) -> str:
        described: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return described if self.engine == "auto" else f"{described}, engine={self.engine}"

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"input is a {type(input).__name__}: give a tensor.")
        ndim = len(self.kernel_size)
        before, after = self._padding()
        if input.dim() not in (ndim + 1, ndim + 2) or not self._wants_engine(input):
            return self._torch_forward(input, weight, bias, before == after)
        self._check(input, weight, bias)
        mode = self.padding_mode
        if mode in ("reflect", "replicate"):
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=mode)
            before = after = (0,) * ndim
        spans = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        padded = [n + a + b for n, a, b in zip(input.shape[-ndim:], before, after, strict=True)]
        if any(n < span for n, span in zip(padded, spans, strict=True)):
            raise ValueError(f"input has {tuple(padded)} pixels with its padding: the kernel spans {tuple(spans)}.")
        axes = [range(-b, span - b, d) for b, span, d in zip(before, spans, self.dilation, strict=True)]
        return functional.tap_conv(
            input,
            weight.flatten(2),
            tuple(itertools.product(*axes)),
            bias,
            self.stride,
            self.groups,
            tuple((n - span) // step + 1 for n, span, step in zip(padded, spans, self.stride, strict=True)),
            mode == "circular",
            self.engine,
        )

    def _wants_engine(self, input: Tensor) -> bool:
        if input.dtype not in DTYPES:
            return False
        return self._engine_asked(input.shape) or _engine_is_faster(
            *self._fields(input.shape, input.dtype, input.device.type)
        )

    def _engine_asked(self, shape: Sequence[int]) -> bool:
        """Whether torch has no part in an input of this shape."""
        # a compiled graph looks for the engine in force when it runs, so here only the layer's own wish counts
        if self.engine != "auto" or (not torch.compiler.is_compiling() and resolve("auto") != "auto"):
            return True
        before, after = self._padding()
        sizes = shape[-len(before) :]
        return self.padding_mode == "circular" and any(  # torch wraps around once at most
            max(b, a) > n for b, a, n in zip(before, after, sizes, strict=True)
        )

    def _padding(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Pixels before and after the input, per axis."""
        pads = self._reversed_padding_repeated_twice[::-1]
        return tuple(pads[1::2]), tuple(pads[0::2])

    def _weighing(self, shape: Sequence[int], dtype: torch.dtype, device: str) -> Weighing | None:
        """torch beside the engines for such an input, or None where nothing is weighed."""
        if dtype not in DTYPES or self._engine_asked(shape):
            return None
        return _weighed(*self._fields(shape, dtype, device))

    def _fields(self, shape: Sequence[int], dtype: torch.dtype, device: str) -> tuple[Any, ...]:
        """Of the ``Convolution`` that is weighed against torch for such an input."""
        ndim = len(self.kernel_size)
        batch = _hint(shape[0], NOMINAL) if len(shape) > ndim + 1 else 1
        size = tuple(_hint(n, NOMINAL) for n in shape[-ndim:])
        before, after = self._padding()
        if self.padding_mode in ("reflect", "replicate"):
            size = tuple(n + b + a for n, b, a in zip(size, before, after, strict=True))
            before = after = (0,) * ndim
        return (
            device,
            torch.float32 if dtype in HALF else dtype,  # what an engine computes them in
            batch,
            self.in_channels,
            self.out_channels,
            self.groups,
            size,
            self.kernel_size,
            self.dilation,
            self.stride,
            before,
            after,
            self.padding_mode == "circular",
        )

    def _check(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        """Refuses in terms of this layer what ``tap_conv`` would refuse in terms of taps."""
        channels = input.shape[-len(self.kernel_size) - 1]
        if channels != self.in_channels:
            raise ValueError(
                f"input has {channels} channels (its shape is {tuple(input.shape)}): this {type(self).__name__} takes "
                f"{self.in_channels}."
            )
        check.same_device(input, weight=weight, bias=bias)
        kind = input.device.type
        autocast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        if not autocast or (input.dtype == torch.float64) != (weight.dtype == torch.float64):  # the others are cast
            check.same_dtype(input, weight=weight, bias=bias)

    def _torch_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None, symmetric: bool) -> Tensor:
        if symmetric or self.padding_mode != "zeros":
            return super()._conv_forward(input, weight, bias)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(self.kernel_size) - 1]
        input = F.pad(input, self._reversed_padding_repeated_twice)
        return convolve(input, weight, bias, self.stride, 0, self.dilation, self.groups)


class Conv1d(EngineConv, nn.Conv1d):
    """``nn.Conv1d``, same arguments, attributes and state_dict, computed by torch or the fastest engine.

    :class:`Conv2d` tells when. In addition:

    Args:
        causal: Pad by d(k-1) before the input and by nothing after it, so that no output sees a later input;
            ``padding`` must be left at 0.

    Raises:
        ValueError: ``causal`` with a ``padding``; else as :class:`Conv2d`.

    Note:
        What :class:`Conv2d` says of rounding and of NaN holds for the whole sequence: with engine "fourier",
        ``causal=True`` is causal up to the rounding of the largest later values.

    Example:
        >>> Conv1d(4, 8, 19, dilation=15, causal=True)(torch.randn(2, 4, 100)).shape
        torch.Size([2, 8, 100])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str = "auto",
        causal: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            engine=engine,
        )
        self.causal = causal
        if causal:
            if self.padding != (0,):
                raise ValueError(f"padding is {padding!r} and causal=True sets the padding itself: leave it at 0.")
            self._reversed_padding_repeated_twice = [self.dilation[0] * (self.kernel_size[0] - 1), 0]

    def extra_repr(self) -> str:
        return super().extra_repr() + (", causal=True" if self.causal else "")


class Conv2d(EngineConv, nn.Conv2d):
    """``nn.Conv2d``, same arguments, attributes and state_dict, computed by torch or the fastest engine.

    An engine computes when one was asked for, by ``engine`` or :class:`dash_kernels.use_engine`; when circular
    padding is wider than the input, which torch refuses; and when a cost model expects engines to be faster than
    torch's own convolution, forward and both gradients together, for an input of this shape. Everything else is torch's
    own convolution. The decision is the same with and without gradients, is made once per layer and shape, and does not
    look at the memory format; a graph made by ``torch.compile`` keeps that of the shape it was made with.
    :func:`dash_kernels.explain` shows it, ``python -m dash_kernels.calibrate`` fits the model to this machine.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype:
            As in ``nn.Conv2d``.
        engine: ``"auto"`` or a name of :func:`dash_kernels.engines`.

    Shape:
        As in ``nn.Conv2d``. What an engine computes from float16, bfloat16 or under autocast, it computes in float32;
        under autocast it also returns float32.

    Raises:
        ValueError: What ``nn.Conv2d`` refuses, or ``engine`` is unknown. In the forward pass, where an engine computes:
            the input's channels or device are not the layer's, or the kernel is wider than the padded input.
        TypeError: In the forward pass: the input is no tensor, or where an engine computes, not of the layer's dtype.

    Note:
        With engine "fourier" rounding is relative to the norm of the whole map, not to each pixel: beside very large
        values small ones lose digits, and one NaN or infinity spreads over its map. That engine transforms two samples
        of a batch as one: what is said of a map holds for both. torch's own convolution keeps all of that to the
        kernel's extent; ``engine="direct"`` and ``"reference"`` do too.

    Example:
        >>> conv = Conv2d(3, 8, 9, padding=60, dilation=15)
        >>> conv(torch.randn(2, 3, 40, 40)).shape
        torch.Size([2, 8, 40, 40])
    """


class Conv3d(EngineConv, nn.Conv3d):
    """``nn.Conv3d``, same arguments, attributes and state_dict, beside :class:`Conv1d` and :class:`Conv2d`.

    Of the compiled engines "direct" alone computes 3-d, so NaN and rounding stay within the kernel's extent whoever
    computes.
    """
