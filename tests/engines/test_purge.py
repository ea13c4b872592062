"""How a purge goes about it: which way through the table, how much at once, when it stops, what it
tells."""
from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.dialects.base import Batches
from jobs_lib.engines.batch_delete import LISTED, BatchSizer
from jobs_lib.engines.purge import begin, finish
from jobs_lib.engines.rules import Purge, Rule, keep, purge
from jobs_lib.engines.selection import Selection
from tests.support import keyed
from tests.support.bench import Bench
from tests.support.databases import bulk, lax
from tests.support.engines import on_sqlite

SESSIONS = purge(table="sessions", schedule="0 0 * * *", sample=("id",),
                 options={"idle": keep("7d", "How long a session may be idle.")},
                 rules=(Rule("expires_at", option=None), Rule("last_seen_at", option="idle"))
                 )._replace(name="purge_sessions")
LOGS = purge(table="message_logs", schedule="0 0 * * *", sample=("id",),
             options={"keep": keep("90d", "How long.")},
             rules=(Rule("created_at"),))._replace(name="purge_logs")

AUDIT = purge(table="audit_logs", schedule="0 0 * * *", sample=("id",),
              options={"keep": keep("365d", "How long.")},
              rules=(Rule("created_at", only={"severity": "info"}),))._replace(name="purge_audit")


def logs(bench, moments: dict) -> None:
    """Log rows: {id: days ago}."""
    bulk(bench.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, 1, "forward", "delivered", bench.ago(days=days)) for id, days in moments.items()])


def ways(bench) -> list[str]:
    """How each batch of the last run named its rows: `ids` or `range`."""
    return ["ids" if " WHERE id IN " in sql else "range" for sql in bench.statements
            if sql.startswith("DELETE")]


# Rules

def test_the_limit_is_fixed_when_the_run_begins(bench):
    logs(bench, dict.fromkeys(range(1, 3001), 91))
    moments = set()
    bench.on_statement = lambda sql, values: (bench.clock.sleep(5),
                                              moments.add(values.get("before0")))
    bench.run(LOGS)
    assert moments - {None} == {bench.ago(days=90)}


# What a job adds: a condition, a step before, something kept of each batch, further rows

def test_one_more_condition_is_judged_again_when_the_row_goes(bench):
    job = SESSIONS._replace(tables="",
                            run=Purge("sessions",
                                      (Rule("expires_at", option=None, also=lambda ctx: (
        ("NOT EXISTS (SELECT 1 FROM {users} WHERE {users}.id = {sessions}.user_id "
        "AND {users}.status = :word)"),
        {"word": "kept"})),)))
    bench.table("users", [{"id": 1, "status": "kept"}, {"id": 2}, {"id": 3}])
    bench.table("sessions", [{"id": id, "user_id": id, "expires_at": bench.ago(days=1)}
                             for id in (1, 2, 3)])
    assert bench.run(job, dry_run=True) == {"deleted": 2}
    other = connect(bench.url)

    def change(sql, _):                         # after the rows were found, before they go
        if re.match("BEGIN|START", sql):
            other.execute("UPDATE {users} SET status = 'kept' WHERE id = 2")
    bench.on_statement = change
    assert bench.run(job) == {"deleted": 1}
    other.close()
    assert bench.ids("sessions") == [1, 2]


def test_the_step_before_comes_first_and_its_counts_are_reported(bench):
    logs(bench, {1: 91, 2: 1})

    def run(ctx, declared) -> dict:
        due = begin(ctx, declared)
        ctx.count("made_old")
        if not ctx.dry_run:
            bench.db.execute("UPDATE {message_logs} SET created_at = :old WHERE id = 2",
                             old=bench.ago(days=91))
        return finish(ctx, due)
    job = LOGS._replace(run=Purge("message_logs", (Rule("created_at"),), run=run))
    assert bench.run(job, dry_run=True) == {"made_old": 1, "deleted": 1}
    assert bench.run(job) == {"made_old": 1, "deleted": 2}


def keeping(within):
    """The purge of logs that keeps something of each batch."""
    def run(ctx, declared) -> dict:
        return finish(ctx, begin(ctx, declared), within=within)
    return LOGS._replace(run=Purge("message_logs", (Rule("created_at"),), run=run))


def test_what_is_kept_of_a_batch_is_told_just_the_rows_that_go(bench):
    logs(bench, {**dict.fromkeys(range(1, 2501), 91),
                 **{id: 91 if id % 9 else 1 for id in range(5000, 9000, 8)}})
    kept = []

    def within(db, rows) -> None:
        kept.append([row["id"] for row in db.query(f"SELECT id{rows.source}", **rows.values)])
        same = f"SELECT COUNT(*) FROM {{message_logs}} WHERE id{rows.key} AND {rows.filter}"
        assert db.value(same, **rows.values) == len(kept[-1])
    before = bench.ids("message_logs")
    deleted = bench.run(keeping(within))["deleted"]
    assert set(ways(bench)) == {"range", "ids"}
    told = [id for ids in kept for id in ids]
    assert len(told) == len(set(told)) == deleted
    assert set(before) - set(told) == set(bench.ids("message_logs"))


