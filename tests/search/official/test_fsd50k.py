# SPDX-License-Identifier: BSD-3-Clause
"""FSD50K out of manifests and sound files: features, masks, noise, and clips put together by the metric."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from dash_search import DataError, Result
from dash_search.data.clips import RandomChunks, read_clips
from dash_search.data.sounds import RATE, as_input, masked, read_second, spectrogram
from dash_search.metrics import MISSED_PRECISION
from dash_search.tasks import TASKS
from dash_search.tasks.fsd50k import FOLDER

# Clips of each part: the number of chunks and the labels
PARTS = {
    "tr": [(2, (0,)), (1, (1, 199)), (3, (2,)), (1, (0, 2)), (1, (5,))],
    "val": [(2, (0,)), (1, (1, 2))],
    "eval": [(3, (0, 1)), (1, (2,)), (2, (0,))],
}


def tone(pitch: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def write() -> Path:
    """The folder: every chunk is a tone of its own, and its rows stand in disorder, as in nobody's promise."""
    root = FOLDER.path()
    (root / "noise_22050").mkdir(parents=True)
    soundfile.write(root / "noise_22050" / "low.wav", tone(100, 2.5), RATE)
    soundfile.write(root / "noise_22050" / "short.wav", tone(200, 0.4), RATE)
    (root / "chunks").mkdir()
    (root / "chunks" / "lbl_map.json").write_text(json.dumps({f"Sound_{i}": i for i in range(200)}))
    for name, clips in PARTS.items():
        (root / "chunks" / name).mkdir()
        rows = []
        for number, (count, labels) in enumerate(clips):
            for chunk in range(count):
                file = f"{name}/{number}_{chunk}.wav"
                soundfile.write(root / "chunks" / file, tone(400 + 200 * number + 50 * chunk), RATE)
                rows.append((chunk, f"/disk/data/chunks/{file}", ",".join(f"Sound_{i}" for i in labels), f"c{number}"))
        with (root / "chunks" / f"{name}.csv").open("w", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(["", "files", "labels", "ext"])
            writer.writerows([("", *row[1:]) for row in sorted(rows)])  # the first chunks of all clips first
    return root


def torchaudio_by_hand(sound: np.ndarray) -> Tensor:
    """What torchaudio's MelSpectrogram and AmplitudeToDB do by default, on torch's own transform."""
    waves = torch.stft(
        torch.from_numpy(sound), 1920, 220, 661, torch.hann_window(661), pad_mode="reflect", return_complex=True
    )
    top = 2595 * math.log10(1 + 11025 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, 98, dtype=torch.float64) / 2595) - 1)
    pitches = torch.linspace(0, 11025, 961, dtype=torch.float64)[:, None]
    up = (pitches - corners[:-2]) / (corners[1:-1] - corners[:-2])
    down = (corners[2:] - pitches) / (corners[2:] - corners[1:-1])
    filters = torch.minimum(up, down).clamp(min=0)
    power = filters.T @ waves.abs().double() ** 2
    decibels = 10 * power.clamp(min=1e-10).log10()
    decibels = decibels.clamp(min=float(decibels.max()) - 80)
    return (decibels - decibels.mean()).float()


def test_spectrograms_are_those_of_torchaudio() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    for sound in (noise, tone(3000), noise * np.linspace(0, 1, RATE, dtype=np.float32)):
        spectrum = spectrogram(sound)
        assert spectrum.shape == (96, 101) and spectrum.dtype == torch.float32 and abs(float(spectrum.mean())) < 1e-4
        torch.testing.assert_close(spectrum, torchaudio_by_hand(sound), atol=2e-2, rtol=0)  # decibels
    assert not spectrogram(np.zeros(RATE, dtype=np.float32)).any()
    assert as_input(spectrum).shape == (1, 96, 102) and not as_input(spectrum)[..., -1].any()


