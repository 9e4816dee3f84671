# SPDX-License-Identifier: BSD-3-Clause
"""Finding and exchanging modules inside a model."""

from collections.abc import Mapping

from torch import nn

# Everything a user may have registered on a module with a register_*_hook method that sees its calls.
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def checked_model(model: object) -> nn.Module:
    """``model`` if it is a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}: give an nn.Module.")
    return model


def all_names(model: nn.Module) -> dict[nn.Module, list[str]]:
    """Each module of ``model`` with every name it has there, the one ``named_modules`` gives first."""
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return names


def exchange(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> None:
    """Puts each replacement wherever its key is used in ``model``, and hands the key's hooks on to it."""
    for old, new in replacements.items():
        for hooks in _HOOKS:
            setattr(new, hooks, getattr(old, hooks))
        # torch keeps these two beside the hooks; a replacement without them would call backward hooks the wrong way
        new._is_full_backward_hook = old._is_full_backward_hook
    for parent in list(model.modules()):
        for key, child in parent._modules.items():
            if child is not None and child in replacements:
                parent._modules[key] = replacements[child]
