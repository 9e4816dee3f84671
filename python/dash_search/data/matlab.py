# SPDX-License-Identifier: BSD-3-Clause
"""Arrays out of MATLAB's files, of version 5 to 7 and of version 7.3, which is HDF5."""

from pathlib import Path

import numpy as np

from .extras import need
from .stored import check_numbers


def read_fields(path: Path, name: str, *, side: int, count: int, step: int) -> np.ndarray:
    """Reads the first samples of a variable ``(N, side, side)``, and of these every few points along both axes.

    From a file of version 7.3 nothing else is read; from an older one the whole variable is, and no other one.

    Args:
        path: The file.
        name: Of the variable.
        side: Points of a side in the file.
        count: How many samples at most.
        step: From each point that is kept to the next one.

    Returns:
        ``(n, m, m)``, float32, with n at most ``count`` and m = ``(side - 1) // step + 1``.

    Raises:
        KeyError: There is no such variable.
        ValueError: It has another shape, or holds something else than finite numbers.
        OSError, ...: Whatever the readers raise where this is no such file.
    """
    h5py = need("h5py")
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            reversed_axes = file[name]  # MATLAB's memory runs along the first axis, HDF5's along the last
            _check(name, reversed_axes.shape[::-1], side)
            fields = reversed_axes[::step, ::step, :count].transpose()
    else:
        variable = need("scipy.io").loadmat(path, variable_names=[name])[name]
        _check(name, variable.shape, side)
        fields = variable[:count, ::step, ::step]
    check_numbers(fields, name)
    return np.ascontiguousarray(fields, dtype=np.float32)


def _check(name: str, shape: tuple[int, ...], side: int) -> None:
    if len(shape) != 3 or shape[1:] != (side, side):
        raise ValueError(f"{name} has shape {shape}, expected (N, {side}, {side})")
