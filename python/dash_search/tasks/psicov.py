# SPDX-License-Identifier: BSD-3-Clause
"""psicov: how far the residues of a protein are apart, from what is known of its sequence (NAS-Bench-360)."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..config import RunConfig
from ..data.official import OfficialFile
from ..data.pickles import read_object_array, read_pickle
from ..data.proteins import Crops, Protein, Tiles
from ..data.splits import Splits
from ..errors import DataError
from ..metrics import MAE8
from .networks import deepcon, wide_resnet
from .task import TEST_VALIDATES, Task

FOLDER = OfficialFile(
    name="psicov/protein",
    holds="deepcov.lst and psicov.lst and, in deepcov and psicov, features/ID.pkl and distance/ID-cb.npy of each ID "
    "that they list",
    origin="NAS-Bench-360 (protein.zip) out of PDNET by B. Adhikari, 2020, for proteins of DeepCov and of PSICOV",
    licence="stated by its publishers, not checked here",
)
VALID = 100 / 3_456  # the beginning of deepcov.lst, as in the benchmark
CROP, CANVAS = 128, 512  # pixels: what is trained on, and what is tested on


def read_protein(features: Path, distance: Path) -> Protein:
    """Reads a protein of L residues.

    Args:
        features: The pickle of ``ss`` (3, L), ``pssm`` (L, 22), ``sa`` and ``entropy`` (L,), ``ccmpred``, ``freecon``
            and ``potential`` (L, L).
        distance: The triple of L, the sequence, and distances (L, L) in angstrom. Distances below 1 become 1, those on
            the diagonal the mean of their neighbours in the row.

    Raises:
        DataError: One of them is missing, or holds something else.
    """
    with FOLDER.reading(features), features.open("rb") as file:
        content = read_pickle(file)
        length = len(content["ccmpred"])
        shapes = {"ss": (3, length), "pssm": (length, 22), "sa": (length,), "entropy": (length,)}
        shapes |= dict.fromkeys(("ccmpred", "freecon", "potential"), (length, length))
        arrays = {name: np.asarray(content[name], dtype=np.float32) for name in shapes}
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
            if not (np.abs(arrays[name]) < 100).all():
                raise ValueError(f"{name} has values that are not between -100 and 100")
        single = np.vstack([arrays["ss"], arrays["pssm"].T, arrays["sa"], arrays["entropy"]])
        pair = np.stack([arrays["ccmpred"], arrays["freecon"], arrays["potential"]])
    with FOLDER.reading(distance):
        _, _, stored = read_object_array(distance)
        distances = np.asarray(stored, dtype=np.float32)
        if distances.shape != (length, length) or length < 2:
            raise ValueError(f"distances of shape {distances.shape} for {length} residues in the features")
        distances = cleaned(distances)
    return Protein(*(torch.from_numpy(array) for array in (single, pair, distances)))


def cleaned(distances: np.ndarray) -> np.ndarray:
    """Distances ``(L, L)`` in angstrom of at least 1, with a diagonal made of what lies beside it.

    Raises:
        ValueError: One of them is no number, or above 500.
    """
    distances = np.maximum(distances, 1)
    inner = np.arange(1, len(distances) - 1)
    distances[inner, inner] = (distances[inner, inner - 1] + distances[inner, inner + 1]) / 2
    distances[0, 0], distances[-1, -1] = distances[0, 1], distances[-1, -2]
    if not (distances <= 500).all():
        raise ValueError("some distances are not between 0 and 500 angstrom")
    return distances


def readers(root: Path, part: str) -> list[Callable[[], Protein]]:
    """A reader of each protein of a part, "deepcov" or "psicov", in the order of its list; no protein is read yet.

    Raises:
        DataError: There is no such list of at least two IDs, each the first word of its line, or a file is missing.
    """
    with FOLDER.reading(root / f"{part}.lst") as path:
        names = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
        if len(names) < 2:
            raise ValueError(f"it lists {len(names)} proteins, at least 2 are needed")
    files = [(root / part / "features" / f"{n}.pkl", root / part / "distance" / f"{n}-cb.npy") for n in names]
    for file in (file for both in files for file in both):
        if not file.is_file():
            raise DataError(f"{file} is missing, though {path.name} lists it: {root} should hold {FOLDER.holds}.")
    return [functools.partial(read_protein, *both) for both in files]


def load(paths: Sequence[Path]) -> Splits:
    """Training crops of 128 pixels are drawn anew at every call; those of the validation part begin at the first
    residue, so that every epoch is scored on the same. The test part comes in 16 tiles per protein."""
    (root,) = paths
    proteins = readers(root, "deepcov")
    size = max(1, round(VALID * len(proteins)))
    return Splits(
        train=Crops(proteins[size:], CROP),
        valid=Tiles(proteins[:size], CROP, CROP),
        test=Tiles(readers(root, "psicov"), CANVAS, CROP),
    )


def load_paper(paths: Sequence[Path]) -> Splits:
    """All of deepcov.lst is trained on; the test part, whose maps go through the network whole, validates."""
    (root,) = paths
    test = Tiles(readers(root, "psicov"), CANVAS, CANVAS)
    return Splits(Crops(readers(root, "deepcov"), CROP), valid=test, test=test)


DASH = RunConfig(
    task="psicov",
    width=4,
    tune="short",
    search_lr=0.01,
    alpha_lr=0.005,
    lr=0.01,
    batch_size=8,
    eval_batch_size=8,
)

CLEAN = Task(
    summary="NAS-Bench-360: 3,606 proteins, 57 features to distances of residues (2-D dense regression)",
    files=(FOLDER,),
    load=load,
    loss=nn.functional.mse_loss,
    metric=MAE8,
    backbones={"wrn": wide_resnet(57, 1, dense=True), "deepcon": deepcon(57, 1)},
    defaults=DASH,
)
PSICOV = CLEAN.with_paper({"eval_batch_size": 2}, load=load_paper, leaks=TEST_VALIDATES)
