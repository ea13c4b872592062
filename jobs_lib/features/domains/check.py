"""Which domains are due, asking for their records, and storing what came of it: one commit for each
domain."""
from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID, is_text, number
from jobs_lib.engines import attempts, audit, rotation
from jobs_lib.engines.rotation import mixed
from jobs_lib.engines.rows import count_unknown_status
from jobs_lib.errors import Invalid, JobsError
from jobs_lib.hostnames import ascii_form, forms
from jobs_lib.runner.clock_doubt import AHEAD as TOO_FAR
from jobs_lib.text import counted, did_you_mean

from . import notices, records
from . import status as domain_rules
from .records import UNKNOWN, Wanted, unset
from .status import ACTIVE, FAIL, FAILED, FAILING, PASS, PENDING, VERIFIED

PAGE = 500                       # domains read together
OF_AN_OWNER = 20                 # of each owner, when more are due than that
SHOWN = 5                        # of them, by a dry run
EARLY = timedelta(minutes=1)     # cron is not to the second: what is due by then is due now
AHEAD = timedelta(days=1)        # how far ahead an app's clock may be while its request counts
# domains that are checked before the resolver itself is doubted
SUSPICIOUS = 10
LONGEST = timedelta(days=1)      # between two looks
LEFT_OUT_FOR = timedelta(days=1) # how long a domain with an unusable row waits
MOST_FAILURES = 2 ** 31 - 1      # one more is no number that the column takes
LONGEST_RULE = timedelta(days=36_500)        # any rule adds less than that to a time
OF_ONE_OWNER = 2                 # domains of one owner that count as evidence
RESOLVER_DOWN = "resolver down"
CHANGED = "changed"              # the row, while its records were asked for

COLUMNS = ("id, user_id, name, ownership_token, status, dns_results, checked_at, next_check_at, "
           "recheck_requested_at, failing_since, failures, warned_at, verified_at, created_at")
COUNTS = {VERIFIED: "verified", FAILING: "warned", FAILED: "failed"}


def preview(ctx) -> dict:
    """What a run would look at. Nobody is asked."""
    count_unknown_status(ctx, "domains", (PENDING, VERIFIED, FAILED))
    first = _due(ctx)
    number = len(first) if ctx.options.domain else sum(
        ctx.db.value(f"SELECT COUNT(*) FROM {{domains}} WHERE {where}{ACTIVE}", **values)
        for where, _, values in _arms(ctx))
    number = ctx.within_limit(number)
    if number:
        ctx.show(f"look at the records of {counted(number, 'domain')}",
                 first[:min(number, SHOWN)])
    return {**ctx.counts, "checked": number}


def check_due(ctx) -> None:
    """Look at every domain that is due, owners in turn, those asked for turn by turn with the
    others."""
    count_unknown_status(ctx, "domains", (PENDING, VERIFIED, FAILED))
    resolver, doubt = None, Doubt(ctx)
    for page in _pages(ctx):
        if resolver is None:
            if not _may_judge(ctx, len(page)):
                return
            resolver = ctx.dns()
        _check(ctx, resolver, page, doubt)
        if ctx.should_stop():
            break


# Which

def _pages(ctx):
    """Lists of rows, each row once, `--limit` of them at most."""
    seen: set[int] = set()
    while True:
        rows = [row for row in _due(ctx) if row["id"] not in seen]
        if not rows or ctx.should_stop(len(seen)):
            return
        rows = rows[:ctx.within_limit(len(rows), len(seen))]
        seen.update(row["id"] for row in rows)
        yield rows
        if ctx.options.domain:
            return


def _due(ctx) -> list[dict]:
    if ctx.options.domain:
        return _named(ctx, ctx.options.domain)
    asked, *others = (_of_all_owners(ctx, where, order, values) for where, order,
                      values in _arms(ctx))
    rows = sorted((row for arm in others for row in arm),
                  key=lambda row: (str(row["next_check_at"] or ""), row["id"]))
    requested, due = _by_owner(asked), _by_owner(rows)
    owners = rotation.in_order({**requested, **due}, rotation.last(ctx.db, ctx.job.name))
    # an owner who asks again and again still has the others looked at
    return mixed([mixed([requested.get(owner, ()), due.get(owner, ())]) for owner in owners])[:PAGE]


