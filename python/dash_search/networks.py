# SPDX-License-Identifier: BSD-3-Clause
"""The networks of a run: built whenever they are needed, each from random numbers of its own, and tried out."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

import dash_kernels as dk

from . import preflight
from .alpha import mixed_layers
from .config import Config
from .errors import SettingsError
from .metrics import Metric
from .problem import Problem
from .randomness import Randomness
from .stages import Architecture, Hyperparameters, build_supernet, choice
from .training import Batches

NO_VALUES: Hyperparameters = {}


@dataclass(frozen=True)
class Networks:
    """Builds the networks of a run on the device; one that is built again has the same weights again.

    Attributes:
        problem: Has the backbone that is searched, and the network that is trained with the kernels of an architecture.
        config: Settings of the run.
        randomness: Of the run.
    """

    problem: Problem
    config: Config
    randomness: Randomness

    def supernet(self) -> nn.Module:
        """The backbone with mixtures of all candidates in place of its convolutions."""
        self.randomness.seed("weights of supernet")
        return build_supernet(self.problem.model, self.config)

    def final(self, name: str, architecture: Architecture, values: Hyperparameters = NO_VALUES) -> nn.Module:
        """The network of that name, with the kernels of an architecture and with the dropout among the values, if any.

        Raises:
            SettingsError: It cannot have them.
        """
        self.randomness.seed(f"weights of {name}")
        try:
            network = dk.apply_architecture(copy.deepcopy(self.problem.final_model), architecture)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"the {name} network cannot have its architecture: {error}") from error
        if self.problem.initialise is not None:
            self.problem.initialise(network)
        if self.problem.set_dropout is not None and "dropout" in values:
            self.problem.set_dropout(network, values["dropout"])
        return network.to(self.config.device)


def try_search(build: Networks) -> Architecture:
    """Takes a batch of each part through the supernet.

    Returns:
        An architecture that may be found, and costs more than any other.

    Raises:
        SettingsError: Something fails there, nothing would be searched, or a candidate cannot be trained in the end.
    """
    problem, supernet = build.problem, build.supernet()
    preflight.try_out("the supernet", supernet, problem.parts, problem.loss, problem.metric, build.config.device)
    used = {name: layer for name, layer in mixed_layers(supernet).items() if layer.alpha.grad is not None}
    if not used:
        raise SettingsError("no searched convolution takes part in the training: the loss has no gradient there.")
    preflight.check_choices(problem.final_model, used)
    return {name: choice(max(layer.candidates, key=lambda one: one.reach)) for name, layer in used.items()}


def try_final(
    build: Networks, architectures: Mapping[str, Architecture], parts: Mapping[str, Batches], metric: Metric
) -> None:
    """Takes a batch of each part through the networks of these names with these architectures.

    Raises:
        SettingsError: Something fails there, or a network cannot have its architecture.
    """
    for name, architecture in architectures.items():
        network = build.final(name, architecture)
        preflight.try_out(f"the {name} network", network, parts, build.problem.loss, metric, build.config.device)
