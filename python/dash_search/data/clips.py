# SPDX-License-Identifier: BSD-3-Clause
"""Clips of sound, cut into chunks of a second by those who publish them: one at random, or all of them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor
from torch.utils.data import Dataset

from .damage import reading
from .sounds import as_input, draw, masked, read_second, spectrogram, with_background


@dataclass(frozen=True)
class Clip:
    """A clip.

    Attributes:
        labels: ``(classes,)``, float32: 1 for each class that is heard in it, 0 for the others.
        chunks: The files of its chunks.
    """

    labels: Tensor
    chunks: list[Path] = field(default_factory=list)


def read_clips(path: Path, classes: Mapping[str, int]) -> list[Clip]:
    """Reads a manifest of chunks, once, into its clips in the order in which they come.

    Args:
        path: A table with a line per chunk: its file in the column ``files``, the labels of its clip with commas in
            ``labels``, and in ``ext`` which clip it is of. Of the name of a file only what follows a folder ``chunks``
            counts, as the rest is its author's disk; it is looked for beside the manifest.
        classes: Number of each label.

    Raises:
        DataError: The file is no such table.
    """
    clips: dict[str, Clip] = {}
    with reading(path, "a table with the columns files, labels and ext, and labels that lbl_map.json has"):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                clip = clips.get(row["ext"])
                if clip is None:
                    labels = torch.zeros(len(classes))
                    labels[[classes[label.strip()] for label in row["labels"].split(",")]] = 1
                    clip = clips[row["ext"]] = Clip(labels)
                parts = PurePosixPath(row["files"]).parts
                inside = parts[parts.index("chunks") + 1 :] if "chunks" in parts else parts
                if ".." in inside or "/" in inside:
                    raise ValueError(f"{row['files']!r} lies in no folder chunks")
                clip.chunks.append(path.parent.joinpath(*inside))
        if not clips:
            raise ValueError("it lists no chunk")
    return [*clips.values()]


class RandomChunks(Dataset[tuple[Tensor, Tensor]]):
    """Of every clip a chunk that is drawn anew at every call, masked and mixed with noise: what is trained on.

    Args:
        clips: The clips.
        noises: Files of noise.

    The items are ``(1, 96, 102)`` and the labels ``(classes,)``. All random numbers come from torch's global generator.
    """

    def __init__(self, clips: Sequence[Clip], noises: list[Path]) -> None:
        self._clips, self._noises = clips, noises

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        clip = self._clips[i]
        spectrum = masked(spectrogram(read_second(clip.chunks[draw(len(clip.chunks))])))
        return as_input(with_background(spectrum, self._noises)), clip.labels


class AllChunks(Dataset[tuple[Tensor, Tensor]]):
    """Every chunk of every clip, as it is: what is validated and tested on.

    The items are ``(1, 96, 102)`` and ``(classes + 1,)``, the labels and then the number of the clip, by which the
    metric puts the chunks of a clip together.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._chunks = [(number, chunk) for number, clip in enumerate(clips) for chunk in clip.chunks]

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        number, chunk = self._chunks[i]
        labels = self._clips[number].labels
        return as_input(spectrogram(read_second(chunk))), torch.cat([labels, labels.new_tensor([number])])
