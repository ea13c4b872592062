"""A day is read at one moment, also beside a purge."""
from __future__ import annotations

import threading

from tests.jobs.test_rollup_usage import PURGE, daily, log
from tests.support.engines import on_mariadb
from tests.support.product import connect, rollup


@on_mariadb          # nobody else can write meanwhile
def test_a_day_is_read_at_one_moment_also_if_a_purge_ends_in_the_middle_of_it(bench):      # R58
    """The rollup's own statement has read one table, and waits there for the purge, before it reads
    the other."""
    day, other = bench.ago(days=2).date().isoformat(), connect(bench.url)
    bench.table("users", [{"id": 1}])
    bench.table("message_stats", [{"user_id": 1, "day": day, "direction": "send", "status": "spam",
                                   "email_count": 6, "bytes_used": 6}])
    bench.table("message_logs", [log(bench.ago(days=2))])
    bench.table("rollup_days", [{"day": day}])
    bench.db.execute("CREATE VIEW held_stats AS SELECT * FROM message_stats WHERE"
                     " GET_LOCK(CONCAT('held', bytes_used * 0), 60) >= 0")
    other.name.mapped["message_stats"] = "held_stats"
    bench.db.value("SELECT GET_LOCK('held0', 0)")
    reader = threading.Thread(target=lambda: other.batch(lambda: rollup._add_up(other, day)),
                              daemon=True)
    reader.start()
    while not bench.db.value("SELECT COUNT(*) FROM information_schema.processlist "
                             "WHERE state = 'User lock'"):
        assert reader.is_alive()
    assert bench.run(PURGE, keep="1d") == {"deleted": 1}
    assert reader.is_alive()
    bench.db.value("SELECT RELEASE_LOCK('held0')")
    reader.join(20)
    other.close()
    assert bench.rows("message_logs") == []
    assert daily(bench.db) == [(1, day, 7, 16)]
