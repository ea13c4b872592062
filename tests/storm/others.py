"""The jobs that delete, expire, add up and report: all that is due is done, nothing else is
touched, and what belongs into one commit is there as a whole or not at all."""
from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tests.support.archives import named

from .base import OWNERS, ROWS, Storm

FAR = 10 ** 6
# {job: (table, what its time is, days that a row is kept, the rest of a row)}; a name of a function
# of Aged makes a value
LOG = {"direction": "forward", "status": "delivered", "bytes_used": "size"}
HELD = {"sender": "someone@sender.test", "subject": "Hello", "raw_path": "path"}
AGED = {
    "purge_sessions": ("sessions", "last_seen_at", 30, {"token_hash": "hash", "expires_at": "far"}),
    "purge_magic_links": ("magic_links", "expires_at", 0, {"token_hash": "hash"}),
    "purge_failed_emails": ("failed_emails", "finished_at", 7, {
        "status": "sent", "alias_id": 1, "envelope_to": "a@home.test", "raw_path": "path"}),
    "purge_spam_quarantine": ("spam_quarantine", "quarantined_at", 30, {"alias_id": 1, **HELD}),
    "purge_notifications": ("notifications", "created_at", 20, {
        "status": "sent", "kind": "news", "to_email": "a@home.test"}),
    "purge_webhook_deliveries": ("webhook_deliveries", "created_at", 10, {
        "status": "delivered", "webhook_id": 1, "event_id": "hash", "event_type": "x.y",
        "payload": "{}"}),
    "purge_message_logs": ("message_logs", "created_at", 35, LOG),
    "purge_header_snapshots": ("message_logs", "created_at", 35, LOG),
    "purge_job_history": ("attempts", "began_at", 30, {
        "kind": "forward", "item_id": 1, "outcome": "sent"}),
    "archive_audit_logs": ("audit_logs", "created_at", 25, {"actor": "app", "event": "login"}),
    "expire_overflow_hold": ("overflow_hold", "held_at", 30, {"alias_id": 1, **HELD}),
}


class Aged(Storm):
    """Rows that are past their time, and as many that are not."""

    has_second_host = False

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.table, self.column, self.days, self.values = AGED[self.job]
        self.past: dict[int, dict] = {}         # rows that have to go
        self.fresh: dict[int, dict] = {}        # that stay until their time is over

    def hash(self) -> str:
        return self.world.hash()

    def size(self) -> int:
        return self.chosen.randrange(10 ** 6)

    def path(self) -> str:
        return self.world.spooled(300)

    def far(self) -> str:
        return self.world.text(days=-3000)

    def add(self) -> None:
        for rows, when in ((self.past, self.world.text(days=self.days + 400)),
                           (self.fresh, self.world.text(days=0 if self.days else -300))):
            row = {name: getattr(self, value)() if value in ("hash", "size", "path", "far")
                   else value for name, value in self.values.items()}
            row.update({self.column: when, "user_id": 1 + self.chosen.randrange(OWNERS)})
            if self.column != "created_at" and self.table != "attempts":
                row.setdefault("created_at", when)
            if self.table in ("overflow_hold", "spam_quarantine"):
                row.pop("created_at")
            rows[self.world.add(self.table, **row)] = row
        self.add_more()

    def add_more(self) -> None:
        """What a row has beside it."""

    def there(self) -> dict[int, dict]:
        return {row["id"]: row for row in self.rows(f"SELECT * FROM {{{self.table}}}")}

    def left(self) -> int:
        return len(self.past.keys() & self.there().keys())

    def judge(self):
        there, kept_since = self.there(), self.world.text(days=self.days)
        yield from (f"{id} is left" for id in self.past if id in there)
        yield from (f"{id} is gone: {row}" for id, row in self.fresh.items()
                    if id not in there and row[self.column] > kept_since)
        spool = self.folder / "spool"
        names = {row["raw_path"] for row in there.values() if row.get("raw_path")}
        files = {str(path.relative_to(spool)) for path in spool.rglob("*.eml")}
        if files != names:
            yield f"files without a row: {files - names}; rows without a file: {names - files}"


class Logs(Aged):
    """Totals go with their rows, and headers too."""

    def add_more(self) -> None:
        for log in [*self.past, *self.fresh][-1:]:
            self.world.add("header_snapshots", message_log_id=log, user_id=1, ciphertext=b"x")

    def judge(self):
        yield from super().judge()
        rows = [*self.past.values(), *self.fresh.values()]
        kept = self.rows("SELECT COUNT(*) AS number, SUM(bytes_used) AS size FROM {message_logs}")
        added = self.rows("SELECT SUM(email_count) AS number, SUM(bytes_used) AS size "
                          "FROM {message_stats}")
        for name, whole in {"number": len(rows), "size": sum(row["bytes_used"]
                                                             for row in rows)}.items():
            found = sum(int(part[name] or 0) for part in (*kept, *added))
            if found != whole:
                yield f"{name}: {whole} before, {found} now"


