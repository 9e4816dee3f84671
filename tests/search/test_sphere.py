# SPDX-License-Identifier: BSD-3-Clause
"""Pictures on the sphere: the geometry against point-by-point computation, and the task of digits on it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.spatial.transform import Rotation
from torch import Tensor

from dash_search.data.sphere import grid_directions, project, random_rotations
from dash_search.data.wheels import WheelFile
from dash_search.run import run_task
from dash_search.tasks import TASKS

SIDE, B = 28, 30
CENTRES = -0.75 + 1.5 * (np.arange(SIDE) + 0.5) / SIDE  # of the columns, along x; of the rows, against y
HERE = torch.eye(3, dtype=torch.float64)[None]


def picture(function: Any) -> Tensor:
    """A function of x and y as pixels."""
    return torch.tensor([[[[function(x, -y) for x in CENTRES] for y in CENTRES]]], dtype=torch.float64)


def place(row: int, column: int, turn: np.ndarray) -> tuple[float, float, float]:
    """Where a place of the grid lies on the sphere that was not turned yet: colatitude, and x and y in the plane."""
    colatitude, longitude = math.pi * row / (2 * B), math.pi * column / B
    point = [math.sin(colatitude) * math.cos(longitude), math.sin(colatitude) * math.sin(longitude)]
    x, y, z = np.linalg.inv(turn) @ [*point, math.cos(colatitude)]
    angle, around = math.acos(min(1.0, max(-1.0, z))), math.atan2(y, x)
    radius = math.tan(angle / 2)  # of the stereographic projection, 1 at the equator
    return angle, radius * math.cos(around), radius * math.sin(around)


def bilinear(pixels: np.ndarray, x: float, y: float) -> float:
    """Between the four pixels around a place, those outside being 0."""
    column, row = (x + 0.75) / 1.5 * SIDE - 0.5, (0.75 - y) / 1.5 * SIDE - 0.5
    value = 0.0
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            if 0 <= i < SIDE and 0 <= j < SIDE:
                value += pixels[i, j] * (1 - abs(row - i)) * (1 - abs(column - j))
    return value


def test_every_place_of_turned_noise_is_that_of_a_loop() -> None:
    pixels = torch.rand(2, 2, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turns = torch.from_numpy(Rotation.from_euler("zyx", [[10, 35, 20], [-70, 80, 200]], degrees=True).as_matrix())
    seen = project(pixels, turns, bandwidth=B)
    assert seen.shape == (2, 2, 60, 60) and seen.dtype == torch.float64
    for n, row, column in np.ndindex(2, 2 * B, 2 * B):
        angle, x, y = place(row, column, turns[n].numpy())
        for channel in range(2):
            expected = bilinear(pixels[n, channel].numpy(), x, y) if angle < math.pi / 2 else 0.0
            assert float(seen[n, channel, row, column]) == pytest.approx(expected, abs=1e-9)


def test_a_smooth_function_of_the_plane_is_found_on_the_sphere() -> None:
    def smooth(x: float, y: float) -> float:
        return 2 + math.sin(2 * x) + math.cos(3 * y) + x * y

    turn = random_rotations(1, seed=4)
    seen, found = project(picture(smooth), turn, bandwidth=B)[0, 0], 0
    for row, column in np.ndindex(2 * B, 2 * B):
        angle, x, y = place(row, column, turn[0].numpy())
        if angle < math.pi / 2 and max(abs(x), abs(y)) < CENTRES[-1]:
            found += 1
            # bilinear: an eighth of the squared distance of pixels, times the second derivatives 4 and 9
            assert abs(float(seen[row, column]) - smooth(x, y)) < 13 / 8 * (1.5 / SIDE) ** 2
    assert found > 300


def test_pole_equator_and_upright_picture() -> None:
    seen = project(picture(lambda x, y: 5 + 2 * x + y), HERE, bandwidth=B)[0, 0]
    np.testing.assert_allclose(seen[0].numpy(), 5)  # the pole is one point, the middle of the picture
    radius = math.tan(math.pi / 10 / 2)  # at 18 degrees, row 6
    around = np.arange(60) * math.pi / 30
    np.testing.assert_allclose(seen[6].numpy(), 5 + radius * (2 * np.cos(around) + np.sin(around)))
    assert seen[B, 0] == 0 and not seen[B + 1 :].any()  # the equator is outside but near the corners
    corner = picture(lambda x, y: float(x > 0.6 and y > 0.6))  # the last pixels of the first rows
    assert corner[0, 0, :3, -3:].all() and corner.sum() == 9
    lit = project(corner, HERE, bandwidth=B)[0, 0].nonzero()
    assert len(lit) and (lit[:, 1].double() - 7.5).abs().max() < 3  # at 45 degrees from x to y


def test_turns_of_the_sphere_move_what_is_seen() -> None:
    pixels = torch.rand(1, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    seen = project(pixels, HERE, bandwidth=B)
    about_z = torch.from_numpy(Rotation.from_euler("z", 5 * 6, degrees=True).as_matrix())[None]
    torch.testing.assert_close(project(pixels, about_z, bandwidth=B), seen.roll(5, dims=3))
    about_x = torch.from_numpy(Rotation.from_euler("x", 180, degrees=True).as_matrix())[None]
    upside_down = project(pixels, about_x, bandwidth=B)  # (x, -y, -z): what was south is north, against the longitude
    columns = -torch.arange(60) % 60
    torch.testing.assert_close(upside_down[:, :, 31:], seen[:, :, 1:30].flip(2)[..., columns])
    assert not upside_down[:, :, :30].any() and seen[:, :, :30].any()
    tilted = torch.from_numpy(Rotation.from_euler("y", 90, degrees=True).as_matrix())[None]
    ahead = project(pixels, tilted, bandwidth=B)[0, 0]  # the middle on the equator, at longitude 0
    torch.testing.assert_close(ahead[B, 0], seen[0, 0, 0, 0])


def test_directions_are_those_of_the_grid() -> None:
    directions = grid_directions(B)
    assert directions.shape == (60, 60, 3)
    torch.testing.assert_close(directions.norm(dim=2), torch.ones(60, 60, dtype=torch.float64))
    torch.testing.assert_close(directions[0, 7], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(directions[30, 15], torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))


def test_rotations_are_uniform_and_fixed() -> None:
    before = torch.get_rng_state()
    turns = random_rotations(4000, seed=3)
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(turns[:5], random_rotations(4000, seed=3)[:5])
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3, dtype=torch.float64).expand(4000, 3, 3))
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(4000, dtype=torch.float64))
    drawn = torch.randn(4000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    of_scipy = Rotation.from_quat(drawn.roll(-1, dims=1).numpy()).as_matrix()  # w comes last there
    np.testing.assert_allclose(turns.numpy(), of_scipy, atol=1e-12)
    # The pole goes to a uniform place on the sphere, whose height is uniform from -1 to 1; and of all rotations
    # 1/2 - 1/pi turn by less than a right angle.
    assert turns[:, :, 2].mean(dim=0).abs().max() < 0.04
    heights = turns[:, 2, 2].sort().values
    assert (heights - torch.linspace(-1, 1, 4000, dtype=torch.float64)).abs().max() < 0.06
    trace = turns.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert float((trace > 1).double().mean()) == pytest.approx(0.5 - 1 / math.pi, abs=0.03)


def test_digits_lie_in_the_parts_of_mnist5k(digits: WheelFile) -> None:
    flat: Any = TASKS["mnist5k"].load([digits.fetch()])
    round_: Any = TASKS["spherical-mnist"].load([digits.fetch()])
    for name in ("train", "valid", "test"):
        spheres, classes = getattr(round_, name).tensors
        assert torch.equal(classes, getattr(flat, name).tensors[1])
        assert spheres.shape == (len(classes), 1, 60, 60) and spheres.dtype == torch.float32
    train = round_.train.tensors[0]
    assert abs(float(train.mean())) < 1e-5 and abs(float(train.std()) - 1) < 1e-5
    # each sphere is turned in its own way: the middle of the picture is not at one place
    assert len({int(image.argmax()) for image in train[:20]}) > 10


def test_digits_on_spheres_are_searched(digits: WheelFile, tmp_path: Path) -> None:
    task = TASKS["spherical-mnist"]
    budget = {"search_epochs": 1, "search_fraction": 0.01, "epochs": 1, "plain": False, "batch_size": 8}
    budget |= {"kernel_sizes": (3,), "dilations": (1, 3)}
    result = run_task(
        task, task.defaults.model_copy(update=budget), tmp_path / "run", resume=False, console=Console(quiet=True)
    )
    assert len(result.architecture) == 13 and set(result.scores["searched"]) == {"valid", "test"}
