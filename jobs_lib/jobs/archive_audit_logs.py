"""Archive and delete audit rows older than a year, critical after 7.

Audit rows may be needed in a dispute, but are about people: so they are kept for a year, critical
ones for 7. A row whose severity is none of the three known ones (info, warning, critical) stays.

With `[archive] store` set, rows are first written into compressed files (docs/retention.md), read
back from the store and compared, and only then deleted: exactly the rows that were read back, by
their ids. Without a store they are deleted right away, unless the rows of an earlier archive are
not all deleted yet: then the option is missing by mistake. Archives are deleted after `[archive]
keep`.

Killed or run twice: each row is in the table or in exactly one archive that the table
audit_archives calls verified, out of which alone it is deleted by its id. The next run discards a
file that was not verified yet and writes it again; it finishes a verified one.
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
