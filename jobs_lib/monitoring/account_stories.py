"""The story of an account or an alias: what is stored of it, by which rule that goes and when, and
the latest of its mail and notices. Counts end at COUNTED rows a table."""
from __future__ import annotations

from contextlib import suppress

from jobs_lib import catalogue, clock
from jobs_lib.database.schema import references
from jobs_lib.database.schema.tables import table
from jobs_lib.engines.rules import PRESENT, Purge, Rule
from jobs_lib.engines.work_queue import COUNTED, Kept, Wanted, view, written
from jobs_lib.errors import Missing

from . import queues
from .stories import plain, plain_kept, shown

LATEST = 5                      # items of a queue
OWN_RETENTION = "users.log_retention_days"
# what is no Purge of its own job: (job, rule)
FURTHER = {"header_snapshots": ("purge_message_logs", Rule("created_at")),
           "attempts": ("purge_job_history", Rule("began_at", option="keep_attempts"))}
WITH_IT, BY_NONE = "as long as the account", "by no rule yet: it is in use"
UNKNOWN = "of unknown status"           # the app's table has no such column


def of_user(db, config, now, id: int) -> dict | None:
    """An account; None if there is none."""
    row = db.row("SELECT * FROM {users} WHERE id = :id", id=id)
    if row is None:
        return None
    deletions = queues.named("deletions")
    ctx = view(db, config, now, config.job_named(deletions.job))
    kept = Kept(None, "", f"as your app keeps it: {deletions.job} lacks tables or columns")
    with suppress(Missing):
        kept = deletions.kept(ctx, deletions.read(ctx, row["id"]) or row)
    tables, left_out = _tables(db, config, [reference.table for reference
                                            in references.to("users")],
                               "user_id = :id", {"id": row["id"]}, row.get("log_retention_days"))
    return {"kind": "user", "id": row["id"], "state": row.get("status") or UNKNOWN,
            "tables": [*tables, *_further(db, row["id"])], "left_out": left_out,
            "latest": _latest(db, config, now, lambda queue, ctx: queue.select(
                ctx, Wanted(None, [row["id"]], None, LATEST))),
            "kept": plain_kept(kept), "stored": shown(row)}


def of_alias(db, config, now, id: int) -> dict | None:
    """An alias; None if there is none."""
    row = db.row("SELECT * FROM {aliases} WHERE id = :id", id=id)
    if row is None:
        return None

    def latest(queue, ctx) -> list[dict]:
        if queue.name != "forwards":
            return []
        ids = [each["id"] for each in db.query(
            "SELECT id FROM {failed_emails} WHERE alias_id = :id ORDER BY id DESC LIMIT :most",
            id=row["id"], most=LATEST)]
        found = [queue.read(ctx, each) for each in ids]
        return [each for each in found if each]

    owner = db.row("SELECT * FROM {users} WHERE id = :id", id=row.get("user_id"))
    # by the owner's index, which each of these tables has
    found, left_out = _tables(db, config, [reference.table for reference in references.to("aliases")
                                 if "user_id" in _columns(reference.table)],
                    "user_id = :owner AND alias_id = :id",
                    {"id": row["id"], "owner": row.get("user_id")},
                    owner and owner.get("log_retention_days"))
    kept = Kept(None, "", "as long as its owner keeps it, or until the account is deleted")
    active = row.get("active", 1) == 1          # where there is no such column, nothing ends it
    if active and (end := clock.parse_any(row.get("expires_at"))):
        kept = Kept(end, "", "then expire_aliases switches it off; it is kept as long as its owner "
                    "keeps it")
    return {"kind": "alias", "id": row["id"], "state": "active" if active
            else "switched off", "tables": found, "left_out": left_out,
            "latest": _latest(db, config, now, latest), "kept": plain_kept(kept),
            "stored": shown(row)}


def _columns(name: str) -> set:
    return {column.name for column in table(name).columns}


def _latest(db, config, now, select) -> list[dict]:
    found = []
    for queue in queues.QUEUES[:5]:             # a deletion is the account itself
        ctx = view(db, config, now, config.job_named(queue.job))
        with suppress(Missing):             # its table is among those that are left out
            found += [{"kind": queue.item, **plain(item)}
                      for item in queue.describe(ctx, select(queue, ctx))]
    return found


def _tables(db, config, names: list[str], rule: str, values: dict,
            own_days) -> tuple[list[dict], list[str]]:
    """A line for each table with rows, and for each rule by which they go; and the tables that are
    not there, or lack a column."""
    rules: dict = {name: [each] for name, each in FURTHER.items()}
    for job in catalogue.load_all():
        if isinstance(job.run, Purge):
            rules.setdefault(job.run.table, []).extend((job.name, each) for each in job.run.rules)
    lines, left_out = [], []
    for name in dict.fromkeys(names):
        try:
            number, _ = _count(db, name, rule, values)
            found = [by_rule for job, each in rules.get(name, ()) if number and (
                by_rule := _by_rule(db, config, name, job, each, rule, values, own_days))]
        except Missing:
            left_out.append(name)
            continue
        if not number:
            continue
        left = number - sum(each["rows"] for each in found)
        if left > 0:
            found.append({"rows": left, "option": "", "next_at": None,
                          "rule": BY_NONE if name in rules else WITH_IT})
        lines.append({"table": name, "rows": number, "more": number == COUNTED, "rules": found})
    return lines, left_out


def _further(db, id) -> list[dict]:
    """A line for each further table of the app's with rows of the account."""
    lines = []
    for further in db.name.also:
        with suppress(Missing):             # `doctor` names it
            if number := further.number(db, [id]):
                lines.append({"table": further.table, "rows": number, "more": False, "rules": [
                    {"rows": number, "option": "", "next_at": None, "rule": WITH_IT}]})
    return lines


def _by_rule(db, config, name: str, job: str, rule: Rule, owned: str, values: dict,
             own_days) -> dict | None:
    """How many of the rows go by this rule, and when the first of them; None if none does."""
    conditions, given = [owned], dict(values)
    for column, value in rule.only.items():
        if value is None or value is PRESENT:
            conditions.append(f"{column} IS {'NOT ' if value is PRESENT else ''}NULL")
        else:
            conditions.append(f"+{column} = :only_{column}")
            given[f"only_{column}"] = value
    age = rule.age if rule.fallback is None else f"COALESCE({rule.age}, {rule.fallback})"
    number, oldest = _count(db, name, " AND ".join(conditions), given, age)
    if not number:
        return None
    wait, option = rule.later, ""
    if rule.option:
        keep = getattr(config.job_named(job), rule.option)
        option = written(config, job, rule.option)
        if keep is None:
            return {"rows": number, "option": option, "rule": "never", "next_at": None}
        wait = wait + keep
    first = clock.parse_any(oldest)
    words = f"counted from {rule.age}"
    if name == "message_logs" and own_days is not None:
        words += f"; its owner's own retention is {own_days} days ({OWN_RETENTION})"
    return {"rows": number, "option": option or job, "rule": words,
            "next_at": clock.text(clock.plus(first, wait)) if first else None}


def _count(db, name: str, rule: str, values: dict, age: str = "NULL") -> tuple:
    """(how many rows, the earliest valid time in `age`), of COUNTED that are looked at."""
    row = db.row("SELECT COUNT(*) AS number, MIN(CASE WHEN age >= :earliest THEN age END) AS oldest"
                 f" FROM (SELECT {age} AS age FROM {{{name}}} WHERE {rule} LIMIT :most) found",
                 **values, most=COUNTED, earliest=clock.FIRST)
    return row["number"], row["oldest"]
