# SPDX-License-Identifier: BSD-3-Clause
"""Registers one operator with everything torch needs, and returns the quickest way to call it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from ..reference import per_channel
from ._choice import Fields, engine_for

PLAIN = frozenset((Tensor, torch.nn.Parameter))

DESCRIBE: dict[Any, Callable[..., Fields]] = {}
"""From each operator to the problem its arguments describe."""


def register(
    schema: str,
    describe: Callable[..., Fields],
    fake: Callable[..., Tensor],
    save: Callable[..., None],
    differentiate: Callable[..., tuple[Tensor | None, ...]],
) -> Callable[..., Tensor]:
    """Defines ``dash_kernels::<schema>`` for every device, computed by the engine for the problem that is described.

    Under autocast the operands are computed in float32, since sums over a whole map are too long for the half types.

    Args:
        schema: Two tensors, numbers, perhaps one more tensor or None that is added to the result, a number per channel,
            and the engine's name last.
        describe: From the operator's arguments to the fields of its problem.
        fake: The shape of the result.
        save, differentiate: As in ``torch.library.register_autograd``.

    Returns:
        The operator for Python callers, whose first two arguments are the tensors. On plain tensors it goes past the
        dispatcher, which would convert hundreds of offsets between Python and C++ four times a call, dear for a small
        layer. What it runs is the same either way.
    """
    name, arguments = schema.split("(", 1)
    qualified = f"dash_kernels::{name}"
    added = -2 if "Tensor?" in arguments else None

    def operands(args: tuple[Any, ...]) -> tuple[Tensor, ...]:
        return args[:2] if added is None or args[added] is None else (*args[:2], args[added])

    def implementation(*args: Any) -> Any:
        if _forward_mode() and any(_tangent(operand) is not None for operand in operands(args)):
            raise NotImplementedError(
                f"forward-mode AD is not supported in torch.ops.dash_kernels.{name} as called here, its tangent would "
                f"be lost: call dash_kernels.functional on plain tensors, outside torch.compile and autocast."
            )
        return getattr(engine_for(describe(*args), args[-1]), name)(*args[:-1])

    # Tables are made, and block sizes measured, when a shape is first met: nothing to capture, nor to keep in a graph.
    tags = (torch.Tag.pt2_compliant_tag, torch.Tag.cudagraph_unsafe)
    torch.library.define(qualified, "(" + arguments, tags=tags)
    torch.library.impl(qualified, "default", implementation)
    torch.library.register_fake(qualified, fake)
    torch.library.register_autograd(qualified, differentiate, setup_context=save)
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(qualified, device, torch.float32)
    operator: Any = getattr(torch.ops.dash_kernels, name).default

    DESCRIBE[operator] = describe

    def forward(ctx: Any, *args: Any) -> Any:
        output = implementation(*args)
        setup(ctx, args, output)
        return output

    def setup(ctx: Any, args: tuple[Any, ...], output: Tensor) -> None:
        save(ctx, args, output)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(*args[:2])
            ctx.arguments = args[2:]

    def push(ctx: Any, *tangents: Any) -> Any:
        """The tangent of the result, which is linear in each operand: d(a*b + c) = da*b + a*db + dc."""
        first, second = ctx.saved_tensors
        rest = list(ctx.arguments)
        if added is not None:
            rest[added] = None
        pairs = (tangents[0], second), (first, tangents[1])
        parts = [call(*pair, *rest) for pair in pairs if pair[0] is not None and pair[1] is not None]
        if added is not None and tangents[added] is not None:
            shape = fake(first, second, *rest).shape
            spread = per_channel(tangents[added], len(shape)).expand(shape)
            parts.append(spread.clone(memory_format=torch.contiguous_format))
        return functools.reduce(torch.add, parts)

    def one_by_one(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        """The operator mapped by ``torch.func.vmap``: members may differ in either operand, so each is one call."""
        members = (
            [arg.select(dim, i) if isinstance(dim, int) else arg for arg, dim in zip(args, in_dims, strict=True)]
            for i in range(info.batch_size)
        )
        return torch.stack([call(*member) for member in members]), 0

    members = {"forward": staticmethod(forward), "backward": staticmethod(differentiate), "jvp": staticmethod(push)}
    function: Any = type(name, (torch.autograd.Function,), members)
    members |= {
        "forward": staticmethod(implementation),
        "setup_context": staticmethod(setup),
        "vmap": staticmethod(one_by_one),
    }
    transformed: Any = type(name, (torch.autograd.Function,), members)  # the form torch.func takes; slower to call

    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return operator(*args)
        if torch._C._are_functorch_transforms_active():
            return transformed.apply(*args)
        tensors = operands(args)
        if _needs_dispatcher(*tensors):
            return operator(*args)
        if _forward_mode() or (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
            return function.apply(*args)
        return implementation(*args)

    return call


def eager(*operands: Tensor) -> bool:
    """Whether nothing but plain eager autograd has a say: no tangents, and nobody must see the operators called."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or _forward_mode()
        or _needs_dispatcher(*operands)
    )


def plain(*operands: Tensor) -> bool:
    """Whether besides no graph is wanted, only numbers."""
    return not torch.is_grad_enabled() and eager(*operands)


def _forward_mode() -> bool:
    """Whether operands may carry tangents: forward-mode AD is on."""
    return forward_ad._current_level >= 0 and torch._C._is_fwd_grad_enabled()


def _tangent(operand: Tensor) -> Tensor | None:
    tangent: Tensor | None = forward_ad.unpack_dual(operand).tangent  # type: ignore[no-untyped-call]
    return tangent


def _needs_dispatcher(*operands: Tensor) -> bool:
    """Whether anything but plain eager autograd has a say: modes, subclasses, tracing, autocast."""
    return (
        not PLAIN.issuperset(map(type, operands))
        or operands[0].is_meta
        or is_in_torch_dispatch_mode()
        or _autocasts(operands[0])
        or torch._C._is_tracing()
    )


def _autocasts(operand: Tensor) -> bool:
    """Whether autocast is on for the operand's device; asked without the name of one it is quicker, but knows few."""
    if operand.is_cpu or operand.is_cuda:
        return torch._C._is_any_autocast_enabled()
    return torch.is_autocast_enabled(operand.device.type)
