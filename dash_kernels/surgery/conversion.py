# SPDX-License-Identifier: BSD-3-Clause
"""``convert``: puts a mixed convolution in the place of every convolution of a model that can be searched."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn

from .._mixed import MixedConvNd
from ..conv import AnyConv
from ..layers import MixedConv1d, MixedConv2d, MixedConv3d
from ..space import SearchSpace
from .report import ConvertReport, ConvertRow, described
from .rules import CONVOLUTIONS, PLAIN, is_causal, why_kept
from .tree import all_names, checked_model, exchange

Skip = str | Iterable[str] | Callable[[str, nn.Module], bool]

_MIXED = (MixedConv1d, MixedConv2d, MixedConv3d)


def convert(
    model: nn.Module,
    space: SearchSpace,
    skip: Skip = (),
    depthwise: str = "auto",
    *,
    mixture: str = "gumbel",
    temperature: float = 1.0,
    engine: str = "auto",
) -> ConvertReport:
    """Replaces the convolutions of ``model`` by mixtures of the candidates in ``space``, in place.

    Replaced are modules of exactly the types ``nn.ConvNd`` and ``dash_kernels.ConvNd`` with ceil(n / stride) outputs
    per axis for every size n. Stride, bias values, padding mode, device, dtype, mode, requires_grad and hooks are
    kept; kernels and logits are new. A module used twice becomes one mixed convolution used twice. Kept, each with
    its reason in the report, are 1×1 convolutions, subclasses, parametrised and transposed convolutions, other
    paddings, and what ``skip`` names. On an error the model is unchanged.

    Args:
        model: Any module that contains convolutions. Code that reads a convolution's weight itself is not seen: skip
            it.
        space: What each layer chooses from.
        skip: Names of modules or of parts of the model (``"layer1"``), globs over them (``"*.shortcut.*"``), or a
            function of name and module that is true for what to keep.
        depthwise: ``"auto"``: a layer with as many outputs as inputs, more than one, is searched depthwise, which is
            DASH's rule; :func:`discretize` and :func:`apply_architecture` go back to the layer's own groups.
            ``"never"``: a layer keeps its groups.
        mixture, temperature, engine: Of the new layers, as in :class:`dash_kernels.MixedConv2d`.

    Returns:
        What was replaced, what was not, and why.

    Raises:
        ValueError: ``model`` is itself a convolution, a name or glob in ``skip`` fits no module, ``depthwise`` is
            unknown, or a layer cannot have the candidates (its stride, or another number of axes).
        TypeError: ``model`` is not a module, ``space`` is not a SearchSpace, or ``skip`` is none of the above.

    Source: Shen, Khodak, Talwalkar, "Efficient Architecture Search for Diverse Tasks", 2022, arXiv:2204.07554.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        >>> convert(model, SearchSpace(kernel_sizes=(3, 5), dilations=(1, 3)))
        name  module                         reason
        0     Conv2d(3, 8, 3x3/1)  replaced  4 candidates
        2     Conv2d(8, 8, 1x1/1)  kept      its kernel has one tap
        1 of 2 convolutions replaced
    """
    checked_model(model)
    if not isinstance(space, SearchSpace):
        raise TypeError(f"space is a {type(space).__name__}: give a SearchSpace(kernel_sizes=..., dilations=...).")
    if depthwise not in ("auto", "never"):
        raise ValueError(f"depthwise is {depthwise!r}: use 'auto' or 'never'.")
    if isinstance(model, CONVOLUTIONS):
        raise ValueError(
            f"model is itself a {type(model).__name__}, and modules are exchanged inside a model: "
            f"give nn.Sequential(model)."
        )
    names = all_names(model)
    skipped = _matcher(skip, names)
    users = Counter(id(parameter) for module in names for parameter in module._parameters.values())
    replacements: dict[nn.Module, nn.Module] = {}
    rows = []
    for module, aliases in names.items():
        if not isinstance(module, CONVOLUTIONS):
            continue
        reason = why_kept(module)
        if reason is None and any(skipped(name, module) for name in aliases):
            reason = "skip names it"
        if reason is None and users[id(module.weight)] > 1:
            reason = "it shares its weight with another module"
        replaced = reason is None
        if replaced:
            assert isinstance(module, PLAIN)
            try:
                mixed = _mixed_like(module, space, depthwise, mixture, temperature, engine)
            except ValueError as error:
                raise ValueError(f"{aliases[0]}: {error}") from error
            replacements[module] = mixed
            reason = _news(module, mixed, aliases)
        rows.append(ConvertRow(aliases[0], described(module), replaced, reason or ""))
    exchange(model, replacements)
    return ConvertReport(tuple(rows))


def _matcher(skip: Skip, names: Mapping[nn.Module, list[str]]) -> Callable[[str, nn.Module], bool]:
    if callable(skip):
        return skip
    if not isinstance(skip, Iterable):
        raise TypeError(f"skip is {skip!r}: give names, globs, or one function of name and module.")
    patterns = (skip,) if isinstance(skip, str) else tuple(skip)
    known = {name for aliases in names.values() for name in aliases} - {""}  # the model itself cannot be skipped
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"skip contains {pattern!r}: give names, globs, or one function of name and module.")
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ValueError(f"skip names {pattern!r}, which fits no module of the model: correct it, or leave it out.")

    def matches(name: str, module: nn.Module) -> bool:
        parts = name.split(".")
        prefixes = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return any(fnmatchcase(prefix, pattern) for prefix in prefixes for pattern in patterns)

    return matches


def _mixed_like(
    conv: AnyConv, space: SearchSpace, depthwise: str, mixture: str, temperature: float, engine: str
) -> MixedConvNd:
    channels = conv.in_channels
    groups = channels if depthwise == "auto" and channels == conv.out_channels else conv.groups
    mixed = _MIXED[len(conv.stride) - 1](
        channels,
        conv.out_channels,
        kernel_sizes=space.kernel_sizes,
        dilations=space.dilations,
        stride=conv.stride,
        groups=groups,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        mixture=mixture,
        temperature=temperature,
        engine=engine,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
        **({"causal": True} if is_causal(conv) else {}),
    )
    mixed.original_groups = conv.groups
    mixed.weight.requires_grad_(conv.weight.requires_grad)
    if mixed.bias is not None and conv.bias is not None:
        mixed.bias.requires_grad_(conv.bias.requires_grad)
        with torch.no_grad():
            mixed.bias.copy_(conv.bias)
    return mixed.train(conv.training)


def _news(conv: AnyConv, mixed: MixedConvNd, aliases: list[str]) -> str:
    news = [f"{len(mixed.candidates)} candidates"]
    if mixed.groups != conv.groups:
        news.append(f"depthwise while searching, groups={conv.groups} otherwise")
    if len(aliases) > 1:
        news.append(f"also used as {', '.join(aliases[1:])}")
    return ", ".join(news)
