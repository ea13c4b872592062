"""What the purge benchmark prints: a table for each race, whether the goals were met, and how cost
grows with size."""
from __future__ import annotations

import statistics

from tests.benchmarks.figures import beside_goal
from tests.benchmarks.purge_cases import Case

ARCHIVER = "pt-archiver, bulk 1000"
GOALS = {("sqlite", "plain"): {"rate": {"one DELETE": 0.4}}, ("sqlite", None): {"p99": 20.0},
         ("mariadb", "plain"): {"rate": {"one DELETE": 0.75, ARCHIVER: 2.5}},
         ("mariadb", None): {"max": 20.0}}
# the rate and the memory of the largest size, of the smallest's: noise apart
LINEAR, FLAT = 0.8, 1.1


def middle(outcomes: list, *names: str) -> float:
    """The median over the rounds."""
    values = []
    for outcome in outcomes:
        for name in names:
            outcome = outcome[name]
        values.append(outcome)
    return statistics.median(values)


def rates(found: dict, over: str = "seconds") -> dict:
    """{name: rows a second in each round}."""
    return {name: [outcome["deleted"] / outcome[over] for outcome in outcomes] for name,
            outcomes in found.items()}


def ratio(rates: dict, name: str, other: str) -> float:
    """The median of the rounds, each by itself: what else the machine did meanwhile hits both."""
    pairs = [mine / others for mine, others in zip(rates[name], rates[other]) if mine and others]
    return statistics.median(pairs) if pairs else float("nan")


def show(engine: str, name: str, case: Case, rows: int, found: dict) -> None:
    """A table, and the goals."""
    base, rounds = [*case.contestants][1], max(map(len, found.values()))
    print(f"\n{engine}, {name}: half of {rows:,} rows {case.title}, median of {rounds}")
    print(f"  {'':<24}{'rows/s':>9}{'of ' + base:>22}{'clean':>7}{'MB':>6}"
          "    update p99 / max ms    insert p99 / max ms")
    took, clean = rates(found), rates(found, "clean")
    for who, outcomes in found.items():
        ratios = [f"{ratio(each, who, base):.2f}" if base in each and took[who][0] else "-"
                  for each in (took, clean)]
        waits = "".join(f"{middle(outcomes, kind, 'p99'):12.1f} / "
                        f"{middle(outcomes, kind, 'max'):8.1f}" for kind in ("update", "insert"))
        notes = {outcome["note"] for outcome in outcomes if "note" in outcome}
        print(f"  {who:<24}{statistics.median(took[who]):9,.0f}{ratios[0]:>22}{ratios[1]:>7}"
              f"{middle(outcomes, 'memory') / 1024:>6.0f}{waits}  {' '.join(notes)}")
        if "query_ms" in outcomes[0]:
            print(f"  {'':<24}one user's totals are read in {middle(outcomes, 'query_ms'):.2f} ms")
    if "ours" in found:
        _goals(engine.lower(), name, found, took)


def _goals(engine: str, case: str, found: dict, took: dict) -> None:
    """What was to be reached, and whether it was."""
    for name, least in GOALS.get((engine, case), {}).get("rate", {}).items():
        if name in took:
            print(f"  ours / {name}: " + beside_goal(
                f"{engine}, {case}: ours, relative to {name}", ratio(took, "ours", name),
                at_least=least))
    for figure, most in GOALS[engine, None].items():
        worst = max(middle(found["ours"], kind, figure) for kind in ("update", "insert"))
        print(f"  the writer's {figure}: " + beside_goal(
            f"{engine}, {case}: another writer waits, {figure}", worst, at_most=most, unit=" ms"))


def compare_sizes(title: str, sizes: dict) -> None:
    """Whether the cost is linear and memory flat: `sizes` is {rows: found}."""
    small, large = min(sizes), max(sizes)
    if small == large or not all("ours" in found for found in sizes.values()):
        return
    rate = (statistics.median(rates(sizes[large])["ours"])
            / statistics.median(rates(sizes[small])["ours"]))
    memory = middle(sizes[large]["ours"], "memory") / middle(sizes[small]["ours"], "memory")
    print(f"\n{title}: {large:,} rows of {small:,}: rows/s {rate:.2f} (linear: "
          f"{'yes' if rate >= LINEAR else 'no'}), peak memory {memory:.2f} (flat: "
          f"{'yes' if memory <= FLAT else 'no'})")
