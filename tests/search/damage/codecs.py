# SPDX-License-Identifier: BSD-3-Clause
"""What lies in a file of each format, so that it can be changed and written back."""

import gzip
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io
import soundfile
import torch

from ..official.cifar import write_archive
from ..official.test_mnist import idx


class Codec(NamedTuple):
    """Reads what a file holds, and writes it; what the format cannot hold it refuses with any error."""

    decode: Callable[[Path], Any]
    encode: Callable[[Path, Any], object]


def _read_tar(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as archive:
        return {name: pickle.load(archive.extractfile(name), encoding="bytes") for name in archive.getnames()}  # type: ignore[arg-type]


def _read_gzip(path: Path) -> Any:
    with gzip.open(path) as file:
        return pickle.load(file)


def _write_gzip(path: Path, value: object) -> None:
    path.write_bytes(gzip.compress(pickle.dumps(value), 1))


def _read_idx(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def _write_hdf5(path: Path, value: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in value.items():
            file.create_dataset(name, data=array)


def _read_matlab(path: Path) -> dict[str, Any]:
    return {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}


def _save_npy(path: Path, value: object) -> None:
    content = io.BytesIO()
    np.save(content, np.array(value, dtype=object) if isinstance(value, dict) else value, allow_pickle=True)
    path.write_bytes(content.getvalue())


def _read_npy(path: Path) -> Any:
    array = np.load(path, allow_pickle=True)
    return array[()] if array.dtype == object and array.ndim == 0 else array


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def _read_sound(path: Path) -> dict[str, Any]:
    sound, rate = soundfile.read(path, dtype="float32")
    return {"sound": sound, "rate": rate}


def _write_sound(path: Path, value: dict[str, Any]) -> None:
    soundfile.write(path, value["sound"], value["rate"], subtype="FLOAT")


CODECS = {
    ".tar.gz": Codec(_read_tar, write_archive),
    "s2_cifar100.gz": Codec(_read_gzip, _write_gzip),
    "-ubyte.gz": Codec(_read_idx, lambda path, value: path.write_bytes(gzip.compress(idx(value)))),
    ".pkl": Codec(
        lambda path: pickle.loads(path.read_bytes()), lambda path, value: path.write_bytes(pickle.dumps(value))
    ),
    ".npy": Codec(_read_npy, _save_npy),
    ".npz": Codec(_read_npz, lambda path, value: np.savez(path, **value)),
    ".pt": Codec(lambda path: torch.load(path), lambda path, value: torch.save(value, path)),
    ".mat": Codec(_read_matlab, scipy.io.savemat),
    ".wav": Codec(_read_sound, _write_sound),
}


def codec_of(path: Path) -> Codec | None:
    """The codec of a file, or None where it is text."""
    if path.suffix == ".mat" and h5py.is_hdf5(path):
        return Codec(_read_hdf5, _write_hdf5)
    return next((codec for end, codec in CODECS.items() if path.name.endswith(end)), None)
