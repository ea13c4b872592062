"""Looking at the domains that are due: asking for their records, and storing what came of it, one
commit for each domain."""
from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID
from jobs_lib.engines import attempts, audit, guard
from jobs_lib.engines.attempts import POSTPONED, Tried
from jobs_lib.engines.due import Due
from jobs_lib.engines.queue import EVERY_ONE, Work, work_if_due
from jobs_lib.engines.rows import invalid
from jobs_lib.engines.turns import Ring
from jobs_lib.errors import Invalid, JobsError
from jobs_lib.features.queues import DOMAINS
from jobs_lib.hostnames import ascii_form, forms
from jobs_lib.ports.dns import UNKNOWN
from jobs_lib.text import counted

from . import notices, records, status
from .due import due
from .records import Wanted
from .status import ACTIVE, FAIL, FAILED, FAILING, VERIFIED, Change, Known

AT_ONCE = 100                    # domains that are begun in one commit, and asked about together
SHOWN = 5                        # of them, by a dry run
HELD_FOR = timedelta(minutes=10)     # what a killed run was looking at is due again then
LEFT_OUT_FOR = timedelta(days=1) # how long a domain with an unusable row waits
CHANGED = "changed"              # the row, while its records were asked for
STORED = ("id, user_id, name, ownership_token, status, dns_results, failing_since, failures, "
          "warned_at, verified_at, created_at, next_check_at")
COUNTS = {VERIFIED: "verified", FAILING: "warned", FAILED: "failed"}


class Looks(Work):
    """One run's looks. They change nothing outside, so a domain has no status while one is under
    way: it is due later, and what a dead run began is due again by itself."""

    def due(self) -> Due:
        """What a run now would look at."""
        return due(self.ctx)

    def begin_all(self, rows: list[dict]) -> dict:
        """{id: row} of those that no other run has begun meanwhile: in one commit they are due
        again in ten minutes, and these looks are on record."""
        now = self.ctx.clock()
        until = clock.text(now + HELD_FOR)

        def is_begun(row: dict) -> int:
            seen = row["seen"]["next_check_at"]
            return self.db.execute("UPDATE {domains} SET next_check_at = :until WHERE id = :id AND "
                                   f"next_check_at {'IS NULL' if seen is None else '= :seen'}",
                                   id=row["id"], until=until, seen=seen)

        def work() -> list[dict]:
            begun = list(filter(is_begun, rows))
            attempts.settle_lost(self.db, DOMAINS.kind, [row["id"] for row in begun], now)
            for row in begun:
                row.update(until=until, began_at=clock.text(now))
                row["attempt_id"] = attempts.begin(self.db, DOMAINS.kind, row, self.ctx.run_id)
            if begun and "turn" in begun[-1]:
                begun[-1]["turn"].ring.move(begun[-1]["turn"])
            return begun
        return {row["id"]: row for row in self.db.batch(work)}

    def complete(self, row: dict, outcome: str, answer: str = "") -> None:
        """Put on record what came of a look, in the open transaction."""
        attempts.complete(self.db, DOMAINS.kind, row, self.ctx.run_id, outcome, Tried(None, answer),
                          self.ctx.clock())

    def leave_out(self, id, reason: str = "") -> None:
        """What cannot be worked on waits a day, and keeps its status. `reason`: of an unusable
        row."""
        if reason:
            self.ctx.log.warning("domain invalid", domain_id=id, reason=reason)
            self.ctx.count(INVALID)
        self.db.batch(lambda: self.db.execute(
            "UPDATE {domains} SET next_check_at = :later, recheck_requested_at = NULL "
            "WHERE id = :id", id=id, later=self.ctx.now + LEFT_OUT_FOR))

    def finish(self) -> None:
        """Rows that were unusable as they were read."""
        for id, reason in self.unusable.items():
            self.leave_out(id, reason)


def preview(ctx) -> dict:
    """What a run would look at. Nobody is asked."""
    Looks(ctx, DOMAINS).count_unknown()
    ids = _named(ctx) if ctx.options.domain else due(ctx).ids(SHOWN)
    number = ctx.within_limit(len(ids) if ctx.options.domain else due(ctx).backlog(EVERY_ONE)[0])
    if number:
        rows = Looks(ctx, DOMAINS).read(ids)
        ctx.show(f"look at the records of {counted(number, 'domain')}",
                 [rows[id] for id in ids if id in rows][:min(number, SHOWN)])
    guard.held(ctx, "domains")
    return {**ctx.counts, "checked": number}


