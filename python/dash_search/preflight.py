# SPDX-License-Identifier: BSD-3-Clause
"""Everything that can be found wrong before a run has a folder: arguments, loaders, and one batch through it all."""

import contextlib
import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import dash_kernels as dk

from .alpha import MixedConv
from .config import Config
from .errors import DashSearchError, SettingsError
from .metrics import Loss, Metric
from .stages import choice
from .training import Batches, pairs


def check_arguments(model: object, final_model: object, config: object, metric: object) -> None:
    """Checks what a type checker would, for those who have none.

    Raises:
        SettingsError: An argument is of another type.
    """
    for name, module in (("model", model), ("final_model", final_model)):
        if not isinstance(module, nn.Module):
            raise SettingsError(f"{name} is a {type(module).__name__}: give an nn.Module.")
        if any(tensor.is_inference() for tensor in module.state_dict().values() if isinstance(tensor, Tensor)):
            raise SettingsError(f"{name} was made under torch.inference_mode, so it cannot be trained.")
    if not isinstance(config, Config):
        raise SettingsError(f"config is a {type(config).__name__}: give dash_search.Config(seed=..., epochs=..., ...).")
    if not isinstance(metric, Metric):
        raise SettingsError(
            f"metric is a {type(metric).__name__}: give dash_search.Metric(name, function of all outputs and targets, "
            "higher_is_better)."
        )


def check_tuning(config: Config) -> None:
    """Checks that trials can be run as the settings say.

    Raises:
        SettingsError: The settings ask for none, or what runs them is not installed.
    """
    if config.tune == "none":
        raise SettingsError("tune is none, so nothing would be tuned: set it to grid or short.")
    if find_spec("optuna") is None:
        raise SettingsError(
            f"tune={config.tune!r} needs the package optuna: run pip install 'dash_kernels[tune]', or set it to none."
        )


def check_loader(name: str, batches: object) -> None:
    """Checks that a loader can be gone through every epoch anew, and has batches.

    Raises:
        SettingsError: It cannot, or has none.
    """
    kind = type(batches).__name__
    again = f"give a DataLoader over a data set that has a length, such as DataLoader({name}_set, batch_size=64)."
    if not isinstance(batches, Iterable) or isinstance(batches, Iterator):
        raise SettingsError(f"{name} is a {kind}, which cannot be gone through again in every epoch: {again}")
    try:
        count = len(batches)  # type: ignore[arg-type]
    except TypeError as error:
        raise SettingsError(f"{name} is a {kind} that does not know how many batches it has: {again}") from error
    if count == 0:
        raise SettingsError(f"{name} has no batches: the data set is empty, or smaller than a batch under drop_last.")


def shapes_digest(model: nn.Module) -> str:
    """A digest of the names, shapes and dtypes of a network's parameters and buffers."""
    shapes = [(name, tuple(t.shape), str(t.dtype)) for name, t in model.state_dict().items() if isinstance(t, Tensor)]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]


def computing(config: Config) -> contextlib.AbstractContextManager[object]:
    """Checks the device of the settings, and puts their engine in force.

    "auto" leaves the choice to an outer ``use_engine`` or the environment.

    Raises:
        SettingsError: The device or the engine cannot be used.
    """
    try:
        if torch.empty(0, device=config.device).is_meta:
            raise ValueError("a meta device computes nothing")
        return contextlib.nullcontext() if config.engine == "auto" else dk.use_engine(config.engine)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise SettingsError(f"device={config.device!r} or engine={config.engine!r} cannot be used: {error}") from error


def check_choices(final_model: nn.Module, layers: Mapping[str, MixedConv]) -> None:
    """Checks that a network can take every candidate of every searched layer, whichever wins.

    Args:
        final_model: The network. It is not changed.
        layers: The mixed convolutions by name.

    Raises:
        SettingsError: It cannot.
    """
    shell = copy.deepcopy(final_model).to("meta")  # kernels without numbers cost nothing
    for i in range(max(len(layer.candidates) for layer in layers.values())):
        choices = {name: choice(layer.candidates[min(i, len(layer.candidates) - 1)]) for name, layer in layers.items()}
        try:
            dk.apply_architecture(shell, choices)
        except ValueError as error:
            raise SettingsError(f"final_model cannot take the architecture of model: {error}") from error


def try_out(
    name: str, network: nn.Module, parts: Mapping[str, Batches], loss: Loss, metric: Metric, device: str
) -> None:
    """Takes the first batch of each part through what the stages do with it.

    That is the network, and then loss and gradient for "train", the metric for the others.

    Args:
        name: What messages call the network.
        network: A network that is not needed afterwards, on the device: gradients and running statistics change.
        parts: Loaders by name; "train" is there.
        loss, metric: Of the search.
        device: Where to.

    Raises:
        SettingsError: Something fails, or returns what the search cannot use.
    """
    for part, batches in parts.items():
        inputs, targets = next(pairs(batches, device))
        with explained(f"{name} fails on the first batch of {part}, inputs {tuple(inputs.shape)}"):
            output = network.train(part == "train")(inputs)
        if not isinstance(output, Tensor):
            raise SettingsError(f"{name} returns a {type(output).__name__}: it must return one tensor.")
        if part == "train":
            with explained(f"the loss of {name} fails on the first batch of train"):
                value = loss(output, targets)
            if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
                shown = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
                raise SettingsError(
                    f"the loss of {name} is {shown}: it must be a tensor of one number with a gradient, made of the "
                    "outputs of a network with trainable parameters."
                )
            with explained(f"the gradient of {name} fails on the first batch of train"):
                value.sum().backward()  # type: ignore[no-untyped-call]
            if _ends_with_one_sample(batches):
                with explained(f"{name} fails on a batch of one sample, and the last one of train is such"):
                    network(inputs[:1])
            continue  # the metric never sees it, and its targets may lack what only the metric needs
        for one in (metric, *metric.beside):
            with explained(f"the metric {one.name!r} fails on the first batch of {part}"), torch.no_grad():
                one.score(output.detach().cpu(), targets.cpu())


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Tells what failed where a network, a loss or a metric fails, which may raise anything.

    Raises:
        SettingsError: Something was raised that is no error of this package.
    """
    try:
        yield
    except DashSearchError:
        raise
    except Exception as error:  # somebody else's code may raise anything
        hint = " Give the loader drop_last=True." if "more than 1 value per channel" in str(error) else ""
        raise SettingsError(f"{what}: {type(error).__name__}: {error}{hint}") from error


def _ends_with_one_sample(batches: object) -> bool:
    if not isinstance(batches, DataLoader) or batches.batch_size is None or batches.drop_last:
        return False
    try:
        return len(batches.sampler) % batches.batch_size == 1  # type: ignore[arg-type]
    except TypeError:  # a sampler of unknown length
        return False