class Headers(Aged):
    """They go once their log is past its time, or is gone; the logs stay."""

    def add_more(self) -> None:
        for log in (max(self.past), max(self.fresh)):
            self.world.add("header_snapshots", message_log_id=log, user_id=1, ciphertext=b"x")

    def left(self) -> int:
        return len([row for row in self.rows("SELECT message_log_id FROM {header_snapshots}")
                    if row["message_log_id"] in self.past])

    def judge(self):
        there, since = self.there(), self.world.text(days=self.days)
        if len(there) != len(self.past) + len(self.fresh):
            yield "logs are gone"
        kept = {row["message_log_id"] for row in self.rows(
            "SELECT message_log_id FROM {header_snapshots}")}
        wanted = {id for id, row in self.fresh.items() if row["created_at"] > since}
        if kept & self.past.keys() or wanted - kept:
            yield f"left: {sorted(kept & self.past.keys())}, gone: {sorted(wanted - kept)}"


class Archived(Aged):
    """Each row is in the table or in one archive that is on record, at any time."""

    def after_tick(self) -> None:
        held = Counter(self.there().keys())
        for rows in named(self.world.db, self.folder / "archive").values():
            held.update(row["id"] for row in rows)
        # a verified archive's rows may still be in the table: they are deleted by it
        lost = [id for id in (*self.past, *self.fresh) if not held[id]]
        if lost:
            self.wrong.append(f"neither in the table nor in an archive: {lost}")

    def judge(self):
        yield from super().judge()
        held = Counter(row["id"] for rows in named(self.world.db, self.folder / "archive").values()
                       for row in rows)
        twice = [id for id, number in held.items() if number > 1 or id in self.there()]
        if twice:
            yield f"in two archives, or in one and in the table: {twice}"


class Held(Aged):
    """Held mail is warned of, by a notice that somebody sends, and deleted a day after that."""

    steps = (60, 180, 720)

    def after_tick(self) -> None:
        there = self.there()
        sent = send_notices(self)
        for id, row in self.past.items():
            if id in there:
                row.update(warned_at=there[id]["warned_at"], sent=sent.get(there[id]["warning_id"]))
                if bool(row["warned_at"]) != bool(row["sent"]):
                    self.wrong.append(f"{id} is marked without its notice: {there[id]}")
            elif not row.get("gone"):
                row["gone"] = self.world.text()
                if not row.get("sent") or row["sent"] > self.world.text(days=1):
                    self.wrong.append(f"{id} is gone unannounced: {row}")


def send_notices(storm: Storm) -> dict:
    """Somebody does; {id of a notice: when it was sent}"""
    storm.world.db.execute(
        "UPDATE {notifications} SET status = 'sent', sent_at = :now, finished_at = :now "
        "WHERE status = 'pending'", now=storm.world.text())
    return {row["id"]: row["sent_at"] for row in storm.rows("SELECT * FROM {notifications}")}


class History(Aged):
    """Attempts past their time go, and no run is left open but the last."""

    def judge(self):
        yield from super().judge()
        open_ = self.rows("SELECT run_id FROM {job_runs} WHERE status = 'running'")
        if len(open_) > 1:
            yield f"{len(open_)} runs are said to be running"


class Expiring(Storm):
    """A day passes between two ticks; among many others that stay."""

    has_second_host, steps = False, (1500,)
    mark = ""                       # the column that says that a notice was written

    def prepare(self) -> None:
        for number in range(500):
            self.world.add(self.table, user_id=1 + number % OWNERS, created_at=self.world.text(),
                           **self.other(f"other{number}"))

    def other(self, name: str) -> dict:
        raise NotImplementedError

    def unannounced(self):
        """Rows that are marked although no notice was written then."""
        notices = {(row["user_id"], row["created_at"])
                   for row in self.rows("SELECT user_id, created_at FROM {notifications}")}
        yield from (f"{row} is marked without a notice" for row in self.rows(
            f"SELECT id, user_id, {self.mark} AS at FROM {{{self.table}}} "
            f"WHERE {self.mark} IS NOT NULL") if (row["user_id"], row["at"]) not in notices)

    def audited(self, wanted: int):
        found = self.world.db.value("SELECT COUNT(*) FROM {audit_logs}")
        if found != wanted:
            yield f"{wanted} have happened, {found} are in the audit log"


class Aliases(Expiring):
    """`expire_aliases`: deactivated, audited and announced in one commit, once."""

    table, mark = "aliases", "expiry_notified_at"

    def other(self, name: str) -> dict:
        return {"address": f"{name}@alias.example"}

    def left(self) -> int:
        return len(self.rows("SELECT id FROM {aliases} WHERE active = 1 AND expires_at < "
                             f"'{self.world.text()}'"))

    def add(self) -> None:
        self.world.add("aliases", user_id=1 + self.chosen.randrange(OWNERS), active=1,
                       address=f"ends{next(self.world.numbers)}@alias.example",
                       created_at=self.world.text(), expires_at=self.world.text(
                           hours=self.chosen.choice((1, -40, -60))))

    def judge(self):
        yield from self.unannounced()
        yield from self.audited(self.world.db.value("SELECT COUNT(*) FROM {aliases} "
                                                    "WHERE active = 0"))


