"""Whether a queue has nothing for a run to do, by one statement: asked before anything is loaded
that works. Most runs end here.
"""
from __future__ import annotations


def is_idle(ctx, table: str, finished: tuple[str, ...]) -> bool:
    """Whether each row of the queue has one of the `finished` statuses, and nobody's claim. Rows of
    an unknown status are something to do: a run counts them."""
    statuses = sorted(finished)
    between = [f"status > '{one}' AND status < '{next}'"
               for one, next in zip(statuses, statuses[1:])]
    rules = (f"status < '{statuses[0]}'", *between, f"status > '{statuses[-1]}'",
             "claim_run >= ''")
    # a range of an index each, so that it costs nothing however many are finished
    parts = [f"SELECT id FROM (SELECT id FROM {{{table}}} WHERE {rule} LIMIT 1) part_{number}"
             for number, rule in enumerate(rules)]
    return not ctx.db.query(" UNION ALL ".join(parts))
