"""A failing run with as few of its faults as still make it fail."""
from __future__ import annotations

MOST = 60                    # runs that it may take


def shrink(make, planned: list, wrong, server=None) -> list:
    """The shortest list of faults found that breaks the same rule. `make(faults)` makes a
    Simulation; only faults before the failure are tried."""
    rule = wrong.sentence.partition(":")[0]
    left, tries = [fault for fault in planned if fault.at <= wrong.second], 0

    def fails(some: list) -> bool:
        nonlocal tries
        tries += 1
        url = server.database(f"shrink_{tries}") if server else None
        simulation = make(some, url) if url else make(some)
        simulation.days = min(simulation.days, int(wrong.second // 86400) + 1)
        found = simulation.run()
        simulation.remove()
        return found is not None and found.sentence.partition(":")[0] == rule

    parts = 2
    while len(left) > 1 and tries < MOST:
        size = -(-len(left) // parts)
        for start in range(0, len(left), size):
            fewer = left[:start] + left[start + size:]
            if tries < MOST and fails(fewer):
                left, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(left), parts * 2)
    return [] if left and fails([]) else left