def test_a_batch_whose_rows_changed_while_they_were_kept_is_done_again(bench):
    logs(bench, {1: 91, 2: 91})
    calls = []

    def within(db, rows) -> None:
        calls.append(rows)
        db.execute("UPDATE {users} SET name = name || 'x'")
        if len(calls) == 1:
            # as if another program had inserted a row in between
            db.execute("UPDATE {message_logs} SET created_at = :now WHERE id = 2", now=bench.now)
    bench.table("users", [{"name": ""}])
    assert bench.run(keeping(within)._replace(tables="")) == {"deleted": 2}
    assert len(calls) == 2
    assert bench.rows("users")[0]["name"] == "x"            # what the first attempt did is undone


def test_further_rows_go_after_those_of_the_rules_and_a_dry_run_counts_them(bench):
    logs(bench, {1: 91, 2: 8, 3: 1})
    ours = bench.ago(days=90)

    def more(ctx):
        for id in (2, 3):
            of_one = Rule("created_at", only={"id": id}, also=lambda ctx: ("created_at >= :ours",
                                                                           {"ours": ours}))
            yield Selection("message_logs", [(of_one, ctx.now - timedelta(hours=12))], ctx)

    def run(ctx, declared) -> dict:
        due = begin(ctx, declared)
        return finish(ctx, due, more=more(ctx)) if due else ctx.counts
    job = LOGS._replace(run=Purge("message_logs", (Rule("created_at"),), run=run))
    assert bench.run(job, dry_run=True) == {"deleted": 3}
    assert bench.run(job, limit=1) == {"deleted": 1}
    assert bench.ids("message_logs") == [2, 3]
    assert bench.run(job, limit=1) == {"deleted": 1}
    assert bench.ids("message_logs") == [3]
    assert bench.run(job, keep="off") == {"deleted": 0}
    assert bench.run(job) == {"deleted": 1}


# The way

def test_rows_close_together_go_by_ranges_of_the_key(bench):
    logs(bench, {id: 91 if id <= 5000 else 1 for id in range(1, 6001)})
    assert bench.run(LOGS) == {"deleted": 5000}
    assert set(ways(bench)) == {"range"}
    assert bench.ids("message_logs") == list(range(5001, 6001))


def test_rows_far_apart_go_by_their_ids(bench):
    logs(bench, {id: 91 if id % 7 == 0 else 1 for id in range(1, 14_001)})
    assert bench.run(LOGS) == {"deleted": 2000}
    assert set(ways(bench)) == {"ids"}
    assert len(bench.ids("message_logs")) == 12_000


def test_many_rows_of_one_time_and_no_order_between_time_and_key(bench):
    moments = dict.fromkeys(range(1, 3001), 91)
    moments.update({id: 200 - id % 50 for id in range(5000, 12_000, 9)})
    logs(bench, moments)
    assert bench.run(LOGS) == {"deleted": len(moments)}
    assert bench.ids("message_logs") == []


@pytest.mark.parametrize("none", ["2026-02-31 10:00:00", "2026-03-00 10:00:00",
                                  "2026-00-10 10:00:00"])
def test_rows_of_a_day_that_is_none_go_and_so_do_those_after_them(bench, none):         # R67
    logs(bench, {id * 9: 100 for id in range(2500)})
    lax(bench.url).execute(f"UPDATE {{message_logs}} SET created_at = '{none}' WHERE id < 9 * 1500")
    asked: list = []
    bench.on_statement = lambda sql, values: asked.append(values.get("since"))
    assert bench.run(LOGS) == {"deleted": 2500}
    assert set(ways(bench)) == {"ids"}
    assert none not in asked            # as a value of a statement MySQL 8 refuses it


def test_no_range_reaches_further_than_the_pace_allows(bench):
    logs(bench, dict.fromkeys(range(1, 40_001), 91))
    widths = []
    bench.on_statement = lambda sql, values: widths.append(values["high"] - values["low"] + 1) \
        if sql.startswith("DELETE") and "high" in values else None
    bench.run(LOGS)
    most = bench.db.dialect.batches.most
    assert max(widths) == most                  # no time passes here, so it grows as far as it may
    assert widths[0] == 1000


def test_a_list_of_ids_stays_short(bench):
    logs(bench, {id * 10: 91 for id in range(1, 2500)})
    lengths = []

    def hear(_sql, values) -> None:
        if "ids" in values:
            lengths.append(len(values["ids"]))
    bench.on_statement = hear
    bench.run(LOGS)
    assert max(lengths) <= LISTED


