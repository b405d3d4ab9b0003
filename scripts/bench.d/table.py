"""Figures and goals, and what becomes of the measured values: a table for people, JSON for programs."""

import statistics
from dataclasses import dataclass

import machine

QUIET = 0.2  # processors that others may keep busy


def seconds(value):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def rate(value):
    """So many a second; of what, the title says."""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}/s"
    return f"{value:.3g} /s"


def share(value):
    """Of one processor."""
    return f"{value * 100:.3g} %"


def times(ratio):
    """A ratio, as short as can be."""
    if ratio is None:
        return "-"
    return "<0.001x" if 0 <= ratio < 0.001 else f"{ratio:.3g}x"


@dataclass
class Goal:
    """What ought to be: of the ratio of ours to the peer's, or of our value itself."""

    value: float
    at_most: bool
    ratio: bool = True

    def met(self, ours, ratio):
        value = ratio if self.ratio else abs(ours)
        return value is not None and (value <= self.value if self.at_most else value >= self.value)

    def text(self, show):
        return f"{'<=' if self.at_most else '>='} {f'{self.value:g}x' if self.ratio else show(self.value)}"


@dataclass
class Figure:
    """One line of a row: what is measured, how a value of it is shown, what ought to be."""

    key: str
    title: str
    unit: str
    show: callable = seconds
    goal: Goal | None = None  # towards the first peer


class Result:
    """The values of one row: `values[figure][contender]`, one of each round."""

    def __init__(self, name, row, contenders, values, chosen, bench, busy):
        self.name, self.row, self.contenders, self.values = name, row, contenders, values
        self.rounds, self.quick, self.busy, self.notes = chosen.rounds, chosen.quick, busy, bench.notes
        self.preferred = bench.placed and bench.preferred
        self.pinned = (bench.sender, bench.receiver) if bench.placed and bench.pinned else None
        self.versions = row.versions(bench)

    def lines(self):
        """Of each figure: itself, each contender's values, medians, ours to each peer's; whether the first peer is beaten."""
        for figure in self.row.FIGURES:
            values = [self.values.get(figure.key, {}).get(contender, []) for contender in self.contenders]
            medians = [statistics.median(own) if own else None for own in values]
            ours = medians[0]
            ratios = [abs(ours) / abs(theirs) if ours is not None and theirs else None for theirs in medians[1:]]
            met = figure.goal.met(ours, ratios[0]) if figure.goal and ours is not None else None
            yield figure, values, medians, ratios, met

    def text(self):
        rows = [(self.name, *(self.versions[contender] for contender in self.contenders), "ratio", "goal")]
        for figure, values, medians, ratios, met in self.lines():
            cells = [f"{figure.show(m)} ({spread(figure, v)})" if v else "-" for m, v in zip(medians, values)]
            goal = f"{figure.goal.text(figure.show)} {'met' if met else 'NOT MET'}" if met is not None else ""
            rows.append((figure.title, *cells, " ".join(map(times, ratios)), goal))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"  {line}" for line in self.surroundings())]) + "\n"

    def surroundings(self):
        busy = self.busy
        yield (
            f"medians of {self.rounds} by turns (least..most){', --quick' if self.quick else ''}, in {busy['seconds']:.0f} s;"
            f" load {busy['load_before']:.1f} before, {busy['load_after']:.1f} after; others kept"
            f" {busy['processors_busy_with_others']:.2f} of {machine.described()['processors']} processors busy, the host of this machine took {busy['processors_stolen']:.2f}"
        )
        if busy["processors_busy_with_others"] + busy["processors_stolen"] > QUIET:
            yield "NOISY: measure again when others are quiet"
        pinned = "nothing is pinned to a processor"
        if self.pinned:
            pinned = f"senders are pinned to processor {self.pinned[0]}, receivers to {self.pinned[1]}"
        yield pinned + ("; both run before others (nice -20)" if self.preferred else "")
        yield from self.notes

    def json(self):
        figures = []
        for figure, values, medians, ratios, met in self.lines():
            contenders = {
                contender: {"median": median, "min": min(own), "max": max(own), "values": own}
                for contender, own, median in zip(self.contenders, values, medians)
                if own
            }
            goal = figure.goal and {
                "of": "ratio" if figure.goal.ratio else "value",
                "at_most" if figure.goal.at_most else "at_least": figure.goal.value,
                "met": met,
            }
            figures.append({
                "figure": figure.key, "title": figure.title, "unit": figure.unit,
                "contenders": contenders, "ratios": dict(zip(self.contenders[1:], ratios)), "goal": goal,
            })
        return {
            "row": self.name, "versions": self.versions, "rounds": self.rounds, "quick": self.quick,
            "pinned": self.pinned and {"sender": self.pinned[0], "receiver": self.pinned[1]},
            "busy": self.busy, "notes": self.notes, "figures": figures,
        }


def spread(figure, values):
    least, most = figure.show(min(values)), figure.show(max(values))
    same = least.split()[1:] == most.split()[1:]
    return f"{least.split()[0] if same else least}..{most}"


def document(results, skipped, failures):
    """Everything, as `--json` writes it."""
    return {
        "machine": machine.described(),
        "rows": [result.json() for result in results],
        "skipped": [{"row": row, "needs": lack} for row, lack in skipped.items()],
        "failed": failures,
    }
