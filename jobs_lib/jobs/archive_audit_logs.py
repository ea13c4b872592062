"""Archive and delete audit rows older than a year, critical after 7.

Audit rows may be needed in a dispute, but they are about people. So they are kept for a year,
critical ones for 7. A row whose severity is not info, warning or critical is never deleted.

With `[archive] store` set, rows are first written into compressed files (docs/retention.md) and
read back from the store. Only rows that were read back are deleted. Without a store they are
deleted right away, unless an earlier archive is unfinished: then the option is missing by mistake.
Archives are deleted after `[archive] keep`.

Killed or run twice: each row is in the table, or in exactly one archive that was verified. With a
store, a row is deleted only when its archive was verified: the next run finishes a verified one,
and discards any other and writes it again.
"""
from __future__ import annotations

from . import Rule, keep, purge


def _run(ctx, declared) -> dict:
    from jobs_lib.features.archives import archive
    return archive(ctx, declared)


job = purge(
    table="audit_logs", schedule="29 4 * * *", sections=("archive",),
    options={
        "keep": keep("365d", "How long a row is kept in the table."),
        "keep_critical": keep("2555d", "The same for rows whose severity is critical."),
    },
    rules=(
        Rule("created_at", "severity = 'info'"),
        Rule("created_at", "severity = 'warning'"),
        Rule("created_at", "severity = 'critical'", option="keep_critical"),
    ),
    work=_run,
    sample=("id", "event", "severity", "actor", "created_at"),
)
