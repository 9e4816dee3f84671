# SPDX-License-Identifier: BSD-3-Clause
"""Steady Darcy flow through a square of two random materials: how the medium is drawn and its pressure computed."""

import numpy as np

from .extras import need

Grid = np.ndarray[tuple[int, int], np.dtype[np.float64]]

HIGH, LOW = 12.0, 3.0
_SMALLEST_RESIDUAL = 1e-10  # relative; float32, in which pressures are kept, has 6e-8
_MOST_STEPS = 1000


def medium(seed: int, points: int) -> Grid:
    r"""Draws a coefficient: 12 where a Gaussian field is positive, 3 elsewhere.

    The field is N(0, (-Laplacian + 9)^-2) on the unit square with zero Neumann boundary and zero mean,

    .. math:: g(x, y) = \sum_{k, l} \frac{z_{kl}}{\pi^2 (k^2 + l^2) + 9} \, \phi_k(x) \phi_l(y), \quad
              \phi_0 = 1, \; \phi_k(x) = \sqrt 2 \cos(k \pi x), \quad z_{kl} \sim N(0, 1), \; z_{00} = 0

    with the ``points`` lowest frequencies along each axis, summed at the grid's nodes by a cosine transform. The
    constant is left out as in the benchmark: with it, half of the squares would be almost of one material.

    Args:
        seed: 0 to 2**32 - 1. It gives the same medium with any version of NumPy, up to rounding where g is nearly 0.
        points: Grid points of a side, both edges included.

    Returns:
        ``(points, points)``, 3 or 12.

    Source: Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", 2021,
    arXiv:2010.08895, section 5.2.
    """
    k = np.arange(points)
    field = np.random.RandomState(seed).standard_normal((points, points))  # the generator whose numbers never change
    field /= np.pi**2 * (k[:, None] ** 2 + k**2) + 9
    field[0, 0] = 0
    # The transform counts its inner terms twice, so there phi's sqrt(2) is halved.
    amplitude = np.full(points, np.sqrt(0.5))
    amplitude[0], amplitude[-1] = 1, np.sqrt(2)
    field = need("scipy.fft").dctn(field * amplitude[:, None] * amplitude, type=1)
    return np.where(field > 0, HIGH, LOW)


def pressure(coefficient: Grid) -> Grid:
    """Solves -div(a grad u) = 1 on the unit square with u = 0 on its edges.

    Args:
        coefficient: a > 0 at the nodes of a square grid, edges included, ``(n, n)`` with n > 2.

    Returns:
        u at the same nodes.

    Raises:
        ValueError: The grid is no such square, or a coefficient is not positive.
    """
    n = len(coefficient)
    if coefficient.shape != (n, n) or n < 3 or not (coefficient > 0).all():
        raise ValueError(f"coefficients {coefficient.shape} must be positive, on a square grid of at least 3x3 points.")
    return np.pad(solve(flow_matrix(coefficient), np.ones((n - 2, n - 2))), 1)


def flow_matrix(coefficient: Grid) -> np.ndarray:
    """The operator u -> -div(a grad u) on the inner nodes, row by row, by differences of five points.

    Between two nodes flows the harmonic mean of their coefficients times the difference of u: two materials in a row
    add their resistances. On media of two materials that is closer to the solution on finer grids than the arithmetic
    mean (at 85x85 about 0.3 % and 0.8 % away); both are of second order where a is smooth.

    Returns:
        A sparse matrix of scipy, ``((n-2)^2, (n-2)^2)``, symmetric and positive definite.
    """
    n = len(coefficient)
    across = _harmonic_mean(coefficient[1:-1, :-1], coefficient[1:-1, 1:]) * (n - 1) ** 2
    down = _harmonic_mean(coefficient[:-1, 1:-1], coefficient[1:, 1:-1]) * (n - 1) ** 2
    right = across[:, 1:].copy()
    right[:, -1] = 0  # the last node of a row is no neighbour of the first one of the next row
    diagonal = (across[:, :-1] + across[:, 1:] + down[:-1] + down[1:]).ravel()
    beside, below = -right.ravel()[:-1], -down[1:-1].ravel()
    diagonals, offsets = [below, beside, diagonal, beside, below], [2 - n, -1, 0, 1, n - 2]
    matrix: np.ndarray = need("scipy.sparse").diags_array(diagonals, offsets=offsets, format="csr")
    return matrix


def solve(matrix: np.ndarray, source: Grid) -> Grid:
    """Solves ``flow_matrix(a) u = source`` by conjugate gradients, preconditioned by the Laplacian.

    The Laplacian's inverse is exact and cheap by sine transforms, and the condition number that it leaves is at most
    max(a) / min(a) on any grid: with 12 and 3 a step divides the error by 3, and 24 steps are enough, at a quarter of
    the time of scipy's sparse factorisation at 421x421.

    Args:
        matrix: Made by :func:`flow_matrix` of ``(n, n)`` coefficients.
        source: At the inner nodes, ``(n-2, n-2)``.

    Returns:
        u there, ``(n-2, n-2)``.

    Raises:
        ArithmeticError: The residual stays above 1e-10 of the source, because coefficients differ by too much.
    """
    fft, linalg = need("scipy.fft"), need("scipy.sparse.linalg")
    m = len(source)
    along = 4 * (m + 1) ** 2 * np.sin(np.arange(1, m + 1) * np.pi / (2 * m + 2)) ** 2
    eigenvalues = along[:, None] + along

    def inverse_laplacian(residual: np.ndarray) -> np.ndarray:
        modes = fft.dstn(residual.reshape(m, m), type=1)
        flat: np.ndarray = fft.idstn(modes / eigenvalues, type=1).ravel()
        return flat

    preconditioner = linalg.LinearOperator(matrix.shape, matvec=inverse_laplacian, dtype=np.float64)
    u, failed = linalg.cg(matrix, source.ravel(), rtol=_SMALLEST_RESIDUAL, maxiter=_MOST_STEPS, M=preconditioner)
    if failed:
        raise ArithmeticError(f"the pressure was not found in {_MOST_STEPS} steps: the coefficients differ too much.")
    solution: Grid = u.reshape(m, m)
    return solution


def _harmonic_mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mean: np.ndarray = 2 * a * b / (a + b)
    return mean