def _by_owner(rows: list[dict]) -> dict:
    found: dict = {}
    for row in rows:
        found.setdefault(row["user_id"], []).append(row)
    return found


def _of_all_owners(ctx, where: str, order: str, values: dict) -> list[dict]:
    """A page of due rows; and when there are more, some of each owner that has none in it."""
    rows = _rows(ctx, where, order, PAGE, **values)
    if len(rows) < PAGE:
        return rows
    here = _by_owner(rows)
    owners = [row["user_id"] for row in ctx.db.query(
        f"SELECT user_id FROM {{domains}} WHERE {where}{ACTIVE} GROUP BY user_id", **values)]
    for owner in rotation.in_order([owner for owner in owners if owner not in here],
                                   rotation.last(ctx.db, ctx.job.name))[:PAGE]:
        if ctx.should_stop():
            break
        # By the owner's index, not by one of all that are due (docs/decisions.md, "Statements are
        # shaped for their index").
        rows += _rows(ctx, f"user_id = :owner AND CASE WHEN {where} THEN 1 ELSE 0 END = 1", order,
                      OF_AN_OWNER, owner=owner, **values)
    return rows


def _arms(ctx):
    """(condition, order, values): those that somebody asked for, and by status those that are due.
    None overlap."""
    asked = {"asked_until": ctx.now + AHEAD}
    yield "recheck_requested_at <= :asked_until", "recheck_requested_at, id", asked
    others = " AND (recheck_requested_at IS NULL OR recheck_requested_at > :asked_until)"
    for status in (PENDING, VERIFIED, FAILED):
        if status != FAILED:                # one that failed for good has no next look
            yield f"status = :status AND next_check_at IS NULL{others}", "id", {"status": status,
                                                                                **asked}
        yield (f"status = :status AND next_check_at <= :until{others}", "next_check_at, id",
               {"status": status, "until": ctx.now + EARLY, **asked})
        # Later than any check can be due: the clock was wrong.
        yield (f"status = :status AND next_check_at > :beyond{others}", "next_check_at, id",
               {"status": status, "beyond": ctx.now + LONGEST + TOO_FAR,
                **asked})


def _rows(ctx, where: str, order: str, most: int, **values) -> list[dict]:
    return ctx.db.query(f"SELECT {COLUMNS} FROM {{domains}} WHERE {where}{ACTIVE} "
                        f"ORDER BY {order} LIMIT :most", **values, most=most)


def _named(ctx, name: str) -> list[dict]:
    """The rows of one domain: several accounts may have it."""
    names = forms(name)
    rows = _rows(ctx, "name IN (:names)", "id", PAGE, names=names)
    if rows:
        return rows
    if ctx.db.row("SELECT id FROM {domains} WHERE name IN (:names) LIMIT 1", names=names):
        raise JobsError(f"--set domain={name}: its account is suspended or deleted, so it is not "
                        "looked at")
    near = [row["name"] for row in ctx.db.query(
        "SELECT name FROM {domains} WHERE name >= :start AND name < :end ORDER BY name LIMIT 200",
        start=name[:1].lower(), end=name[:1].lower() + "\U0010ffff")]
    raise JobsError(f"--set domain={name}: there is no such domain{did_you_mean(name, near)}")


def _may_judge(ctx, due: int) -> bool:
    """Whether `[dns]` says enough. If it does not, domains wait as they are: `doctor` and `config
    check` ask for it."""
    missing = unset(ctx.options.require, ctx.section("dns"))
    if missing and ctx.options.domain:
        raise JobsError(missing)
    if missing:
        ctx.log.warning("domains not checked", reason=missing)
        ctx.count("not_checked", due)
    return not missing


# Looking