def test_seconds_are_repeated_cut_and_drawn(tmp_path: Path) -> None:
    path, ramp = tmp_path / "ramp.wav", np.arange(3 * RATE, dtype=np.float32) / (3 * RATE)
    soundfile.write(path, ramp, RATE, subtype="FLOAT")
    assert np.array_equal(read_second(path), ramp[:RATE])
    torch.manual_seed(0)
    starts = {round(float(read_second(path, anywhere=True)[0]) * 3 * RATE) for _ in range(50)}
    assert len(starts) > 45 and 0 <= min(starts) < RATE < max(starts) <= 2 * RATE
    soundfile.write(path, ramp[:9000], RATE, subtype="FLOAT")
    assert np.array_equal(read_second(path, anywhere=True), np.tile(ramp[:9000], 3)[:RATE])


def test_masks() -> None:
    torch.manual_seed(0)
    spectrum = torch.rand(96, 101) + 1
    untouched = 0
    for _ in range(300):
        found = masked(spectrum)
        least = found == spectrum.min()
        assert torch.equal(found[~least], spectrum[~least])
        rows, columns = least.all(dim=1), least.all(dim=0)
        assert int(rows.sum()) <= 2 * 14 and int(columns.sum()) <= 2 * 20
        hidden = rows[:, None] | columns
        assert int((least & ~hidden).sum()) <= 1  # the minimum itself
        untouched += not hidden.any()
    assert 120 < untouched < 180


def test_training_draws_chunks_and_mixes_noise(data: Path) -> None:
    root = write()
    (root / "noise_22050" / "low.wav").unlink()
    soundfile.write(root / "noise_22050" / "short.wav", np.zeros(100), RATE)  # silence: its spectrogram is all zero
    splits: Any = TASKS["fsd50k"].load([root])
    train: RandomChunks = splits.train
    torch.manual_seed(0)
    clips = read_clips(root / "chunks" / "tr.csv", {f"Sound_{i}": i for i in range(200)})
    plain = [spectrogram(read_second(path)) for path in clips[2].chunks]
    assert len(train) == 5 and len(plain) == 3
    seen, shares = set(), []
    for _ in range(80):
        spectrum, labels = train[2]
        assert spectrum.shape == (1, 96, 102) and labels.nonzero().flatten().tolist() == [2]
        scaled = []  # how many pixels are those of a chunk times one number, and that number
        for one in plain:
            free = one != one.min()
            numbers, counts = (spectrum[0, :, :101] / one)[free].round(decimals=3).unique(return_counts=True)
            scaled.append((float(counts.max()) / int(free.sum()), float(numbers[counts.argmax()])))
        best = max(range(3), key=lambda i: scaled[i][0])
        assert scaled[best][0] > 0.3  # the others are masked
        seen.add(best)
        shares.append(scaled[best][1])
    assert seen == {0, 1, 2} and min(shares) >= 0.5 and max(shares) == 1
    assert 8 <= sum(share == 1 for share in shares) <= 34  # a quarter has no noise


def test_all_chunks_of_the_other_parts(data: Path) -> None:
    root = write()
    splits: Any = TASKS["fsd50k"].load([root])
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [5, 3, 6]
    items = [splits.test[i] for i in range(6)]
    assert [int(target[-1]) for _, target in items] == [0, 0, 0, 1, 2, 2]
    assert [target[:-1].nonzero().flatten().tolist() for _, target in items] == [[0, 1]] * 3 + [[2]] + [[0]] * 2
    torch.testing.assert_close(items[1][0][0, :, :101], spectrogram(read_second(root / "chunks/eval/0_1.wav")))


