# SPDX-License-Identifier: BSD-3-Clause
"""The flows: splits, normalisation, and what is scored."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor

import dash_kernels as dk
from dash_search import RELATIVE_L2, DataError
from dash_search.data.splits import Splits
from dash_search.losses import summed_relative_l2
from dash_search.metrics import relative_l2
from dash_search.run import run_task
from dash_search.tasks import TASKS, darcy16


def splits() -> Splits:
    task = TASKS["darcy16"]  # a fixture may have exchanged it
    return task.load(task.fetch())


def tensors() -> dict[str, tuple[Tensor, Tensor]]:
    parts: Any = splits()
    return {name: getattr(parts, name).tensors for name in ("train", "valid", "test")}


def test_parts_and_channels(flows: Path) -> None:
    parts = tensors()
    assert [len(y) for _, y in parts.values()] == [36, 4, 6]
    inputs, targets = parts["train"]
    assert inputs.shape[1:] == (3, 16, 16) and targets.shape[1:] == (16, 16)
    assert inputs.is_contiguous() and targets.is_contiguous() and inputs.dtype == targets.dtype == torch.float32
    steps = torch.linspace(0, 1, 16)
    assert torch.equal(inputs[5, 1], steps.expand(16, 16)) and torch.equal(inputs[5, 2], steps.expand(16, 16).T)
    fields = torch.load(darcy16.TRAIN_FILE.path(), weights_only=True)  # the validation part is the end of the file
    assert torch.equal(targets, fields["y"][:36]) and torch.equal(parts["valid"][1], fields["y"][36:])


def test_normalisers_know_the_training_part_alone(flows: Path) -> None:
    inputs, _ = tensors()["train"]
    coefficient = inputs[:, 0]
    assert coefficient.mean(dim=0).abs().max() < 1e-5 and (coefficient.std(dim=0) - 1).abs().max() < 1e-3
    _, targets = tensors()["train"]
    network: Any = TASKS["darcy16"].backbones["wrn"].build(1, splits())
    decode, outputs = network[-1], torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)])
    torch.testing.assert_close(decode(outputs)[0], targets.mean(dim=0))
    torch.testing.assert_close(decode(outputs)[1], targets.mean(dim=0) + targets.std(dim=0) + 1e-5)
    assert not decode(outputs)[0, 0].any()  # a constant row divides by no zero
    assert network(inputs[:1]).shape == (1, 16, 16)  # the batch of one stays


def test_relative_l2() -> None:
    targets = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    outputs = torch.tensor([[3.0, 4.5], [1.0, 2.0]])
    assert relative_l2(outputs, targets).tolist() == pytest.approx([0.1, 0.5])
    assert RELATIVE_L2.compute(outputs, targets) == pytest.approx(0.3)
    assert not RELATIVE_L2.higher_is_better
    assert float(summed_relative_l2(outputs, targets)) == pytest.approx(0.6)
    with pytest.raises(ValueError, match=r"outputs are \(2, 1, 2\)"):
        relative_l2(outputs[:, None], targets)
    with pytest.raises(ValueError, match="target 1 of 2 is zero everywhere"):
        relative_l2(outputs, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))


def test_saved_network_predicts_the_pressure_that_was_scored(flows: Path, tmp_path: Path) -> None:
    task = TASKS["darcy16"]
    budget = {"search_epochs": 1, "epochs": 1, "kernel_sizes": (3,), "dilations": (1, 3), "plain": False}
    config = task.defaults.model_copy(update={**budget, "batch_size": 4})
    result = run_task(task, config, tmp_path / "run", resume=False, console=Console(quiet=True))
    inputs, targets = tensors()["test"]  # 6 samples in batches of 4 and 2
    network = dk.apply_architecture(task.backbones[config.backbone].build(config.width, splits()), result.architecture)
    network.load_state_dict(torch.load(tmp_path / "run" / "searched.pt", weights_only=True))
    with torch.no_grad():
        outputs = network.eval()(inputs)
    expected = ((outputs - targets).flatten(1).norm(dim=1) / targets.flatten(1).norm(dim=1)).mean()
    assert result.scores["searched"]["test"] == pytest.approx(float(expected), rel=1e-5)


def saved(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        saved([1, 2]),
        saved({"x": torch.zeros(2, 3, 3)}),
        saved({"x": torch.zeros(2, 3, 3), "y": torch.zeros(2, 3)}),
        saved({"x": Path("no tensor")}),  # an object, which a safe reader refuses
    ],
)
def test_unreadable_fields(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fields.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match="fields.pt cannot be read: it should hold tensors x and y"):
        darcy16.read_fields(path)
