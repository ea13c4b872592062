"""What export_accounts would do, for a dry run."""
from __future__ import annotations

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines import past_time

from . import requests
from .link import url
from .work_queue import QUEUE

SHOWN = 10


def preview(ctx) -> dict:
    """Show it, and return the counts. How many rows an account has is not counted."""
    rule, values = past_time.spared(ctx, QUEUE)
    requests.count_unclaimable(ctx, rule, **values)
    most = ctx.within_limit(requests.AT_ONCE)
    rows, over = requests.first(ctx, most, rule, **values), requests.over(ctx, most)
    refused = [row for row in rows if requests.refusal(ctx, requests.owner(ctx, row), row)]
    made = [row for row in rows if row not in refused]
    missing = "" if url(ctx) else "set [export] url, or [core] app_url"
    problem = misplaced(ctx.section, "export", "dir") or missing
    for title, some, note in (
            ("export {} account{}", made, problem and f"a run would fail: {problem}"),
            ("refuse {} request{}", refused, ""),
            ("delete {} export{} whose time is over", over, "")):
        if some:
            ctx.show(title.format(f"{len(some):,}", "s" * (len(some) != 1)), some[:SHOWN], note)
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}
