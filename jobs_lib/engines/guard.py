"""One guard: no mistake acts on everybody.

A config cut short, a resolver that lies, an UPDATE without a WHERE make everything look wrong at
once. So what could do harm to many asks here first, and the guard counts before it acts:

stops  mass change: so many are in that state *now*, done or not, that it may be a mistake. Nothing
       of that kind is done to anybody, until the number has fallen or `JOB --yes` confirms it
kept   changed rules: rows that would be deleted only because a retention became shorter stay

The third rule, doubt about the clock or the database, is the runner's (runner/doubt.py). What has
to be known of the last run is `ctx.memory`, the column `job_state.last_options`:

    options     {"keep": 7776000}       its retentions, in seconds
    confirmed   {"accounts": 200}       what was confirmed, until the number falls
    held        {"accounts": {"count": 200, "of": 300, ...}}        fields of Held
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple
from jobs_lib.text import setting

from .due import lacks

DAY = timedelta(days=1)
NEVER = 10 ** 10                # the retention `off`, in seconds; also what is not known
STORE = "store"                 # NEVER where rows are archived first, else 0
LEAST_ROWS, SHARE_OF_ROWS = 10, 0.2  # a changed rule may take so many, or this share
EXAMPLES = 3
PATIENCE = 7 * DAY

Kind = namedtuple("Kind", "what now all act fix least share unit", defaults=(0.2, "COUNT(*)"))
Kind.__doc__ = """What is counted before it is done: `now` out of `all`, both in `unit`, with the
values of `_values`. Up to `least`, or that `share` of all if it is more, it is no mass change.
`act`: what a run does to those; `fix`: what to do where it is a mistake."""

Held = namedtuple("Held", "name what count of since why")
Held.__doc__ = """What is held back: the kind or the table, and the same in words; how many `of` how
many; since when; and why, in a sentence."""

OWNERS = "COUNT(DISTINCT user_id)"
# MIN(...), not EXISTS: that MariaDB may answer by reading the whole of the other table
KINDS = {
    "domains": Kind(
        "owners of verified domains that fail",
        "{domains} WHERE status = 'verified' AND failing_since IS NOT NULL",
        "{domains} WHERE status = 'verified'", "warns them or fails their domains",
        "correct [dns] or its name server", 2, unit=OWNERS),
    "endpoints": Kind(
        "owners of webhooks that fail",
        "{webhooks} WHERE active = 1 AND failing_since IS NOT NULL",
        "{webhooks} WHERE active = 1", "warns them or disables their webhooks",
        "correct what `jobs.py queue webhooks` shows", 3, unit=OWNERS),
    "aliases": Kind(
        "aliases past their end",
        "{aliases} WHERE (active = 1 AND expires_at >= :first AND expires_at < :now) "
        "OR (active = 0 AND expires_at > :day_ago AND expires_at < :now)",
        "{aliases} WHERE active = 1", "switches them off",
        "correct every wrong `aliases.expires_at` in one UPDATE", 5),
    "accounts": Kind(
        "accounts marked as deleted",
        "{users} WHERE status = 'deleted'", "{users} WHERE 1 = 1", "closes them",
        "correct every wrong row of `users` at once (docs/accounts.md, Marked by mistake)", 5, 0.1),
    "destinations": Kind(
        "destinations that were never verified",
        "{destinations} WHERE verified_at IS NULL AND created_at >= :first "
        "AND created_at < :announced AND (SELECT MIN(alias_id) FROM {alias_destinations} "
        "WHERE {alias_destinations}.destination_id = {destinations}.id) IS NULL",
        "{destinations} WHERE 1 = 1", "announces their removal",
        "correct every wrong `destinations.verified_at` in one UPDATE", 5),
    "header_snapshots": Kind(
        "header snapshots without a log row",
        "{header_snapshots} WHERE (SELECT MIN(id) FROM {message_logs} "
        "WHERE {message_logs}.id = {header_snapshots}.message_log_id) IS NULL",
        "{header_snapshots} WHERE 1 = 1", "deletes them",
        "put the missing rows of `message_logs` back in one transaction", 10),
    "log_retentions": Kind(
        "users with a log retention of their own",
        # each number is: a range of the index, IS NOT NULL would be all of it
        "{users} WHERE log_retention_days < 1000000000", "{users} WHERE 1 = 1",
        "deletes their logs by it", "correct every wrong `log_retention_days` in one UPDATE", 3),
}
REMEMBERED = "log_retentions"   # the kind of which only what came since the last run is counted
URGENT = "accounts"             # the kind that waits no longer than PATIENCE: then the run fails
QUEUED = "queued"               # the kind of a queue's rows that lack somebody
ENDED = ("sent", "delivered", "failed", "cancelled")  # counts of rows that wait no longer


def _kind(name: str, queue=None) -> Kind:
    """The Kind of that name; QUEUED is about the Queue (due.py)."""
    if name != QUEUED:
        return KINDS[name]
    waiting = f"{{{queue.table}}} WHERE status = '{queue.waits}'"
    return Kind("waiting items whose owner, alias or webhook is missing",
                f"{waiting} AND ({lacks(queue)})", waiting, "cancels them",
                "put the missing rows back in one transaction", 5)


def _values(options, now) -> dict:
    """What the kinds count by, of a job with these options."""
    return {"first": clock.FIRST, "now": now, "day_ago": now - DAY,
            "announced": announced(options, now, getattr(options, "remove_after", None))}


def announced(options, now, after: timedelta | None):
    """Of a destination created before this, the removal is announced, `after` so long."""
    return now - max(after - options.warn_before, 0 * DAY) if after else clock.FIRST


# Mass change

def stops(ctx, name: str, queue=None, **values) -> str | None:
    """Why nothing of this kind is done in this run, in a sentence; None where it may be done.

    Asked before the first change of that kind; a run counts once. `name`: a key of KINDS, or QUEUED
    with the job's Queue; `values` replace its own. JobsError once an urgent kind waits too long.
    """
    if name in ctx.judged:
        return ctx.judged[name]
    kind, why = _kind(name, queue), None
    values = {**_values(ctx.options, ctx.now), **values}
    # a queue's run has ended others before it meets the first one
    done = sum(ctx.counts.get(each, 0) for each in ENDED) if name == QUEUED else 0
    count, known, limit, total = _look(ctx.db, kind, values, _confirmed(ctx, name), done)
    if count - known > limit:
        some = ctx.db.query(f"SELECT id FROM {kind.now} LIMIT :most", **values, most=EXAMPLES)
        examples = ", ".join(str(row["id"]) for row in some)
        why = (f"{count:,} of {total:,} {kind.what}: so many at once (such as ids {examples}) may "
               f"be a mistake, and nothing is done to any of them. If it is, {kind.fix}: once at "
               f"most {known + limit:,} are left, the next run {kind.act} without asking. If all "
               f"are meant, `jobs.py {ctx.job.name}{ctx.config.overrides} --yes` confirms this "
               "number")
        _hold(ctx, name, what=kind.what, count=count, of=total, why=why)
    elif not ctx.limit:  # with --limit, --yes is for this run alone
        _note(ctx, held={name: None}, confirmed={name: count if name == REMEMBERED else known})
    ctx.judged[name] = why
    return why


def _look(db, kind: Kind, values: dict, known: int, done: int = 0) -> tuple[int, int, int, int]:
    """(how many there are, how many of these are confirmed, up to how many more are no mass change,
    of how many). `known`: so many were confirmed; `done`: so many more there were at first."""
    count, total = db.value(f"SELECT {kind.unit} FROM {kind.now}", **values), 0
    known = min(count, known)       # forgotten as the number falls
    if count - known > kind.least:  # few are none, whatever the total
        total = db.value(f"SELECT {kind.unit} FROM {kind.all}") + done
    return count, known, max(kind.least, int(kind.share * total)), total


def end_fallen(db, options_of, queues: dict, now) -> None:
    """Forget what was held back or confirmed of numbers that have fallen since: a job that has
    nothing to do does not ask. `options_of(job)`: its options; queues: {job: its Queue}."""
    for row in db.query("SELECT job, last_options FROM {job_state}"):
        job, memory = row["job"], _held_back(row["last_options"])
        confirmed = _part(memory, "confirmed")
        for name in {*_part(memory, "held"), *confirmed}:
            if name in KINDS or (name == QUEUED and job in queues):  # else of `kept`
                try:
                    values = _values(options_of(job), now)
                except JobsError:  # that job does not run until its file or section is corrected
                    continue
                count, known, limit, _ = _look(
                    db, _kind(name, queues.get(job)), values, confirmed.get(name, 0))
                memory = remember(
                    db, job, memory, now,
                    held={name: None} if count - known <= limit else {},
                    confirmed={} if name == REMEMBERED else {name: known})


# Changed rules

def kept(ctx, table: str, limits: dict, count, has_store: bool | None = None,
         what: str = "", unit: str = "COUNT(*)") -> dict:
    """The retentions that count in this run, {option: timedelta, None where it is off}: `limits`,
    or where these would delete much only because they were changed, the longer of each and that of
    the last run.

    `count(limits)`: how many they delete, in `unit`; `what`: what these are called. `has_store`:
    whether they are archived before; None where they never are. Where a store is gone, the longer
    of each is for ever.
    """
    rule = f"rule:{table}"  # a kind may have the name of a table
    what = what or f"rows in {table}"
    asked = {name: NEVER if keep is None else int(keep.total_seconds())
             for name, keep in limits.items()}
    if has_store is not None:
        asked[STORE] = NEVER if has_store else 0
    last = _part(ctx.memory, "options")
    most = {name: max(seconds, last.get(name, NEVER)) for name, seconds in asked.items()}
    if most != asked:
        is_lost = most.get(STORE) != asked.get(STORE)
        longer = {name: None if is_lost or most[name] >= NEVER else timedelta(seconds=most[name])
                  for name in limits}
        going = count(limits) - count(longer)
        total = ctx.db.value(f"SELECT {unit} FROM {{{table}}}") if going > LEAST_ROWS else 0
        if going - _confirmed(ctx, rule) > max(LEAST_ROWS, SHARE_OF_ROWS * total):
            changes = ", ".join(_change(name, seconds, last.get(name))
                                for name, seconds in asked.items() if most[name] != seconds)
            undo = "leave --set out" if ctx.config.overrides else "correct config.ini"
            _hold(ctx, rule, what=what, count=going, of=total, why=(
                f"{going:,} of {total:,} {what}: they would be deleted only because of "
                f"{changes}. They stay. If it is a mistake, {undo}. If it is meant, "
                f"`jobs.py {ctx.job.name}{ctx.config.overrides} --yes` confirms it"))
            return longer
    if not (ctx.limit and ctx.confirmed):  # as in `stops`
        # before the first DELETE: a kill between the two asks nothing twice. --set is for one run
        _note(ctx, options={} if ctx.config.overrides else asked, held={rule: None},
              confirmed={rule: None})
    return limits


def _change(name: str, seconds: int, before: int | None) -> str:
    was = "no value known before" if before is None else f"was {_text(name, before)}"
    return f"{name} = {_text(name, seconds)} ({was})"


def _text(name: str, seconds: int) -> str:
    if name == STORE:
        return "set" if seconds else "none"
    return "off" if seconds >= NEVER else setting(timedelta(seconds=seconds))


# What is remembered

def _held_back(last_options) -> dict:
    """That column where it holds back or confirms anything, else nothing: each tick asks, and JSON
    takes a tenth of it to load."""
    if str(last_options).endswith('"confirmed": {}, "held": {}}'):  # as `remember` writes it
        return {}
    return stored.document(last_options)


def _part(memory: dict, name: str) -> dict:
    """A part of what is remembered, without what cannot be read."""
    part = memory.get(name)
    if not isinstance(part, dict):
        return {}
    return {key: each for key, each in part.items()
            if (_is_held(each) if name == "held" else isinstance(each, int))}


def _is_held(value) -> bool:
    return (isinstance(value, dict) and value.keys() == {*Held._fields[1:]}
            and isinstance(value["count"], int) and isinstance(value["of"], int)
            and clock.parse_any(value["since"]) is not None)


def _confirmed(ctx, name: str) -> int:
    """The number that is confirmed: earlier, or now as the last run has reported it."""
    reported = _part(ctx.memory, "held").get(name, {}) if ctx.confirmed else {}
    return max(_part(ctx.memory, "confirmed").get(name, 0), reported.get("count", 0))


def _note(ctx, **changes: dict) -> None:
    if not ctx.dry_run:
        ctx.memory = remember(ctx.db, ctx.job.name, ctx.memory, ctx.now, **changes)


def remember(db, job: str, memory: dict, now, **changes: dict) -> dict:
    """The memory with these names of these parts changed; what is None, or confirmed of nothing, is
    forgotten. Stored if it is another. What a dry run has held back and is `confirmed`, the next
    run does."""
    new = {}
    for part in ("options", "confirmed", "held"):
        merged = {**_part(memory, part), **changes.get(part, {})}
        new[part] = {name: each for name, each in merged.items()
                     if each or (part == "options" and each is not None)}
    if new != {part: _part(memory, part) for part in new}:
        import json
        text = json.dumps(new)
        if not db.execute("UPDATE {job_state} SET last_options = :text WHERE job = :job",
                          text=text, job=job):
            # never due before this moment, like any job that is seen first
            db.upsert("job_state", {"job": job}, {"last_options": text, "due_after": now})
    return new


def _hold(ctx, name: str, **found) -> None:
    """Report it: counted, logged, and remembered for the incident and for `--yes`. `found`: fields
    of Held."""
    ctx.held[name] = found["count"]
    ctx.count("held", found["count"])
    ctx.log.warning("held back", kind=name, reason=found["why"])
    if ctx.dry_run:
        ctx.show("stopped by the guard", [], found["why"])
        return
    since = _part(ctx.memory, "held").get(name, {}).get("since") or clock.text(ctx.now)
    _note(ctx, held={name: {**found, "since": since}})
    waited = ctx.now - clock.parse(since)
    if name == URGENT and waited >= PATIENCE:
        raise JobsError(f"stopped by the guard for {waited.days} days: {found['why']}")


def reported(last_options) -> list[Held]:
    """What is held back by that column of a row of `job_state`."""
    held = _part(_held_back(last_options), "held")
    return [Held(name, **{**each, "since": clock.parse(each["since"])})
            for name, each in held.items()]
