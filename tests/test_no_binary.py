# SPDX-License-Identifier: BSD-3-Clause
"""Without compiled code the library imports, trains on the reference, and says why it is slow."""

from __future__ import annotations

import os
import subprocess
import sys

TRAIN = """
import logging, sys, torch
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
import dash_kernels as dk
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3, padding=1))
dk.convert(model, dk.SearchSpace((3, 5), (1, 2)))
optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
x = torch.randn(4, 3, 8, 8)
target = x[:, :2]
losses = []
for _ in range(15):
    loss = torch.nn.functional.mse_loss(model(x), target)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
assert losses[-1] < losses[0], losses
assert all(p.grad is not None for p in model.parameters())
print("engines", dk.engines())
"""


def python(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DASH_KERNELS_")}
    ran = subprocess.run(
        (sys.executable, "-W", "error", *arguments),
        env=environment | {"DASH_KERNELS_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_model_trains() -> None:
    output = python("-c", TRAIN)
    assert output.count("falls back to the reference engine") == 1
    assert "'reference': None" in output
    assert "'fourier': 'compiled code is switched off by DASH_KERNELS_DISABLE=1'" in output


def test_build_info_says_why() -> None:
    lines = dict(line.split("  ", 1) for line in python("-m", "dash_kernels.build_info").splitlines())
    assert lines["compiled operators"].strip() == "compiled code is switched off by DASH_KERNELS_DISABLE=1"
    assert lines["engine reference"].strip() == "works"
    assert lines["DASH_KERNELS_DISABLE"].strip() == "1"