def _check(ctx, resolver, rows: list[dict], doubt: Doubt) -> None:
    """Ask for the records of these, and store each result as it comes."""
    items = []
    for row in rows:
        with _alone(ctx, row):
            _judge_row(row)
            try:
                name = ascii_form(row["name"])
            except ValueError:
                if row["status"] == VERIFIED:
                    raise Invalid("its name is not that of a domain") from None
                _store(ctx, row, records.judge_bad_name(_wanted(ctx, row, row["name"])))
                continue
            wanted = _wanted(ctx, row, name)
            items.append(((row, wanted), records.questions(wanted)))
    owner = None
    for (row, wanted), answers in resolver.each(items, ctx.should_stop):
        owner, verdict = row["user_id"], None
        with _alone(ctx, row):
            if isinstance(answers, Exception):
                raise answers
            verdict = _store(ctx, row, records.judge(wanted, answers))
        more = {**ctx.counts}
        ctx.progress(more.pop("checked"), **more)
        if verdict and doubt.is_down(resolver, row["user_id"], verdict):
            ctx.log.warning("resolver down", checked=ctx.counts["checked"],
                            unknown=ctx.counts["unknown"])
            ctx.stop(RESOLVER_DOWN)
        if ctx.should_stop():
            break
    if owner is not None:
        rotation.keep(ctx.db, ctx.job.name, owner)


@contextmanager
def _alone(ctx, row: dict):
    """A row that is unreadable, or that meets a bug of ours, holds up no other; it waits a day."""
    try:
        yield
    except Invalid as error:
        ctx.log.warning("domain invalid", domain_id=row["id"], reason=str(error))
        ctx.count(INVALID)
        ctx.db.batch(partial(_postpone, ctx, row))
    except JobsError:
        raise                           # the database's, for one: everybody's
    except Exception as error:          # noqa: BLE001  (recorded with its place, and the run fails)
        ctx.defect(error, f"domain {row['id']}")
        ctx.db.batch(partial(_postpone, ctx, row))


def _judge_row(row: dict) -> None:
    """Invalid for a row that no rule can be applied to."""
    if row["name"] is None:
        raise Invalid("its name is missing")
    for column in ("name", "ownership_token"):
        if not is_text("" if row[column] is None else row[column]):
            raise Invalid(f"its {column} is not text")
    if row["status"] not in (PENDING, VERIFIED, FAILED):
        raise Invalid("its status is unknown")
    if not 0 <= number(row["failures"], "failures") < MOST_FAILURES:
        raise Invalid("its failures are out of range")
    for column in ("created_at", "failing_since", "warned_at"):
        if (row[column] is not None or column
            == "created_at") and clock.parse(row[column]) > clock.LAST - LONGEST_RULE:
            raise Invalid(f"its {column} is out of range")


def _postpone(ctx, seen: dict) -> None:
    ctx.db.execute("UPDATE {domains} SET next_check_at = :later WHERE id = :id", id=seen["id"],
                   later=ctx.now + LEFT_OUT_FOR)
    _forget_request(ctx, seen)


def _forget_request(ctx, seen: dict) -> None:
    """The request is done, but not one that came in while we were asking."""
    if seen["recheck_requested_at"] is not None:
        ctx.db.execute("UPDATE {domains} SET recheck_requested_at = NULL WHERE id = :id"
                       " AND recheck_requested_at = :seen", id=seen["id"],
                       seen=seen["recheck_requested_at"])


class Doubt:
    """Whether it is the resolver that gives no answers, and not the domains of somebody who wants
    it to look so."""

    def __init__(self, ctx) -> None:
        self._name = records.own_name(ctx.section("dns"))
        self._all: Counter = Counter()                  # {verdict: how many}
        self._fair: Counter = Counter()                 # the same, of each owner's first ones alone
        self._of: Counter = Counter()                   # {owner: how many}
        # our own name was answered: this many checks until the next time
        self._ask_from = 0

    def is_down(self, resolver, owner: int, verdict: str) -> bool:
        """Heard after each look: over half unknown, among many owners or with our own name unknown,
        too."""
        self._all[verdict] += 1
        self._of[owner] += 1
        self._fair[verdict] += self._of[owner] <= OF_ONE_OWNER
        if not _is_suspicious(self._all):
            return False
        if _is_suspicious(self._fair):
            return True
        looks = sum(self._all.values())
        if looks < self._ask_from:
            return False
        self._ask_from = looks + SUSPICIOUS
        return resolver.look_up(self._name, "TXT").outcome == UNKNOWN


