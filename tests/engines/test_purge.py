"""How a purge goes about it: which way through the table, how much at once, when it gives way to
others and when it stops."""
from __future__ import annotations

import os
import re
import signal
from contextlib import closing

import pytest

from tests.support.databases import bulk, lax
from tests.support.plans import explain
from tests.support.product import connect
from tests.support.require import on_mariadb, on_sqlite

JOB = "archive_audit_logs"          # without a store it does no more than delete
OLD = 400                           # days: it keeps 365
# how long a batch should take, least and most rows of it, the pause after it: at least, and its
# share of the batch's time
PACE = {"sqlite": (0.004, 100, 5_000, 0.005, 1.0), "mysql": (0.030, 500, 20_000, 0.001, 0.03)}


def audit(bench, moments: dict, **values) -> None:
    """Audit rows: {id: days ago}."""
    values = {"actor": "a", "event": "b", "severity": "info", **values}
    bulk(bench.db, "audit_logs", ["id", "created_at", *values],
         [(id, bench.ago(days=days), *values.values()) for id, days in moments.items()])


def batches(bench, seconds=lambda width: 0.0, then=lambda: None) -> list[tuple[str, int]]:
    """From now on a batch takes so many `seconds(ids)`: how each names its rows, and how many ids
    that are. `then()`: called with each."""
    found: list = []

    def hear(sql: str, values: dict) -> None:
        if sql.startswith("DELETE"):
            listed = values.get("ids")
            width = len(listed) if listed else values["high"] - values["low"] + 1
            found.append(("ids" if listed else "range", width))
            bench.clock.seconds += seconds(width)
            then()
    bench.on_statement = hear
    return found


@pytest.mark.parametrize("moments, ways", [
    ({id: OLD if id <= 5000 else 1 for id in range(1, 6001)}, {"range"}),
    ({id: OLD if id % 7 == 0 else 1 for id in range(1, 12_601)}, {"ids"}),      # two full pages
    # many of one time, and no order between time and key
    ({**dict.fromkeys(range(1, 3001), OLD), **{id: 600 - id % 50 for id in range(5000, 12_000, 9)}},
     {"range", "ids"})], ids=["close together", "far apart", "mixed"])
def test_rows_close_together_go_by_ranges_of_the_key_and_others_by_ids(bench, moments, ways):
    audit(bench, moments)
    found = batches(bench)
    assert bench.run(JOB) == {"deleted": sum(days > 365 for days in moments.values())}
    assert {way for way, _ in found} == ways
    assert bench.ids("audit_logs") == [id for id, days in moments.items() if days <= 365]
    assert all(width <= 900 for way, width in found if way == "ids")


@pytest.mark.parametrize("none", ["2025-02-31 10:00:00", "2025-03-00 10:00:00",
                                  "2025-00-10 10:00:00"])
def test_rows_of_a_day_that_is_none_go_and_so_do_those_after_them(bench, none):         # R67
    audit(bench, {id * 9: 800 for id in range(1, 2500)})
    lax(bench.url).execute(f"UPDATE {{audit_logs}} SET created_at = '{none}' WHERE id < 9 * 1500")
    asked: list = []
    bench.on_statement = lambda sql, values: asked.extend(map(str, values.values()))
    assert bench.run(JOB) == {"deleted": 2499}
    assert none not in asked            # as a value of a statement MySQL 8 refuses it


def test_what_a_rule_that_is_off_would_look_at_is_not_invalid(bench):        # R67
    bench.table("sessions", [{"last_seen_at": "1970-01-01 00:00:00",
                              "expires_at": bench.ahead(days=1)}])
    assert bench.run("purge_sessions") == {"deleted": 0, "invalid": 1}
    assert "last_seen_at is not a valid time" in str(bench.events("purge_sessions"))
    assert bench.run("purge_sessions", idle="off") == {"deleted": 0}


def test_no_batch_reads_all_that_is_old_by_the_time_index(bench):      # R16
    audit(bench, dict.fromkeys(range(1, 30_001), OLD))
    if bench.db.dialect.name == "mysql":
        bench.db.query("ANALYZE TABLE {audit_logs}")
    ranges = {}

    def hear(sql, values) -> None:
        if "BETWEEN :low" in sql:
            ranges[sql] = values
    bench.on_statement = hear
    bench.run(JOB, limit=1000)
    [(sql, values)] = ranges.items()
    [step] = explain(bench.db, sql, **values)
    assert "PRIMARY" in (step.get("key") or step["detail"])


@pytest.mark.parametrize("speed", [None, 2000, 1], ids=["fast", "medium", "slow"])
def test_a_batch_and_its_pause_are_as_long_as_its_engine_allows(bench, speed):          # R16
    aim, least, most, pause, share = PACE[bench.db.dialect.name]
    audit(bench, dict.fromkeys(range(1, 40_001), OLD))
    # rows a second
    speed = {None: 1e9, 2000: 2000 / aim, 1: 1000}[speed]
    found, begin = batches(bench, lambda width: width / speed), bench.clock.seconds
    assert bench.run(JOB) == {"deleted": 40_000}
    assert speed != 1000 or '"done": 39' in bench.rows("job_runs")[0]["progress"]       # R2
    widths = [width for _, width in found]
    assert widths[0] == 1000                    # then it follows the time of the last one
    assert abs(widths[-1] - {1e9: most, 1000: least}.get(speed, 2000)) <= 1
    pauses = [max(pause, share * width / speed) for width in widths]
    work = sum(width / speed for width in widths)
    assert bench.clock.seconds - begin - work == pytest.approx(sum(pauses), rel=0.01)


