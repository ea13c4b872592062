"""What waits in an app's tables and would be given up as invalid, without an attempt or a notice:
an id that is missing, text where a number belongs. Only some rows are looked at, and never by a
run."""
from __future__ import annotations

from collections import Counter

from jobs_lib import catalogue
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.engines.rows import has_status, invalid
from jobs_lib.errors import ConfigError, DatabaseError

from .forecast import looked_at
from .queues import CLAIMED

OF_ALL = ("id", "user_id", "status", "attempts", "next_attempt_at", "created_at", "uncertain")
LOOKED_AT = 2000            # rows of a table
EMPTY_SENDER = ("That counts as the empty one of a bounce, `<>`: of such a forward nobody gets a "
                "bounce or a notice, if it fails.")
MISSING = "is missing"


def look(db, config, now) -> list[tuple[str, str, str]]:
    """(what there is, what that means, what to do)."""
    found = []
    jobs = {job.name: job for job in catalogue.load_all([])}
    for queue in CLAIMED:
        if queue.table not in TABLES or queue.job not in jobs:
            continue
        try:
            ctx = looked_at(db, config, now, jobs[queue.job])
            if not ctx.options.enabled:
                continue
            engine = queue.engine(ctx)
            rows = db.query(db.as_text(
                f"SELECT {', '.join(dict.fromkeys((*OF_ALL, *engine.columns)))} FROM "
                f"{{{queue.table}}} WHERE {has_status('pending')} LIMIT {LOOKED_AT}"))
        except (ConfigError, DatabaseError):
            continue                    # misfits.py and `config check` say what does not fit
        senders = sum("envelope_from" in row and row["envelope_from"] is None for row in rows)
        some = f"of {len(rows):,} {queue.name} that wait and were looked at"
        reasons = Counter(invalid(db, queue.table, rows).values())
        for reason, number in reasons.most_common():
            found.append((f"{number:,} {some} would be given up as invalid: {reason}",
                          "Each ends as failed, without an attempt or a notice.",
                          _fix(db.name, queue.table, reason)))
        if senders:
            found.append((f"{senders:,} {some} have NULL for a sender (envelope_from)",
                          EMPTY_SENDER,
                          "Let your app store the sender that it was given, if it was another."))
    return found


def _fix(names, table: str, reason: str) -> str:
    column = reason.split()[1] if reason.startswith("its ") else ""
    if (reason.endswith(MISSING) and column.endswith("_id") and column != "user_id"
            and not names.expression(table, column)):
        return (f"Where there is none, let [columns] read 0, or '' of a text: {table}.{column} = "
                f"COALESCE({names.column(table, column)}, 0).")
    return "Correct these rows, or let an expression in [columns] read them: docs/adoption.md."