def test_metric_hears_clips_and_knows_only_classes_that_are_there() -> None:
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(12, (50,), generator=generator)
    clips = torch.cat([clips, torch.arange(12)])
    labels = (torch.rand(12, 7, generator=generator) < 0.4).float()
    labels[:, 3] = 0
    outputs = torch.randn(62, 7, generator=generator)
    targets = torch.cat([labels[clips], clips[:, None]], dim=1)
    logits = np.stack([outputs[clips == clip].numpy().astype(np.float64).mean(axis=0) for clip in range(12)])
    precision = [average_precision_score(labels[:, k].numpy(), logits[:, k]) for k in range(7) if k != 3]
    assert MISSED_PRECISION.compute(outputs, targets) == pytest.approx(1 - np.mean(precision), abs=1e-6)
    order = torch.randperm(62, generator=generator)
    assert MISSED_PRECISION.compute(outputs[order], targets[order]) == pytest.approx(1 - np.mean(precision), abs=1e-6)
    assert not MISSED_PRECISION.higher_is_better
    with pytest.raises(ValueError, match="labels with the number of the clip"):
        MISSED_PRECISION.compute(outputs, targets[:, :-1])


def test_metric_where_one_class_or_none_is_heard() -> None:
    outputs, targets = torch.tensor([[1.0, 0], [0, 0]]), torch.tensor([[0.0, 0, 0], [1, 0, 1]])
    assert MISSED_PRECISION.score(outputs, targets) == 0.5
    assert math.isnan(MISSED_PRECISION.score(outputs, torch.tensor([[0.0, 0, 0], [0, 0, 1]])))


def test_a_run_from_the_folder_to_the_test(data: Path, run_tiny: Callable[..., Result]) -> None:
    write()
    result = run_tiny("fsd50k")
    assert len(result.architecture) == 13 and 0 <= result.scores["searched"]["test"] <= 1


def test_the_paper_weighs_ones_and_validates_on_the_test_part(data: Path) -> None:
    root = write()
    paper, clean = TASKS["fsd50k"].under("paper"), TASKS["fsd50k"]
    splits: Any = paper.load([root])
    assert splits.valid is splits.test and len(splits.test) == 6 and paper.leaks
    logits, ones = torch.tensor([[0.3, -2.0]]), torch.tensor([[1.0, 0.0]])
    of_one, of_zero = math.log1p(math.exp(-0.3)), math.log1p(math.exp(-2.0))
    assert float(paper.loss(logits, ones)) == pytest.approx((10 * of_one + of_zero) / 2)
    assert float(clean.loss(logits, ones)) == pytest.approx((of_one + of_zero) / 2)


def test_missing_and_damaged_files(data: Path) -> None:
    task = TASKS["fsd50k"]
    with pytest.raises(DataError, match=r"fsd50k/data is missing: it should hold chunks/tr.csv"):
        task.fetch()
    root = write()
    chunks = root / "chunks"
    splits: Any = task.load(task.fetch())
    (chunks / "val" / "1_0.wav").unlink()
    with pytest.raises(DataError, match=r"1_0.wav cannot be read: it should hold sound"):
        splits.valid[2]
    for sound, rate in ((tone(300), 16_000), (np.zeros((RATE, 2)), RATE), (np.zeros(0), RATE)):
        soundfile.write(chunks / "val" / "1_0.wav", sound, rate)
        with pytest.raises(DataError, match=r"channels of .* samples"):
            splits.valid[2]
    for file in (root / "noise_22050").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"noise_22050 holds no .wav"):
        task.load([root])
    (chunks / "tr.csv").write_text("files,labels,ext\nchunks/tr/0_0.wav,Sound_900,c0\n")
    with pytest.raises(DataError, match=r"tr.csv cannot be read: .*Sound_900"):
        task.load([root])
    for content in ("files,labels,ext\n", "a,b\n1,2\n", ""):
        (chunks / "tr.csv").write_text(content)
        with pytest.raises(DataError, match=r"tr.csv cannot be read: it should hold a table"):
            task.load([root])
    (chunks / "lbl_map.json").write_text('{"Sound_0": 0}')
    with pytest.raises(DataError, match=r"lbl_map.json cannot be read: .*1 labels"):
        task.load([root])