def _is_suspicious(verdicts: Counter) -> bool:
    looks = sum(verdicts.values())
    return looks >= SUSPICIOUS and verdicts[UNKNOWN] * 2 > looks


def _wanted(ctx, row: dict, name: str) -> Wanted:
    return Wanted(name, row["ownership_token"] or "", ctx.section("dns"), ctx.options.require)


def _store(ctx, row: dict, results: dict) -> str | None:
    """The verdict, once it is stored."""
    verdict = records.verdict(results)
    event = ctx.db.batch(partial(_change, ctx, row, results, verdict))
    if event == CHANGED:
        ctx.count(CHANGED)
        return None
    ctx.count("checked")
    ctx.count("unknown", verdict == UNKNOWN)
    if event:
        ctx.count(COUNTS[event])
    why = next((result["problem"] for result in results.values() if result["state"] == UNKNOWN),
               None)
    ctx.log.event("domain checked", domain_id=row["id"], verdict=verdict, change=event,
                  unanswered=why, wrong=_wrong(results))
    return verdict


def _wrong(results: dict) -> dict:
    return {check: result["reason"] for check, result in results.items()
            if result["state"] == FAIL}


def _change(ctx, seen: dict, results: dict, verdict: str) -> str | None:
    """In one transaction: judge the row as it is now, store, notify. The event, or CHANGED if it is
    another."""
    row = ctx.db.row(f"SELECT {COLUMNS} FROM {{domains}} WHERE id = :id{ctx.db.for_update}",
                     id=seen["id"])
    user = row and ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id",
                              id=row["user_id"])
    same = row and all(row[name] == seen[name] for name in ("user_id", "name", "ownership_token",
                                                            "status"))
    if not same or not user or user["status"] != "active":
        return CHANGED
    _judge_row(row)
    # fixed for the run: a slow one puts no domain off its rhythm
    now = ctx.now
    change = domain_rules.after(row, verdict, now, ctx.options)
    if verdict == FAIL and not row["ownership_token"] and "ownership" in ctx.options.require:
        # its owner was never given a code, so it has lost nothing
        change = domain_rules.Change({"next_check_at": now + domain_rules.RECHECK}, None)
    if change.event in (FAILING, FAILED) and not ctx.may_expire():
        # both go by how long it has failed
        change = domain_rules.Change({"next_check_at": now + domain_rules.AGAIN}, None)
    values = {**change.values, "checked_at": now, "dns_results": _merged(row, results, now)}
    sets = ", ".join(f"{name} = :{name}" for name in values)
    ctx.db.execute(f"UPDATE {{domains}} SET {sets} WHERE id = :id", id=row["id"], **values)
    _forget_request(ctx, seen)
    from .work_queue import in_words  # only where one was checked
    attempts.record(ctx.db, "domains", row, run_id=ctx.run_id, began=ctx.clock(), outcome=verdict,
                    tried=attempts.Tried(answer=in_words(results)))
    if change.event:
        notices.queue(ctx, user, row, change, results, now)
    if change.event in (VERIFIED, FAILED):
        audit.record(ctx.db, now=now, user_id=user["id"], event=f"domain.{change.event}",
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
    before = before if isinstance(before, dict) else {}
    moment, merged = clock.text(now), {}
    for check, result in results.items():
        known = before.get(check)
        known = known if isinstance(known, dict) else {}
        if result["state"] == UNKNOWN and known.get("state") in (PASS, FAIL):
            merged[check] = {**known, "required": result["required"], "unanswered": moment,
                             "unanswered_why": result["problem"]}
        else:
            merged[check] = {**result, "checked_at": moment}
    return json.dumps(merged, ensure_ascii=False)
