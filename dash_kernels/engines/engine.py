# SPDX-License-Identifier: BSD-3-Clause
"""The interface of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from .. import reference
from ..formats import in_format_of
from ..softmax import Softmax
from .problem import MixProblem, Problem


class Engine(ABC):
    """One way to compute the six operators.

    The operator methods take exactly the operator's arguments without ``engine``, are called only with problems that
    :meth:`can_run` accepted, take tensors of any strides and numbers as tuple or list, and return a new tensor that is
    no view: maps in the memory format of their first operand (:mod:`dash_kernels.formats`), all else contiguous.
    """

    name: str

    @abstractmethod
    def available(self, device_type: str | None = None) -> str | None:
        """None if the engine works here (on devices of that type), else one sentence why not."""

    @abstractmethod
    def can_run(self, problem: Problem | MixProblem) -> str | None:
        """None if it computes this problem, else one sentence why not. Called only where it is available."""

    def predict(self, problem: Problem | MixProblem) -> float | None:
        """Seconds it is expected to take on one thread, or None without a cost model. Called only where it can run."""
        return None

    @abstractmethod
    def tap_conv(
        self,
        x: Tensor,
        taps: Tensor,
        offsets: Sequence[int],
        out_size: Sequence[int],
        stride: Sequence[int],
        groups: int,
        circular: bool,
        bias: Tensor | None = None,
    ) -> Tensor:
        """See :func:`dash_kernels.reference.tap_conv`."""

    @abstractmethod
    def tap_conv_input_grad(
        self,
        grad: Tensor,
        taps: Tensor,
        offsets: Sequence[int],
        input_size: Sequence[int],
        stride: Sequence[int],
        groups: int,
        circular: bool,
    ) -> Tensor:
        """See :func:`dash_kernels.reference.tap_conv_input_grad`."""

    @abstractmethod
    def tap_conv_weight_grad(
        self, grad: Tensor, x: Tensor, offsets: Sequence[int], stride: Sequence[int], groups: int, circular: bool
    ) -> Tensor:
        """See :func:`dash_kernels.reference.tap_conv_weight_grad`."""

    def tap_conv_weight_bias_grad(
        self, grad: Tensor, x: Tensor, offsets: Sequence[int], stride: Sequence[int], groups: int, circular: bool
    ) -> tuple[Tensor, Tensor]:
        """:meth:`tap_conv_weight_grad` and :func:`dash_kernels.reference.bias_grad`, for engines that are faster."""
        return self.tap_conv_weight_grad(grad, x, offsets, stride, groups, circular), reference.bias_grad(grad)

    def tap_conv_grads(
        self,
        grad: Tensor,
        taps: Tensor,
        x: Tensor,
        offsets: Sequence[int],
        stride: Sequence[int],
        groups: int,
        circular: bool,
        bias: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradients of x, of the taps and, if asked for, of a bias, for engines that are faster at all together.

        That of x comes in the memory format of x.
        """
        of_x = in_format_of(x, self.tap_conv_input_grad(grad, taps, offsets, x.shape[2:], stride, groups, circular))
        rest = (grad, x, offsets, stride, groups, circular)
        return of_x, *(self.tap_conv_weight_bias_grad(*rest) if bias else (self.tap_conv_weight_grad(*rest), None))

    @abstractmethod
    def mix_taps(
        self, weight: Tensor, mixture: Tensor, index: Sequence[int], counts: Sequence[int], lattice_size: int
    ) -> Tensor:
        """See :func:`dash_kernels.reference.mix_taps`."""

    @abstractmethod
    def gather_taps(self, grad: Tensor, mixture: Tensor, index: Sequence[int], counts: Sequence[int]) -> Tensor:
        """See :func:`dash_kernels.reference.gather_taps`."""

    @abstractmethod
    def mixture_grad(self, grad: Tensor, weight: Tensor, index: Sequence[int], counts: Sequence[int]) -> Tensor:
        """See :func:`dash_kernels.reference.mixture_grad`."""

    def mixture(self, logits: Tensor, softmax: Softmax) -> Tensor:
        """:meth:`dash_kernels.softmax.Softmax.mixture` of logits (candidates,), for engines that are faster."""
        return softmax.mixture(logits)

    def logits_grad(self, grad: Tensor, mixture: Tensor, softmax: Softmax) -> Tensor:
        """:meth:`dash_kernels.softmax.Softmax.logits_grad`, all (candidates,), for engines that are faster."""
        return softmax.logits_grad(grad, mixture)

    def mix_grads(
        self, grad: Tensor, weight: Tensor, mixture: Tensor, index: Sequence[int], counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """:meth:`gather_taps` and :meth:`mixture_grad`, for engines that are faster at both together."""
        return self.gather_taps(grad, mixture, index, counts), self.mixture_grad(grad, weight, index, counts)

    def mixed_conv(
        self,
        x: Tensor,
        weight: Tensor,
        mixture: Tensor,
        index: Sequence[int],
        counts: Sequence[int],
        offsets: Sequence[int],
        out_size: Sequence[int],
        stride: Sequence[int],
        groups: int,
        circular: bool,
        bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`tap_conv` with mixed taps, and these taps, for engines that are faster at both together."""
        taps = self.mix_taps(weight, mixture, index, counts, len(offsets) // len(stride))
        return self.tap_conv(x, taps, offsets, out_size, stride, groups, circular, bias), taps

    def mixed_conv_grads(
        self,
        grad: Tensor,
        taps: Tensor,
        x: Tensor,
        weight: Tensor,
        mixture: Tensor,
        index: Sequence[int],
        counts: Sequence[int],
        offsets: Sequence[int],
        stride: Sequence[int],
        groups: int,
        circular: bool,
        bias: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The gradients of x, weight, mixture and, if asked for, of a bias: :meth:`tap_conv_grads`, :meth:`mix_grads`.

        That of x comes in the memory format of x.
        """
        of_x, of_taps, of_bias = self.tap_conv_grads(grad, taps, x, offsets, stride, groups, circular, bias)
        return of_x, *self.mix_grads(of_taps, weight, mixture, index, counts), of_bias
