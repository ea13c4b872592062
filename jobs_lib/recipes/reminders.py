"""Telling owners of what is due and not yet told, before or when something happens to what is theirs.

Which rows those are is asked as "due and not told", never as "due today": however late a run is, nobody is left
out. All that one owner is to be told of goes into one notice, and the rows are marked in the transaction that
queues it: a kill between the two is not possible, and a second run finds nothing left to tell.
"""
from __future__ import annotations

from collections import namedtuple
from functools import partial

from ..addresses import AddressError, check
from . import letters, notices

PAGE = 500                # rows looked at together, to find the owners
SAMPLE_ROWS = 5

Reminder = namedtuple("Reminder", "kind persona table age columns due told key values notice daily wanted statuses "
                                  "most priority",
                      defaults=(None, False, None, ("active",), 500, notices.NORMAL))
Reminder.__doc__ = """One kind of notice about rows that have an owner.

kind      of the notice, and of its templates         persona   who signs it
table     whose rows, with `user_id`                  age       the column of times that orders them, with an index
columns   what the notice needs of a row              due       function of the Context -> (SQL, values): the rows that
                                                                are due and not told yet
told      the column that takes the time              notice    the column that takes the notice's id, or None
key       function of (ctx, user_id, rows) -> dedupe key, which names the occurrence by its first row or by the day
values    function of (ctx, user, rows) -> what the templates show, besides `name`
daily     the key names the day: rows that come later wait for tomorrow's notice
wanted    function of (ctx, row) -> whether it is to be told, for what SQL cannot say; or None
statuses  of the owners that are told                 most      rows a notice lists; the others wait for the next
priority  of the notice
"""


def remind(ctx, reminder: Reminder, counts: dict) -> None:
    """Queue the notices that are owed, one an owner, and add their number to `counts["notices"]`."""
    due = 0
    sample: list[dict] = []
    for user_id in _owners(ctx, reminder):
        if ctx.dry_run:
            found = _plan(ctx, reminder, user_id)
            if found:
                due, sample = due + 1, sample or found[1][:SAMPLE_ROWS]
        else:
            due += ctx.db.batch(partial(_tell, ctx, reminder, user_id))
    counts["notices"] = counts.get("notices", 0) + due
    if ctx.dry_run and due:
        ctx.show(f"queue {due:,} notice{'s' * (due != 1)}: {reminder.kind}", sample)


def _owners(ctx, reminder: Reminder):
    """Each owner once, in the order of their oldest row. Rows that stay untold stand in nobody's way."""
    sql, values = reminder.due(ctx)
    table, seen, last, after = f"{{{reminder.table}}}", set(), None, ""
    while not ctx.should_stop():
        rows = ctx.db.query(
            f"SELECT id, user_id, {reminder.age} AS age FROM {table} WHERE {sql}{after} AND EXISTS (SELECT 1 FROM"
            f" {{users}} WHERE {{users}}.id = {table}.user_id AND {{users}}.status IN (:statuses))"
            f" ORDER BY {reminder.age}, id LIMIT :most",
            **values, **(last or {}), statuses=list(reminder.statuses), most=PAGE)
        for row in rows:
            if row["user_id"] not in seen:
                seen.add(row["user_id"])
                yield row["user_id"]
                if ctx.should_stop():
                    return
        if len(rows) < PAGE:
            return
        last = {"last_age": rows[-1]["age"], "last_id": rows[-1]["id"]}
        after = f" AND {reminder.age} >= :last_age AND ({reminder.age} > :last_age OR id > :last_id)"


def _plan(ctx, reminder: Reminder, user_id: int):
    """(user, rows, key) of the notice that this owner is owed now, or None. In a transaction it locks the rows."""
    sql, values = reminder.due(ctx)
    user = ctx.db.row("SELECT id, email, name, status FROM {users} WHERE id = :id", id=user_id)
    if user is None or user["status"] not in reminder.statuses:
        return None
    rows = ctx.db.query(f"SELECT {', '.join(dict.fromkeys(['id', reminder.age, *reminder.columns]))} FROM"
                        f" {{{reminder.table}}} WHERE user_id = :user_id AND {sql} ORDER BY {reminder.age}, id"
                        f" LIMIT :most{ctx.db.for_update}", user_id=user_id, most=reminder.most, **values)
    rows = [row for row in rows if reminder.wanted is None or reminder.wanted(ctx, row)]
    while rows:
        key = reminder.key(ctx, user_id, rows)
        before = ctx.db.row("SELECT id FROM {notifications} WHERE dedupe_key = :key", key=key)
        if before is None:
            return user, rows, key
        if reminder.daily:
            return None
        if not ctx.dry_run:
            _mark(ctx, reminder, rows[:1], before["id"])         # told before, whatever its row says
        rows = rows[1:]
    return None


def _tell(ctx, reminder: Reminder, user_id: int) -> int:
    found = _plan(ctx, reminder, user_id)
    if found is None:
        return 0
    user, rows, key = found
    try:
        check(user["email"])
    except AddressError as error:
        ctx.log.warning("owner cannot be told", user_id=user_id, reason=str(error))
        _mark(ctx, reminder, rows, None)
        return 0
    letter = letters.write(ctx, reminder.kind, reminder.persona,
                           {"name": user["name"] or user["email"], **reminder.values(ctx, user, rows)})
    notice_id = notices.queue(ctx.db, now=ctx.clock(), user_id=user_id, kind=reminder.kind, persona=reminder.persona,
                              to_email=user["email"], subject=letter.subject, body_text=letter.text,
                              body_html=letter.html, dedupe_key=key, priority=reminder.priority)
    _mark(ctx, reminder, rows, notice_id)
    return 1


def _mark(ctx, reminder: Reminder, rows: list[dict], notice_id: int | None) -> None:
    notice = f", {reminder.notice} = :notice" if reminder.notice else ""
    ctx.db.execute(f"UPDATE {{{reminder.table}}} SET {reminder.told} = :now{notice} WHERE id IN (:ids)",
                   now=ctx.clock(), ids=[row["id"] for row in rows], **({"notice": notice_id} if notice else {}))