def test_no_batch_reads_all_that_is_old_by_the_time_index(bench):      # R16
    bulk(bench.db, "audit_logs", ["id", "actor", "event", "severity", "created_at"],
         [(id, "a", "b", "info", bench.ago(days=400)) for id in range(1, 30_001)])
    if not bench.db.dialect.by_key:
        bench.db.query("ANALYZE TABLE {audit_logs}")
    ranges = {}

    def hear(sql, values) -> None:
        if "BETWEEN" in sql:
            ranges[sql] = values
    bench.on_statement = hear
    bench.run(AUDIT, limit=1000)
    [(sql, values)] = ranges.items()
    [step] = bench.db.explain(sql, **values)
    assert "PRIMARY" in (step.get("key") or step["detail"])


@on_sqlite
def test_the_checkpoint_is_made_between_batches(bench):
    """Before the log is so long that another writer's commit would make it, and not after each
    batch: it waits for the disk."""
    logs(bench, {id: 92 - id / 100_000 for id in range(1, 60_001)})
    bench.db.query("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.run(LOGS)
    checkpoints = bench.statements.count(bench.db.dialect.after_batch)
    assert 1 < checkpoints < len(ways(bench))
    assert (bench.folder / "jobs.db-wal").stat().st_size < 1000 * 4200


@pytest.fixture
def text_bench(tmp_path, engine_url, request):
    """A Bench whose app has UUIDs, on each engine."""
    url = f"sqlite:///{tmp_path}/text.db" if engine_url.startswith("sqlite") else (
        request.getfixturevalue("mariadb").database())
    made = Bench(tmp_path, keyed.make(url, keyed.UUIDS), keys=keyed.UUIDS)
    yield made
    made.db.close()
    if not url.startswith("sqlite"):
        request.getfixturevalue("mariadb").drop(url)


def test_rows_whose_keys_are_text_go_by_their_ids(text_bench):         # R58 R75
    logs(text_bench, {**dict.fromkeys(range(1, 2501), 91),
                      **{id: 91 if id % 9 else 1 for id in range(5000, 9000, 8)}})
    kept: list = []

    def within(db, rows) -> None:
        kept.append([row["id"] for row in db.query(f"SELECT id{rows.source}", **rows.values)])
    before = set(text_bench.ids("message_logs"))
    assert text_bench.run(keeping(within), limit=1001)["deleted"] == 1001
    deleted = 1001 + text_bench.run(keeping(within))["deleted"]
    told = [text_bench.db.names.numbers[id] for ids in kept for id in ids]
    assert len(told) == len(set(told)) == deleted > 2500
    assert before - set(told) == set(text_bench.ids("message_logs"))


# The pace

FAST = Batches(seconds=0.1, least=100, most=20_000, pause=0.01, share=0.25)


def test_a_batch_grows_to_what_the_time_allows_and_no_further():       # R16
    sizer, sizes = BatchSizer(FAST), []
    for _ in range(10):
        sizes.append(sizer.rows)
        # a database that deletes 50,000 rows a second
        sizer.pause_after(sizer.rows, sizer.rows / 50_000)
    assert sizes[:4] == [1000, 2000, 4000, 5000]
    assert set(sizes[3:]) == {5000}


@pytest.mark.parametrize("speed, rows", [(1e9, 20_000), (1.0, 100)])
def test_a_batch_keeps_within_its_bounds(speed, rows):                 # R16
    sizer = BatchSizer(FAST)
    for _ in range(20):
        sizer.pause_after(sizer.rows, sizer.rows / speed)
    assert sizer.rows == rows


@pytest.mark.parametrize("seconds, pause", [(0.001, 0.01), (0.04, 0.01), (0.1, 0.025), (4.0, 1.0)])
def test_the_pause_is_a_share_of_the_batch_and_never_less_than_its_least(seconds, pause):
    assert BatchSizer(FAST).pause_after(1000, seconds) == pytest.approx(pause)


def test_a_few_rows_call_for_a_short_pause():
    """Else a hundred thousand users with one row each would be waited for longer than worked on."""
    assert BatchSizer(FAST).pause_after(5, 0.001) == pytest.approx(0.010 * 5 / 100)
    assert BatchSizer(FAST).pause_after(100, 0.001) == pytest.approx(0.010)


def test_the_engines_have_the_numbers_that_were_measured(bench):       # R16
    expected = {"sqlite": (0.010, 100, 5_000, 0.005, 1.0),
                "mysql": (0.030, 500, 20_000, 0.001, 0.03)}
    assert tuple(bench.db.dialect.batches) == expected[bench.db.dialect.name]


def test_there_is_a_pause_between_batches_and_none_after_the_last(bench):
    logs(bench, dict.fromkeys(range(1, 3001), 91))
    begin = bench.clock.seconds
    bench.run(LOGS)
    batches = len(ways(bench))
    slept = bench.clock.seconds - begin
    assert slept == pytest.approx((batches - 1) * bench.db.dialect.batches.pause,
                                  abs=bench.db.dialect.batches.pause)


# The end

def test_rows_that_are_found_and_never_go_end_it_as_stuck(bench):
    logs(bench, {1: 91, 2: 91})
    other = connect(bench.url)

    # another program that makes them young before each batch
    def tease(sql, _):
        if re.match("BEGIN|START", sql):
            other.execute("UPDATE {message_logs} SET created_at = :now", now=bench.now)
        elif sql.startswith("SELECT id, created_at"):
            other.execute("UPDATE {message_logs} SET created_at = :old", old=bench.ago(days=91))
    bench.on_statement = tease
    assert bench.run(LOGS) == {"deleted": 0}
    other.close()
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "stuck")
    assert len(ways(bench)) == 2