class Destinations(Expiring):
    """`expire_destination_verifications`: announced, by a notice that somebody sends, then removed
    with their tokens and a row in the audit log."""

    table, mark = "destinations", "removal_notified_at"

    def other(self, name: str) -> dict:
        return {"email": f"{name}@home.test", "verified_at": self.world.text()}

    def prepare(self) -> None:
        super().prepare()
        self.begun = 0

    def after_tick(self) -> None:
        send_notices(self)

    def left(self) -> int:
        return self.world.db.value("SELECT COUNT(*) FROM {destinations} WHERE verified_at IS NULL")

    def add(self) -> None:
        self.begun += 1
        id = self.world.add("destinations", user_id=1 + self.chosen.randrange(OWNERS),
                            email=f"d{self.begun}@home.test", created_at=self.world.text(days=40))
        self.world.add("destination_verifications", destination_id=id, token_hash=self.world.hash(),
                       created_at=self.world.text(days=40), expires_at=self.world.text(days=39))

    def judge(self):
        yield from self.unannounced()
        yield from self.audited(self.begun - self.left())
        if self.left() or self.rows("SELECT id FROM {destination_verifications}"):
            yield "destinations or tokens are left"


class Usage(Storm):
    """`rollup_usage`: days and weeks are what their messages add up to."""

    has_second_host = False

    def prepare(self) -> None:
        self.added: Counter = Counter()

    def add(self) -> None:
        user, ago = 1 + self.chosen.randrange(OWNERS), self.chosen.choice((0, 0, 1, 2, 9, 30))
        size, when = self.chosen.randrange(10 ** 6), self.world.now() - timedelta(days=ago)
        self.world.add("message_logs", user_id=user, created_at=f"{when:%Y-%m-%d %H:%M:%S}",
                       **{**LOG, "bytes_used": size})
        for table, column, day in (("usage_daily", "day", when), (
                "usage_weekly", "week_start", when - timedelta(days=when.weekday()))):
            self.added[table, column, user, f"{day:%Y-%m-%d}"] += size

    def left(self) -> int:
        found = {(table, column, row["user_id"], str(row[column])): row["bytes_used"]
                 for table, column in (("usage_daily", "day"), ("usage_weekly", "week_start"))
                 for row in self.rows(f"SELECT * FROM {{{table}}}")}
        return sum(found.get(key) != size for key, size in self.added.items()) + len(
            found.keys() - self.added.keys())

    crowd = FAR

    def judge(self):
        if self.left():
            yield f"{self.left()} days and weeks are not what their messages add up to"


class Thresholds(Storm):
    """`check_usage_thresholds`: all that a user has crossed is on record once, in the commit of the
    one notice about it."""

    has_second_host = False
    table = "users"
    open = ("name = 'Heavy' AND id NOT IN (SELECT user_id FROM {usage_events})")

    def add(self) -> None:
        user = self.user("active", billing_anchor=self.world.text()[:10], email_limit=10)
        self.world.db.execute("UPDATE {users} SET name = 'Heavy' WHERE id = :id", id=user)
        self.world.add("usage_daily", user_id=user, day=self.world.text()[:10], email_count=10,
                       bytes_used=1)

    def judge(self):
        notices, events = self.notices(), Counter()
        for row in self.rows("SELECT user_id, threshold FROM {usage_events}"):
            events[row["user_id"]] += 1
        for row in self.rows("SELECT id FROM {users} WHERE name = 'Heavy'"):
            if (events[row["id"]], notices[row["id"]]) != (4, 1):
                yield f"user {row['id']}: {events[row['id']]} events, {notices[row['id']]} notices"


class Alerts(Storm):
    """`check_jobs`: each incident is reported, and again only after a kill; so is its end."""

    has_second_host, steps = False, (35,)
    crowd = FAR

    def prepare(self) -> None:
        self.failing = False

    def add(self) -> None:
        if self.chosen.random() > 1 / ROWS:
            return
        self.failing = not self.failing
        for number in range(3 if self.failing else 1):
            when = self.world.text(seconds=3 - number)
            self.world.add("job_runs", run_id=f"run{next(self.world.numbers)}",
                           job="purge_sessions", trigger_type="scheduled",
                           status="failed" if self.failing else "ok",
                           error="it broke" if self.failing else None, duration_ms=9,
                           started_at=when, finished_at=when)

    def left(self) -> int:
        return len(self.rows("SELECT alert_key FROM {alerts} WHERE notified_at IS NULL"))

    def judge(self):
        sent = Counter(entry["subject"] for entry in self.journal.new())
        copies, killed = sum(sent.values()) - len(sent), sum(self.kills.values())
        if self.left() or not sent or copies > killed:
            yield f"{self.left()} incidents unreported, {copies} copies after {killed} kills"


KINDS = {**dict.fromkeys(AGED, Aged), "purge_message_logs": Logs, "purge_header_snapshots": Headers,
         "archive_audit_logs": Archived, "expire_overflow_hold": Held, "purge_job_history": History,
         "expire_aliases": Aliases, "expire_destination_verifications": Destinations,
         "rollup_usage": Usage, "check_usage_thresholds": Thresholds, "check_jobs": Alerts}
