# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: rows of the table, each with several contestants and what is promised of ours; and curves."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

OURS = "postern"


@dataclass
class Target:
    """What Postern's figure must be of another contestant's: at least, or at most, so many times it."""

    against: str
    factor: float
    is_least: bool = True

    def is_met_by(self, ratio):
        return ratio >= self.factor if self.is_least else ratio <= self.factor

    def __str__(self):
        return ("≥ " if self.is_least else "≤ ") + f"{self.factor:g}"


def at_least(factor, against):
    return Target(against, factor)


def at_most(factor, against):
    return Target(against, factor, is_least=False)


@dataclass
class Row:
    """One line of the table. `contestants` are functions that measure once, by name; "postern" is one of them."""

    what: str
    unit: str
    contestants: dict[str, Callable[[], float]]
    targets: list[Target]
    rounds_max: int = 1000  # fewer where a round takes long, and says enough
    values: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, number):
        """A round: everybody once. Each round another one begins, so that none is always measured on a warm machine."""
        names = list(self.contestants)
        if number >= self.rounds_max:
            return
        for name in names[number % len(names):] + names[:number % len(names)]:
            self.values.setdefault(name, []).append(self.contestants[name]())

    def warm_up(self):
        for measure in self.contestants.values():
            measure()

    def median(self, name):
        return statistics.median(self.values[name])

    def ratios(self, target):
        """A ratio a round: what drifts between rounds does not count."""
        return [ours / theirs for ours, theirs in zip(self.values[OURS], self.values[target.against])]

    def ratio(self, target):
        return statistics.median(self.ratios(target))

    def spread(self, target):
        """Half of the ratios lie between these two."""
        ratios = self.ratios(target)
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return low, high

    def as_json(self):
        return {"what": self.what, "unit": self.unit, "values": self.values, "targets": [
            {"against": target.against, "at_least" if target.is_least else "at_most": target.factor,
             "ratios": self.ratios(target), "ratio": self.ratio(target), "spread": self.spread(target),
             "is_met": target.is_met_by(self.ratio(target))} for target in self.targets]}


@dataclass
class Curve:
    """How figures change with something: each contestant is a function of it, and returns them by name."""

    what: str
    of: str  # what x is: "clients"
    points: list[int]
    contestants: dict[str, Callable[[int], dict[str, float]]]
    values: dict[str, dict[int, list[dict[str, float]]]] = field(default_factory=dict)

    def measure(self, number):
        names = list(self.contestants)
        for x in self.points:
            for name in names[number % len(names):] + names[:number % len(names)]:
                figures = self.contestants[name](x)
                self.values.setdefault(name, {}).setdefault(x, []).append(figures)

    def warm_up(self):
        """The first point will be the coldest, whatever is done."""

    def median(self, name, x, figure):
        return statistics.median(figures[figure] for figures in self.values[name][x])

    def figure_names(self):
        return list(next(iter(next(iter(self.values.values())).values()))[0])

    def as_json(self):
        return {"what": self.what, "of": self.of, "values": self.values}