def test_rows_that_changed_after_they_were_found_stay(bench):
    logs(bench, {1: 91, 2: 91})
    other = connect(bench.url)

    def renew(sql, _):                          # after they were found, before they go
        if re.match("BEGIN|START", sql):
            other.execute("UPDATE {message_logs} SET created_at = :now WHERE id = 1", now=bench.now)
    bench.on_statement = renew
    assert bench.run(LOGS) == {"deleted": 1}
    other.close()
    assert bench.ids("message_logs") == [1]
    assert bench.result["status"] == "ok"


@pytest.mark.slow
def test_a_busy_database_ends_the_run_and_what_is_done_stays_done(bench):      # R16
    logs(bench, dict.fromkeys(range(1, 4001), 91))
    bench.timeout = 1.0
    holder = Holder(bench)
    bench.on_statement = holder.hear
    counts = bench.run(LOGS)
    bench.on_statement = None
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "busy")
    assert re.search("was writing for more than 1 s|held rows that we need for too long",
                     bench.result["error"])
    assert 0 < counts["deleted"] < 4000
    assert len(bench.ids("message_logs")) == 4000 - counts["deleted"]
    assert bench.run(LOGS) == {"deleted": 4000 - counts["deleted"]}


class Holder:
    """Another writer, who takes the last old row before the second batch and lets go when the run
    has given up."""

    def __init__(self, bench) -> None:
        self.bench, self.batches, self.thread = bench, 0, None
        self.holds, self.may_go = threading.Event(), threading.Event()

    def hear(self, sql: str, _values: dict) -> None:
        """Each statement of the run, just before it is sent."""
        if re.match("BEGIN|START", sql):
            self.batches += 1
            if self.batches == 2:
                self.thread = threading.Thread(target=self._hold, daemon=True)
                self.thread.start()
                assert self.holds.wait(10)
        elif self.thread and sql.startswith("UPDATE {job_runs} SET status"):
            self.may_go.set()
            self.thread.join(10)

    def _hold(self) -> None:
        db = connect(self.bench.url)
        with db.transaction():
            db.execute("UPDATE {message_logs} SET bytes_used = 1 WHERE id > 1000")
            self.holds.set()
            self.may_go.wait(60)
        db.close()


def test_sigterm_ends_it_after_the_batch_in_hand(bench):       # R5
    import os
    import signal

    logs(bench, dict.fromkeys(range(1, 4001), 91))

    def end(sql, _) -> None:
        if sql.startswith("DELETE"):
            os.kill(os.getpid(), signal.SIGTERM)
    bench.on_statement = end
    result = bench.attempt(LOGS)
    assert (result["status"], result["stop_reason"]) == ("interrupted", "SIGTERM")
    assert result["counts"] == {"deleted": 1000}
    assert len(bench.ids("message_logs")) == 3000


def test_progress_tells_done_total_and_rate(bench):
    logs(bench, dict.fromkeys(range(1, 3001), 91))
    bench.on_statement = lambda sql, _: bench.clock.sleep(3) if sql.startswith("DELETE") else None
    bench.run(LOGS)
    run = bench.rows("job_runs")[0]
    assert '"total": 3000' in run["progress"]
    assert '"rate"' in run["progress"]


@on_sqlite          # MariaDB refuses it
@pytest.mark.parametrize("odd", ["''", "'0'", "1764000000"])
def test_what_is_no_time_is_nobody_s_oldest_and_stops_nobody(bench, odd):       # R23
    logs(bench, {1: 91, 2: 91, 3: 1})
    bench.db.execute(f"UPDATE {{message_logs}} SET created_at = {odd} WHERE id = 1")
    assert bench.run("purge_message_logs") == {"deleted": 1, "invalid": 1}
    assert bench.ids("message_logs") == [1, 3]