def check_due(ctx) -> None:
    """Look at every domain that is due, owners in turn; or at the one that is named."""
    work = Looks(ctx, DOMAINS) if ctx.options.domain else work_if_due(ctx, DOMAINS, Looks)
    if work is None:
        return
    named = work.read(_named(ctx)) if ctx.options.domain else {}
    if not _may_judge(ctx):
        return
    ring, resolver, done = Ring(work), ctx.dns(), 0
    ring.also = ACTIVE
    if named:
        work.unusable = invalid(ctx.db, "domains", list(named.values()))
        _check(work, resolver, ring, [row for id, row in named.items() if id not in work.unusable])
    else:
        while not ctx.should_stop(done) and (
                rows := work.take(ring, ctx.within_limit(AT_ONCE, done))):
            done += _check(work, resolver, ring, rows)
    work.finish()


def _named(ctx) -> list:
    """The ids of the domain that is named: several accounts may have it."""
    name = ctx.options.domain
    ids = [row["id"] for row in ctx.db.query(
        f"SELECT id FROM {{domains}} WHERE name IN (:names){ACTIVE} ORDER BY id LIMIT :most",
        names=forms(name), most=AT_ONCE)]
    if not ids:
        raise JobsError(f"--set domain={name}: no active account has such a domain")
    return ids


def _may_judge(ctx) -> bool:
    """Whether `[dns]` says enough. If it does not, domains wait as they are: `doctor` and `config
    check` ask for it."""
    missing = records.unset(ctx.options.require, ctx.section("dns"))
    if missing and ctx.options.domain:
        raise JobsError(missing)
    if missing:
        ctx.log.warning("domains not checked", reason=missing)
        ctx.count("not_checked", due(ctx).backlog(EVERY_ONE)[0])
    return not missing


# Looking

def _check(work: Looks, resolver, ring: Ring, rows: list[dict]) -> int:
    """Ask for the records of these, and store each result as it comes. How many were begun."""
    ctx, items = work.ctx, []
    begun = work.begin_all(rows)
    left = dict(begun)                          # of which nothing is stored yet
    for row in begun.values():
        with _isolated(work, row):
            wanted = _wanted(ctx, row)
            items.append(((row, wanted), records.questions(wanted)))
    for (row, wanted), answers in resolver.each(items, ctx.should_stop):
        with _isolated(work, row):
            if isinstance(answers, Exception):
                raise answers
            if _store(work, resolver, row, records.judge(wanted, answers)):
                del left[row["id"]]
        ctx.progress(ctx.counts["checked"], unknown=ctx.counts["unknown"])
        if ctx.should_stop():
            break

    def put_back() -> None:             # they are due again soon
        for row in left.values():
            work.complete(row, POSTPONED)
    work.db.batch(put_back)
    ring.left.difference_update(begun)
    return len(begun)


@contextmanager
def _isolated(work: Looks, row: dict):
    """A row that is unusable, or that meets a bug of ours, holds up no other."""
    try:
        yield
    except Invalid as error:
        work.leave_out(row["id"], str(error))
    except JobsError:
        raise                           # the database's, for one: everybody's
    except Exception as error:          # noqa: BLE001  (recorded with its place, and the run fails)
        work.ctx.defect(error, f"domain {row['id']}")
        work.leave_out(row["id"])


def _wanted(ctx, row: dict) -> Wanted:
    wanted = Wanted(row["name"], row["ownership_token"] or "", ctx.section("dns"),
                    ctx.options.require)
    try:
        return wanted._replace(name=ascii_form(row["name"]), is_name=True)
    except ValueError:
        if row["status"] == VERIFIED:
            raise Invalid("its name is not that of a domain") from None
        return wanted


def _store(work: Looks, resolver, row: dict, results: dict) -> bool:
    """Store a result, with what it means for the domain; whether it is still the same one."""
    ctx, verdict = work.ctx, records.verdict(results)
    known = _known(ctx, resolver, row, verdict)
    event = work.db.batch(partial(_change, work, row, results, verdict, known))
    if event == CHANGED:
        ctx.count(CHANGED)
        return False
    ctx.count("checked")
    ctx.count("unknown", verdict == UNKNOWN)
    if event:
        ctx.count(COUNTS[event])
    why = next((result["problem"] for result in results.values() if result["state"] == UNKNOWN),
               None)
    ctx.log.event("domain checked", domain_id=row["id"], verdict=verdict, change=event,
                  unanswered=why, wrong=_wrong(results))
    return True


