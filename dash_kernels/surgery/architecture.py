# SPDX-License-Identifier: BSD-3-Clause
"""What a search decides: reading it off a converted model, and building it into a fresh one."""

from collections.abc import Mapping, Sequence

from torch import nn

from .. import _arguments as check
from .._mixed import MixedConvNd
from ..conv import AnyConv, Conv1d, Conv2d, Conv3d
from ..export import same_conv
from .rules import PLAIN, is_causal, why_fixed
from .tree import checked_model, exchange

Architecture = dict[str, dict[str, list[int]]]
"""``{module name: {"kernel_size": [one per axis], "dilation": [one per axis]}}``, ready for JSON."""

_CONVS: tuple[type[AnyConv], ...] = (Conv1d, Conv2d, Conv3d)


def arch_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The logits ``alpha`` of every mixed convolution in ``model``, in the order of ``named_modules``, each once.

    Raises:
        TypeError: ``model`` is not a module.
    """
    return [module.alpha for module in checked_model(model).modules() if isinstance(module, MixedConvNd)]


def weight_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter of ``model`` but :func:`arch_parameters`, in the order of ``parameters()``, each once.

    Raises:
        TypeError: ``model`` is not a module.
    """
    logits = set(arch_parameters(model))
    return [parameter for parameter in model.parameters() if parameter not in logits]


def discretize(model: nn.Module, weights: str = "keep") -> Architecture:
    """Puts the winning candidate, a ``dash_kernels.ConvNd``, in the place of every mixed convolution of ``model``.

    Args:
        model: A model that :func:`convert` changed, or that contains mixed convolutions by design.
        weights: ``"keep"``: the winner with its weights and their requires_grad, the same function as the one-hot
            mixture; what was searched depthwise stays depthwise. ``"fresh"``: the winner's kernel size and dilation
            with the groups that the layer had before :func:`convert`, newly initialised as torch does and trainable,
            also where the layer was frozen: what DASH trains again.

    Returns:
        The architecture: ``{module name: {"kernel_size": [...], "dilation": [...]}}``, empty if nothing was mixed; of
        a module used several times the first name.

    Raises:
        ValueError: ``weights`` is unknown, ``model`` is itself a mixed convolution, or a layer's logits contain NaN.
        TypeError: ``model`` is not a module.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> _ = convert(model, SearchSpace(kernel_sizes=(3, 5), dilations=(1, 3)))
        >>> model[0].alpha.data[3] = 1.0
        >>> discretize(model, weights="fresh")
        {'0': {'kernel_size': [5, 5], 'dilation': [3, 3]}}
    """
    if weights not in ("keep", "fresh"):
        raise ValueError(f"weights is {weights!r}: use 'keep' or 'fresh'.")
    if isinstance(checked_model(model), MixedConvNd):
        raise ValueError(
            f"model is itself a {type(model).__name__}, and modules are exchanged inside a model: use its to_conv()."
        )
    architecture: Architecture = {}
    replacements: dict[nn.Module, nn.Module] = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, MixedConvNd):
            continue
        try:
            i = layer.winner()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        kernel_size, dilation = layer.candidates[i].kernel_size, layer.candidates[i].dilation
        architecture[name] = {"kernel_size": list(kernel_size), "dilation": list(dilation)}
        if weights == "keep":
            replacements[layer] = layer.to_conv(i, _CONVS[layer.ndim - 1])
        else:
            replacements[layer] = _fresh(layer, kernel_size, dilation)
    exchange(model, replacements)
    return architecture


def apply_architecture(model: nn.Module, architecture: Mapping[str, Mapping[str, Sequence[int]]]) -> nn.Module:
    """Gives the convolutions of a fresh model the kernel sizes and dilations of ``architecture``, in place.

    A convolution that has the chosen kernel size and dilation already stays as it is, weights and requires_grad
    included, and so do convolutions that are not named. Every other named one becomes a newly initialised
    ``dash_kernels.ConvNd`` (as torch initialises it: run an initialisation of your own afterwards), trainable also
    where the one before was frozen, since its weights are new. Channels, groups, stride, bias, padding mode, device,
    dtype and mode are the model's, so it may be wider than the model that was searched. On an error the model is
    unchanged.

    Args:
        model: A model with the module names of the searched one, converted or not.
        architecture: What :func:`discretize` returned, also after a way through JSON.

    Returns:
        ``model``.

    Raises:
        ValueError: A name is not in the model, its module is not a convolution with ceil(n / stride) outputs per
            axis, it has another number of axes, or a strided layer cannot have the choice.
        TypeError: ``model`` is not a module, ``architecture`` not a mapping, or an entry of it not
            ``{"kernel_size": [...], "dilation": [...]}`` with whole numbers.
    """
    checked_model(model)
    if not isinstance(architecture, Mapping):
        raise TypeError(
            f'architecture is a {type(architecture).__name__}: give {{module name: {{"kernel_size": [...], '
            f'"dilation": [...]}}}}, as discretize returns it.'
        )
    modules = dict(model.named_modules(remove_duplicate=False))
    unknown = [name for name in architecture if name not in modules]
    if unknown:
        raise ValueError(
            f"the model has no modules {', '.join(map(repr, unknown))}: name them as in the searched model."
        )
    replacements: dict[nn.Module, nn.Module] = {}
    for name, choice in architecture.items():
        module = modules[name]
        if module in replacements:
            raise ValueError(f"{name}: it is the module named before under another name, which has its choice.")
        try:
            replacements[module] = _chosen(module, choice)  # itself where nothing changes: exchange then leaves it
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from error
    exchange(model, replacements)
    return model


def _chosen(module: nn.Module, choice: Mapping[str, Sequence[int]]) -> nn.Module:
    """``module`` if it has the kernel size and dilation of ``choice``, else a fresh convolution that has them."""
    if not isinstance(module, MixedConvNd):
        reason = why_fixed(module)
        if reason is not None:
            raise ValueError(f"{reason}, so it cannot be given a kernel.")
    assert isinstance(module, (*PLAIN, MixedConvNd))
    if not isinstance(choice, Mapping) or set(choice) != {"kernel_size", "dilation"}:
        raise TypeError(f'the choice is {choice!r}: give {{"kernel_size": [...], "dilation": [...]}}.')
    ndim = len(module.stride)
    kernel_size = check.per_axis("kernel_size", choice["kernel_size"], ndim)
    dilation = check.per_axis("dilation", choice["dilation"], ndim)
    if not isinstance(module, MixedConvNd) and (module.kernel_size, module.dilation) == (kernel_size, dilation):
        return module
    return _fresh(module, kernel_size, dilation)


def _fresh(module: AnyConv | MixedConvNd, kernel_size: Sequence[int], dilation: Sequence[int]) -> nn.Module:
    groups = module.original_groups if isinstance(module, MixedConvNd) else module.groups
    cls = _CONVS[len(module.stride) - 1]
    return same_conv(cls, module, kernel_size, dilation, groups=groups, causal=is_causal(module))
