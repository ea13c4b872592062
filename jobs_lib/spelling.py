"""`did you mean`: the nearest known word behind a wrong one."""
from __future__ import annotations


def did_you_mean(word: str, known) -> str:
    """`; did you mean 'retry_forwards'?`, or nothing when no known word is near."""
    from difflib import get_close_matches  # loaded only where something is wrong already

    near = get_close_matches(word.strip().lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
