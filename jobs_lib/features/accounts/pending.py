"""Whether a run has any account to look at: most runs have none, and load nothing that deletes."""
from __future__ import annotations

from jobs_lib.database import stored
from jobs_lib.engines.rows import has_status

from . import ledger


def is_anything_pending(ctx) -> bool:
    """Whether any account is deleted, or was erased so lately that late rows may come; or a
    confirmation is remembered, which a run that deletes all takes back."""
    remembered = ctx.db.value("SELECT last_options FROM {job_state} WHERE job = :job",
                              job=ctx.job.name)
    deleted = f"SELECT id FROM {{users}} WHERE {has_status('deleted')} LIMIT 1"
    return (ctx.db.row(deleted) is not None or any(stored.memory(remembered).values())
            or bool(ledger.recent(ctx)))
