# SPDX-License-Identifier: BSD-3-Clause
"""`make bench`: every layer of `entries.py`, MixedConv beside its rivals, after the correctness gate."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .entries import Entry
from .gate import check
from .report import Row, Timed
from .rivals import FORMATS, MIXED_CONV, PLAIN, Contestant
from .timing import Race, timed_step

LAPS, QUICK_LAPS = 15, 5
# Whoever needs seconds for a step has fewer turns: (from so many seconds on, share of the laps).
SHARES = ((2.0, 0.2), (0.5, 0.5), (0.0, 1.0))


def warm_up(contestant: Contestant) -> float:
    """Seconds of the second step, the first being slowed by page faults; of the first where it takes long."""
    contestant.refresh()
    seconds = timed_step(contestant).both
    if seconds < SHARES[0][0]:
        contestant.refresh()
        seconds = timed_step(contestant).both
    return seconds


def entrants(entry: Entry, laps: int) -> list[tuple[Contestant, int]]:
    """The rivals, warmed up, each with its number of turns."""
    full = entry.batch
    rivals = [Contestant(PLAIN, entry, full, form) for form in FORMATS] + [Contestant("torch.fft", entry, full)]
    chosen = [(rival, turns(warm_up(rival), laps)) for rival in rivals]
    for name in ("mixed results", "mixed weights"):
        batch = entry.batch_of(name)
        if batch == full:  # torch's convolution all through: in the memory format that suits it
            formats = [(rival, warm_up(rival)) for rival in (Contestant(name, entry, full, form) for form in FORMATS)]
            rival, seconds = min(formats, key=lambda pair: pair[1])
            chosen.append((rival, turns(seconds, laps)))
        elif batch:
            chosen.append((Contestant(name, entry, batch), 1))
    return chosen


def turns(seconds: float, laps: int) -> int:
    return max(2, round(laps * next(share for limit, share in SHARES if seconds >= limit)))


@pytest.fixture
def checked(entry: Entry) -> Entry:
    check(entry)
    return entry


def test_layer(checked: Entry, rows: list[Row], benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> None:
    entry = checked
    laps = QUICK_LAPS if pytestconfig.getoption("quick") else LAPS
    main = Contestant(MIXED_CONV, entry, entry.batch)
    warm_up(main)
    rivals, counts = zip(*entrants(entry, laps), strict=True)
    race = Race(main, rivals, counts, laps)
    # pytest-benchmark times our own step; the rivals have their turn in the set-up between its rounds.
    benchmark.pedantic(race.main_turn, setup=race.rivals_turn, rounds=laps)
    timed = [Timed.of(main, race.main_samples)]
    timed += [Timed.of(rival, samples) for rival, samples in zip(race.rivals, race.rival_samples, strict=True)]
    rows.append(Row(entry, timed))
    benchmark.extra_info |= rows[-1].data()["ratios"]
