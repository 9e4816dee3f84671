# SPDX-License-Identifier: BSD-3-Clause
"""darcy85: the media of the task darcy as they are generated here, their flow solved on 85x85 points straight away.

Not the benchmark's data: its pressures come from 421x421 points, from which these differ by 0.4 %. darcy85-100 has the
first hundred of its flows alone, where computing flows is what costs: networks for it are trained in minutes.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ..config import RunConfig
from ..data.flow_sets import GeneratedFlows, Grids
from ..data.flows import flow_splits, without_end
from ..data.splits import Splits
from ..losses import summed_relative_l2
from ..metrics import RELATIVE_L2
from . import darcy
from .networks import fno_conv, wide_resnet
from .task import Task

FLOWS = GeneratedFlows(
    task="darcy85",
    grids=Grids(drawn=darcy.GENERATED.grids.drawn, solved=85, kept=85),
    seeds=darcy.GENERATED.seeds,
)
FEW = 100  # flows of darcy85-100 besides those of the test


def load(paths: Sequence[Path]) -> Splits:
    """Inputs ``(3, 85, 85)``, targets ``(85, 85)``, in the same parts as those of darcy."""
    (folder,) = paths
    return flow_splits(*without_end(FLOWS.read(folder, "train")), FLOWS.read(folder, "test"))


def load_few(paths: Sequence[Path]) -> Splits:
    """Of the first flows a tenth validates as in darcy85, and all that is fitted is fitted on the others."""
    (folder,) = paths
    coefficients, pressures = FLOWS.read(folder, "train")
    return flow_splits(*without_end((coefficients[:FEW], pressures[:FEW])), FLOWS.read(folder, "test"))


# Minutes on two cores: a twentieth of DASH's search and a fiftieth of its training; the logits take ten times larger
# steps than in DASH because the search is shorter.
DEMONSTRATION = RunConfig(
    task="darcy85",
    search_epochs=5,
    search_lr=0.01,
    alpha_lr=0.05,
    epochs=4,
    lr=0.01,
    batch_size=10,
    eval_batch_size=10,
)

DARCY85 = Task(
    summary="1,100 flows through porous squares, 85x85, generated here (2-D dense regression)",
    files=(FLOWS,),
    load=load,
    loss=summed_relative_l2,
    metric=RELATIVE_L2,
    backbones={"wrn": wide_resnet(3, 1, dense=True), "fno-conv": fno_conv(3, 1)},
    defaults=DEMONSTRATION,
)

# A pass over the flows is a tenth as long, so there are more of them.
DARCY85_FEW = dataclasses.replace(
    DARCY85,
    summary=f"darcy85 with the first {FEW} flows to learn from (2-D dense regression)",
    load=load_few,
    defaults=DEMONSTRATION.changed({"task": f"darcy85-{FEW}", "search_epochs": 100, "epochs": 60}),
)
