# SPDX-License-Identifier: BSD-3-Clause
"""Typed settings of a search and of a run of a built-in task; both can be read from a file and from flags."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

import tyro
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import SettingsError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]


class Config(BaseModel):
    """Settings of a search. The defaults are DASH's for two-dimensional classification."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of every random number: initial weights, order of the batches, Gumbel noise."""
    device: str = "cpu"
    """Where the networks run, as torch names it."""
    engine: str = "auto"
    """Engine of the mixed convolutions, a name from dash_kernels.engines()."""

    kernel_sizes: tuple[Count, ...] = (3, 5, 7, 9)
    """Kernel sizes to choose from, in pixels."""
    dilations: tuple[Count, ...] = (1, 3, 7, 15)
    """Dilations to choose from, in pixels."""
    skip: tuple[str, ...] = ()
    """Names or globs of convolutions that are not searched."""
    depthwise: Literal["auto", "never"] = "auto"
    """"auto": while searching, layers with as many inputs as outputs convolve each channel by itself, as in DASH."""

    search_epochs: Count = 100
    """Epochs of the search."""
    search_fraction: Share = 0.2
    """Share of the training batches that an epoch of the search uses; one more is always taken."""
    search_lr: Rate = 0.1
    """Learning rate of the supernet's weights."""
    alpha_lr: Rate = 0.05
    """Learning rate of the mixture logits."""
    search_milestones: tuple[Share, ...] = (0.6,)
    """Shares of the search after which both of its learning rates drop."""
    grad_scale: Rate = 100.0
    """The task's gradient on the logits of a layer is scaled to the norm 1 / grad_scale."""
    size_penalty: Amount = 1e-5
    """Added to the gradient of a logit: this times the extent of its kernel in pixels."""
    search_clip: Rate = 1.0
    """Largest norm of the gradient of all weights in the search, and apart from it of that of all logits."""

    epochs: Count = 200
    """Epochs of training for the network that was found, and for the plain one."""
    lr: Rate = 0.1
    """Learning rate of this training."""
    milestones: tuple[Share, ...] = (0.3, 0.6, 0.8)
    """Shares of this training after which its learning rate drops."""
    plain: bool = True
    """Also train the unchanged backbone for as long, to compare with."""

    lr_drop: Share = 0.2
    """Factor of a learning rate at each milestone."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Nesterov momentum of weights and logits."""
    weight_decay: Amount = 5e-4
    """Weight decay of the weights; logits have none."""

    @model_validator(mode="after")
    def _choices(self) -> Self:
        for name in ("kernel_sizes", "dilations"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}: give one or more different numbers.")
        return self

    def with_file(self, path: Path) -> Self:
        """Returns these settings with those of a TOML or JSON file laid over them.

        Raises:
            SettingsError: The file cannot be read, or names a setting or a value that is not allowed.
        """
        try:
            text = path.read_text()
            given = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
            return self.model_validate({**self.model_dump(), **given})
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"{path} has settings that are not allowed: {problems}.") from error
        except (OSError, TypeError, ValueError) as error:
            raise SettingsError(f"cannot read settings from {path}: {error}") from error


class RunConfig(Config):
    """Settings of a run of a built-in task: those of a search, and the network and batches it is done with."""

    task: Annotated[str, tyro.conf.Suppress] = ""
    """Name of the task, set by the task itself."""
    width: Count = 1
    """Width factor of the networks that are trained and tested."""
    search_width: Count = 1
    """Width factor of the supernet."""
    batch_size: Count = 64
    """Samples in a batch."""
