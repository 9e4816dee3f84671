# SPDX-License-Identifier: BSD-3-Clause
"""darcy85: the media of the task darcy as they are generated here, their flow solved on 85x85 points straight away.

Not the benchmark's data: its pressures come from 421x421 points, from which these differ by 0.4 %. darcy85-100 has the
first hundred of its flows alone, as where flows are dear, and networks for it are trained in minutes.
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
FLOWS_100 = dataclasses.replace(FLOWS, seeds={**FLOWS.seeds, "train": range(100)})  # in the same folder


def load(paths: Sequence[Path]) -> Splits:
    """Inputs ``(3, 85, 85)``, targets ``(85, 85)``, in the same parts as those of darcy."""
    return _parts(FLOWS, paths)


def load_100(paths: Sequence[Path]) -> Splits:
    """The same of fewer flows; what is fitted is fitted on those of them that do not validate."""
    return _parts(FLOWS_100, paths)


def _parts(flows: GeneratedFlows, paths: Sequence[Path]) -> Splits:
    (folder,) = paths
    return flow_splits(*without_end(flows.read(folder, "train")), flows.read(folder, "test"))


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

# A pass over so few flows is 9 steps of training and 2 of the search, so there are more passes.
DARCY85_100 = dataclasses.replace(
    DARCY85,
    summary="100 of the flows of darcy85, 85x85, and 100 to test, generated here (2-D dense regression)",
    files=(FLOWS_100,),
    load=load_100,
    defaults=DEMONSTRATION.changed({"task": "darcy85-100", "search_epochs": 50, "epochs": 30}),
)
