# SPDX-License-Identifier: BSD-3-Clause
"""Typed settings of a search and of a run of a built-in task; both can be read from a file and from flags."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import SettingsError

# strict: neither True nor "3" is a number, and 1 is no bool
Count = Annotated[int, Field(ge=1, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]


class Config(BaseModel):
    """Settings of a search. The defaults are DASH's for two-dimensional classification."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
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
    mixture: Literal["gumbel", "softmax"] = "gumbel"
    """"gumbel": a training step of the search adds fresh noise to the logits, as in DASH; "softmax": none does."""

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
    """Largest norm of the gradient of all weights in the search; that of the logits is set by grad_scale."""

    epochs: Count = 200
    """Epochs of training for the network that was found, and for the plain one."""
    lr: Rate = 0.1
    """Learning rate of this training."""
    milestones: tuple[Share, ...] = (0.3, 0.6, 0.8)
    """Shares of this training after which its learning rate drops."""
    tune: Literal["none", "grid", "short"] = "none"
    """Choose learning rate, weight decay, momentum and dropout of this training by short trials that the validation
    part judges, for each network: "grid" has DASH's 24, "short" the 3 learning rates of its largest tasks."""
    tune_epochs: Count = 80
    """Epochs of a trial, each of a small share of the training batches."""
    plain: Annotated[bool, Field(strict=True)] = True
    """Also train the unchanged backbone for as long, to compare with."""

    lr_drop: Share = 0.2
    """Factor of a learning rate at each milestone."""
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
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

    def changed(self, changes: Mapping[str, Any], source: str = "", *, words: bool = False) -> Self:
        """Returns these settings with some changed.

        Args:
            changes: New values by name.
            source: The file they come from, if any.
            words: The values are words of a command line, to be read as numbers where numbers are wanted.

        Raises:
            SettingsError: A name or a value is not allowed.
        """
        try:
            return self.model_validate({**self.model_dump(), **changes}, strict=False if words else None)
        except ValidationError as error:
            problems = "; ".join(_problem(one, flags=words) for one in error.errors())
            raise SettingsError(f"{source}{': ' if source else ''}{problems}.") from error

    def with_file(self, path: Path | str) -> Self:
        """Returns these settings with those of a TOML or JSON (``.json``) file laid over them.

        Raises:
            SettingsError: The file cannot be read, or names a setting or a value that is not allowed.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            given = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read settings from {path}: {error}") from error
        if not isinstance(given, dict):
            raise SettingsError(f"cannot read settings from {path}: it holds a {type(given).__name__}, no table.")
        return self.changed(given, str(path))


def _problem(error: Any, *, flags: bool) -> str:
    name, *place = map(str, error["loc"] or ("",))
    if error["type"] == "extra_forbidden":
        return f"there is no setting {name!r}"
    if not name:
        return str(error["msg"]).removeprefix("Value error, ").rstrip(".")
    name = f"--{name.replace('_', '-')}" if flags else ".".join([name, *place])
    return f"{name} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


class RunConfig(Config):
    """Settings of a run of a built-in task: those of a search, and the network and batches it is done with."""

    task: str = ""
    """Name of the task, set by the task itself."""
    width: Count = 1
    """Width factor of the networks that are trained and tested."""
    search_width: Count = 1
    """Width factor of the supernet."""
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    """Share of values that the training of these networks drops; the supernet drops none."""
    batch_size: Count = 64
    """Samples in a batch of training."""
    eval_batch_size: Count = 64
    """Samples in a batch of validation and test."""
    backbone: str = "wrn"
    """Which of the task's networks is searched."""
    protocol: Literal["clean", "paper"] = "clean"
    """"clean": three disjoint parts and the benchmark's metric. "paper": as DASH's code; the result says what leaks."""
