# SPDX-License-Identifier: BSD-3-Clause
"""Seconds of sound as logarithmic mel spectrograms, and what is done to these to make others of them."""

import functools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .damage import reading
from .extras import need
from .stored import check_numbers

RATE = 22_050  # samples a second
FFT, WINDOW, HOP, BANDS = 1920, 661, 220, 96
FRAMES = 1 + RATE // HOP  # of one second
FLOOR, RANGE = 1e-10, 80.0  # least power, and decibels below the loudest that are kept
MASKED = (0.15, 0.20)  # of the bands and of the frames, at most


def draw(below: int) -> int:
    """A whole number of torch's global generator, from 0."""
    return int(torch.randint(below, ()))


def read_second(path: Path, *, anywhere: bool = False) -> np.ndarray:
    """Reads one second of a sound file, repeated if the file is shorter.

    Args:
        path: A file of one channel of 22,050 samples a second.
        anywhere: Draw where it begins from torch's global generator; otherwise it is the first second.

    Returns:
        ``(22050,)``, float32.

    Raises:
        DataError: It is no such file.
    """
    soundfile = need("soundfile")
    with reading(path, f"sound of one channel, {RATE} samples a second"), soundfile.SoundFile(path) as file:
        if _cut_short(path):
            raise ValueError("it is shorter than it says")
        if file.samplerate != RATE or file.channels != 1 or file.frames == 0:
            raise ValueError(f"{file.channels} channels of {file.frames} samples, {file.samplerate} a second")
        if anywhere and file.frames > RATE:
            file.seek(draw(file.frames - RATE + 1))
        sound: np.ndarray = file.read(RATE, dtype="float32")
        check_numbers(sound)
    return np.resize(sound, RATE)


def _cut_short(path: Path) -> bool:
    """Whether a RIFF file says that it is longer than it is: libsndfile reads what is there without a word."""
    with path.open("rb") as file:
        head = file.read(8)
    size = int.from_bytes(head[4:], "little")
    unknown = size in (0, 2**32 - 1)  # written by a program that could not go back to fill it in
    return head[:4] == b"RIFF" and not unknown and size + 8 > path.stat().st_size


@functools.cache
def mel_filters() -> np.ndarray:
    """Triangles of height 1 on the mel scale of HTK, up to half the rate: ``(96, 961)``."""
    filters: np.ndarray = need("librosa").filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS, htk=True, norm=None)
    return filters


def spectrogram(sound: np.ndarray) -> Tensor:
    """The power of a second of sound by mel band and frame, in decibels around their mean.

    As ``torchaudio.transforms.MelSpectrogram`` and ``AmplitudeToDB`` do by default: windows of Hann in the middle of
    frames of 1,920 samples, the sound mirrored at its ends, triangles of height 1 on the mel scale of HTK.

    Args:
        sound: ``(22050,)``.

    Returns:
        ``(96, 101)``, float32.
    """
    librosa = need("librosa")
    waves = librosa.stft(sound, n_fft=FFT, hop_length=HOP, win_length=WINDOW, window="hann", pad_mode="reflect")
    levels = librosa.power_to_db(mel_filters() @ np.abs(waves) ** 2, ref=1.0, amin=FLOOR, top_db=RANGE)
    return torch.from_numpy(levels - levels.mean()).float()


def masked(spectrum: Tensor) -> Tensor:
    """Half of the time, the spectrogram with bands and frames set to its minimum, as in SpecAugment.

    Once or twice, with equal chances, up to 15 % of the bands and up to 20 % of the frames, anywhere. The numbers come
    from torch's global generator.

    Source: Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779, with the widths of DASH.
    """
    if torch.rand(()) < 0.5:
        return spectrum
    least, spectrum = spectrum.min(), spectrum.clone()
    for _ in range(1 + draw(2)):
        for axis, most in enumerate(MASKED):
            size = spectrum.shape[axis]
            width = int(float(torch.rand(())) * most * size)
            spectrum.narrow(axis, draw(size - width + 1), width).fill_(least)
    return spectrum


def with_background(spectrum: Tensor, noises: list[Path]) -> Tensor:
    """Three times in four, mixes in up to one half of the spectrogram of a second of noise, masked as well."""
    if torch.rand(()) >= 0.75:
        return spectrum
    share = 0.5 * torch.rand(())
    noise = masked(spectrogram(read_second(noises[draw(len(noises))], anywhere=True)))
    return (1 - share) * spectrum + share * noise


def as_input(spectrum: Tensor) -> Tensor:
    """``(1, 96, 102)``: a channel, and a column of zeros at the end, which DASH has for an even number of columns."""
    return torch.nn.functional.pad(spectrum, (0, 1)).unsqueeze(0)