def _known(ctx, resolver, row: dict, verdict: str) -> Known:
    """What matters besides the row. Asked before the transaction, since the guard counts, and the
    resolver takes its time."""
    is_silent = verdict == UNKNOWN and status.is_silent(row, ctx.now, ctx.options)
    if not is_silent and not (verdict == FAIL and status.may_end(row, ctx.now, ctx.options)):
        return Known()
    is_heard = is_silent and resolver.look_up(records.own_name(ctx.section("dns")),
                                              "TXT").outcome != UNKNOWN
    is_held = row["status"] == VERIFIED and guard.held(ctx, "domains")
    return Known(is_heard=is_heard, may_act=ctx.may_expire() and not is_held)


def _wrong(results: dict) -> dict:
    return {check: result["reason"] for check, result in results.items()
            if result["state"] == FAIL}


def _change(work: Looks, seen: dict, results: dict, verdict: str, known: Known) -> str | None:
    """In one transaction: judge the row as it is now, store, notify. The event, or CHANGED if it is
    another, or another run's by now."""
    ctx = work.ctx
    row = ctx.db.row(f"SELECT {STORED} FROM {{domains}} WHERE id = :id AND next_check_at = :until"
                     f"{ctx.db.for_update}", id=seen["id"], until=seen["until"])
    if row and (reason := invalid(ctx.db, "domains", [row]).get(row["id"])):
        raise Invalid(reason)
    user = row and ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id",
                              id=row["user_id"])
    same = row and all(row[name] == seen[name] for name in ("user_id", "name", "ownership_token",
                                                            "status"))
    if not same or not user or user["status"] != "active":
        return CHANGED
    # `now` is fixed for the run: a slow one puts no domain off its rhythm
    if verdict == FAIL and row["status"] == VERIFIED:
        known = known._replace(warning=notices.warning(ctx, row))
    change = status.after(row, verdict, ctx.now, ctx.options, known)
    if verdict == FAIL and not row["ownership_token"] and "ownership" in ctx.options.require:
        # its owner was never given a code, so it has lost nothing
        change = Change({"next_check_at": ctx.now + status.RECHECK}, None)
    values = {**change.values, "checked_at": ctx.now, "dns_results": _merged(row, results, ctx.now)}
    sets = ", ".join(f"{name} = :{name}" for name in values)
    ctx.db.execute(f"UPDATE {{domains}} SET {sets} WHERE id = :id", id=row["id"], **values)
    # the request is done, but not one that came in while we were asking
    ctx.db.execute("UPDATE {domains} SET recheck_requested_at = NULL WHERE id = :id"
                   " AND recheck_requested_at = :seen", id=seen["id"],
                   seen=seen["recheck_requested_at"])
    work.complete(seen, verdict, status.in_words(results))
    if change.event:
        notices.queue(ctx, user, row, change, results)
    if change.event in (VERIFIED, FAILED):
        audit.record(ctx.db, now=ctx.now, user_id=user["id"], event=f"domain.{change.event}",
                     severity="info" if change.event == VERIFIED else "warning",
                     details={"domain_id": row["id"], "name": row["name"], "was": row["status"],
                              "wrong": _wrong(results)})
    return change.event


def _merged(row: dict, results: dict, now) -> str:
    """What is stored: for a record that got no answer, what was known of it before, and since when
    nobody answers."""
    try:
        before = json.loads(row["dns_results"] or "{}")
    except (ValueError, TypeError):
        before = {}
    moment, merged = clock.text(now), {}
    for check, result in results.items():
        known = before.get(check) if isinstance(before, dict) else None
        if result["state"] == UNKNOWN and isinstance(known, dict) and known.get("state") in (
                status.PASS, FAIL):
            merged[check] = {**known, "required": result["required"], "unanswered": moment,
                             "unanswered_why": result["problem"]}
        else:
            merged[check] = {**result, "checked_at": moment}
    return json.dumps(merged, ensure_ascii=False)
