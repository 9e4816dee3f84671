# SPDX-License-Identifier: BSD-3-Clause
"""The generator's mathematics: the medium against its series, the pressure against known solutions and finer grids."""

import numpy as np
import pytest
import scipy.sparse.linalg

from dash_search.data.flow_physics import flow_matrix, medium, pressure, solve


def error(u: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(u - exact) / np.linalg.norm(exact))


def test_medium_is_the_sign_of_the_series() -> None:
    n = 9
    x = np.arange(n) / (n - 1)
    for seed in range(20):
        z = np.random.RandomState(seed).standard_normal((n, n))
        field = np.zeros((n, n))
        for k in range(n):
            for m in range(n):
                if k or m:
                    norm = (2 if k and m else np.sqrt(2)) / (np.pi**2 * (k**2 + m**2) + 9)
                    field += z[k, m] * norm * np.outer(np.cos(k * np.pi * x), np.cos(m * np.pi * x))
        assert np.array_equal(medium(seed, n), np.where(field > 0, 12.0, 3.0))


def test_media_are_half_of_each_material_and_differ() -> None:
    media = np.stack([medium(seed, 43) for seed in range(300)]) == 12
    share = media.mean(axis=(1, 2))
    assert abs(share.mean() - 0.5) < 0.015  # three deviations of the mean are 0.01
    assert share.min() > 0.3 and share.max() < 0.7  # no square of one material: the constant is left out
    point = media.mean(axis=0)
    assert np.abs(point - 0.5).max() < 0.15  # five deviations of a point
    assert len({one.tobytes() for one in media}) == 300


def test_constant_coefficient_has_the_known_pressure() -> None:
    u = pressure(np.full((85, 85), 3.0))
    assert not u[[0, -1]].any() and not u[:, [0, -1]].any()
    assert u[42, 42] == pytest.approx(0.0736713 / 3, rel=2e-4)  # of the torsion of a square beam
    np.testing.assert_allclose(u, u.T, atol=1e-12)
    np.testing.assert_allclose(u, u[::-1], atol=1e-12)


def manufactured(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a = exp(x - 2y), u = sin(pi x) sin(2 pi y) with y along the rows, and f = -a lap u - grad a . grad u."""
    y, x = np.meshgrid(*[np.linspace(0, 1, n)] * 2, indexing="ij")
    a, u = np.exp(x - 2 * y), np.sin(np.pi * x) * np.sin(2 * np.pi * y)
    u_x = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
    u_y = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
    return a, u, a * (5 * np.pi**2 * u - u_x + 2 * u_y)


def test_smooth_coefficients_give_second_order() -> None:
    errors = []
    for n in (22, 43, 85):
        a, u, f = manufactured(n)
        errors.append(error(solve(flow_matrix(a), f[1:-1, 1:-1]), u[1:-1, 1:-1]))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.abs(orders - 2).max() < 0.05 and errors[-1] < 1e-3


def test_pressure_in_random_media_converges() -> None:
    for seed in range(3):
        a = medium(seed, 417)
        finest = pressure(a)
        errors = [error(pressure(a[::step, ::step]), finest[::step, ::step]) for step in (8, 4, 2)]  # 53, 105, 209
        assert errors[0] > errors[1] > errors[2] and errors[2] < 0.003 and errors[0] / errors[2] > 3


def test_harmonic_means_are_exact_across_layers() -> None:
    # two layers, the border between two nodes: flow through both in a row is that through their harmonic mean
    n = 8
    a = np.full((n, n), 3.0)
    a[:, n // 2 :] = 12.0
    matrix = flow_matrix(a).toarray() / (n - 1) ** 2
    inner = np.arange((n - 2) ** 2).reshape(n - 2, n - 2)
    border = matrix[inner[:, n // 2 - 2], inner[:, n // 2 - 1]]
    np.testing.assert_allclose(border, -2 / (1 / 3 + 1 / 12))
    np.testing.assert_allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert matrix[inner[0, -1], inner[1, 0]] == 0  # ends of rows are no neighbours


def test_solver_agrees_with_a_factorisation() -> None:
    a = medium(7, 43)
    a[5, 5] = 1000.0
    matrix = flow_matrix(a)
    exact = scipy.sparse.linalg.spsolve(matrix.tocsc(), np.ones(41 * 41)).reshape(41, 41)
    assert error(pressure(a)[1:-1, 1:-1], exact) < 1e-9


def test_coefficients_that_are_none() -> None:
    for wrong in (np.ones((3, 4)), np.ones((2, 2)), np.zeros((5, 5)), np.full((5, 5), np.nan)):
        with pytest.raises(ValueError, match="must be positive, on a square grid"):
            pressure(wrong)
    hopeless = np.where(np.random.RandomState(0).rand(85, 85) > 0.5, 1e-7, 1e7)
    with pytest.raises(ArithmeticError, match="differ too much"):
        pressure(hopeless)