def test_a_few_rows_call_for_a_short_pause(bench):                  # R16: of 100,000 users each
    _, least, _, pause, _ = PACE[bench.db.dialect.name]
    for id, severity in enumerate(("info", "warning", "critical"), 1):
        audit(bench, {id: 3000}, severity=severity)
    begin = bench.clock.seconds
    assert bench.run(JOB) == {"deleted": 3}
    assert bench.clock.seconds - begin == pytest.approx(3 * pause / least)


@on_sqlite
def test_its_log_is_copied_before_another_writer_would_have_to(bench):      # R16
    audit(bench, dict.fromkeys(range(1, 60_001), OLD))
    bench.db.query("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.run(JOB)
    deletes, copies = (sum(part in sql for sql in bench.statements)
                       for part in ("DELETE", "wal_checkpoint"))
    assert 1 < copies < deletes                 # each waits for the disk
    assert (bench.folder / "jobs.db-wal").stat().st_size < 1000 * 4200


def take(other, first: int) -> None:
    """The app changes rows in a transaction that it leaves open."""
    other.execute("BEGIN")
    other.execute("UPDATE {audit_logs} SET user_id = 7 WHERE id BETWEEN :first AND 2500",
                  first=first)


@on_mariadb
@pytest.mark.slow
def test_a_batch_that_meets_a_lock_is_tried_again_in_halves(bench):                # R16
    audit(bench, dict.fromkeys(range(1, 3001), OLD))
    bench.timeout = 1.0
    with closing(connect(bench.url)) as other:
        take(other, 1500)
        found = batches(bench, then=lambda: other.execute("ROLLBACK") if len(found) == 7 else None)
        assert bench.run(JOB) == {"deleted": 3000}
    assert bench.result["status"] == "ok"
    # the second batch meets it: what is before it goes, in halves
    widths = [width for _, width in found]
    assert widths[1:3] == [2000, 1000]
    assert min(widths) < 500


@on_sqlite
def test_what_a_batch_waits_for_another_writer_makes_it_smaller(bench):            # R16
    audit(bench, dict.fromkeys(range(1, 3001), OLD))
    found = batches(bench)
    hear = bench.on_statement

    def wait(sql, values) -> None:
        hear(sql, values)
        bench.clock.seconds += 0.4 * (sql == "BEGIN IMMEDIATE")
    bench.on_statement, begin = wait, bench.clock.seconds
    assert bench.run(JOB) == {"deleted": 3000}
    assert [width for _, width in found[:5]] == [1000, 500, 250, 125, 100]
    # and others get as long as that to write
    assert bench.clock.seconds - begin >= 2 * 0.4 * (len(found) - 1)


@pytest.mark.slow
def test_a_busy_database_ends_the_run_and_what_is_done_stays_done(bench):      # R16
    audit(bench, dict.fromkeys(range(1, 4001), OLD))
    bench.timeout, begun = 1.0, []

    def hear(sql: str, _values: dict) -> None:
        """Another writer takes old rows before the second batch, until the run gives up."""
        if re.match("BEGIN|START", sql):
            begun.append(sql)
            if len(begun) == 2:
                take(other, 1001)
        elif len(begun) > 1 and sql.startswith("UPDATE {job_runs} SET status"):
            other.execute("ROLLBACK")
    with closing(connect(bench.url)) as other:
        bench.on_statement = hear
        counts = bench.run(JOB)
        bench.on_statement = None
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "busy")
    assert re.search("was writing for more than 1 s|Lock wait timeout exceeded",
                     bench.result["error"])
    assert 0 < counts["deleted"] < 4000
    assert len(bench.ids("audit_logs")) == 4000 - counts["deleted"]
    assert bench.run(JOB) == {"deleted": 4000 - counts["deleted"]}


def test_rows_that_changed_after_they_were_found_stay(bench):
    audit(bench, {1: OLD, 2: OLD})
    bench.meanwhile("BEGIN", "UPDATE {audit_logs} SET created_at = :now WHERE id = 1")
    assert bench.run(JOB) == {"deleted": 1}
    assert (bench.result["status"], bench.ids("audit_logs")) == ("ok", [1])


def test_sigterm_ends_it_after_the_batch_in_hand(bench):       # R5
    audit(bench, dict.fromkeys(range(1, 4001), OLD))
    batches(bench, then=lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = bench.attempt(JOB)
    assert (result["status"], result["stop_reason"]) == ("interrupted", "SIGTERM")
    assert result["counts"] == {"deleted": 1000}
    assert len(bench.ids("audit_logs")) == 3000
