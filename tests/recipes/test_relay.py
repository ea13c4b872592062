"""All processes together stay under the relay's limits."""
from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from jobs_lib import clock
from jobs_lib.recipes.relay import Relay
from tests.support.service import ROOT, Service

TAKER = """
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from jobs_lib.ports.db import connect
from jobs_lib.recipes.relay import Relay
limits = SimpleNamespace(per_minute=None, per_hour=100, per_day=None, failures_per_hour=None,
                         urgent_share=0)
db = connect(sys.argv[1])
relay, taken = Relay(db, limits), 0
start = datetime(2026, 11, 24, 14, 30, tzinfo=timezone.utc)
for second in range(60):                       # each process at its own place in the hour
    full = db.batch(lambda: relay.reserve(start + timedelta(seconds=second * 7), False))
    taken += full is None
print(taken)
"""


def limits(**values):
    off = {"per_minute": None, "per_hour": None, "per_day": None, "failures_per_hour": None, "urgent_share": 0}
    return SimpleNamespace(**{**off, **values})


def taken(bench, relay: Relay, moments) -> list[bool]:
    """Which of these moments there was room at."""
    return [bench.db.batch(lambda moment=moment: relay.reserve(moment, False)) is None for moment in moments]


def test_four_processes_with_100_an_hour_send_100_together(bench):     # R37
    processes = [subprocess.Popen([sys.executable, "-c", TAKER, bench.url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
                 for _ in range(4)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 100


@pytest.mark.slow
def test_forwards_and_notices_of_two_hosts_share_one_limit(tmp_path, engine_url):     # R37: processes, not threads
    service = Service(tmp_path, engine_url, mail={"transport": "maildir", "maildir": "maildir", "per_hour": "100"})
    service.forwards(120)
    with service.db.transaction():
        for _ in range(120):
            service.db.insert("notifications", user_id=1, kind="overflow_warning", to_email="owner@home.example",
                              subject="Held", body_text="x\n", created_at=clock.now())
    working = [service.start(job, JOBS_CORE_STATE_DIR=f"state{host}", JOBS_CORE_SECRET_KEY="k" * 32)
               for job in ("retry_forwards", "send_notifications") for host in (1, 2)]
    assert [process.communicate(timeout=120) and process.returncode for process in working] == [0] * 4
    sent = [service.db.value(f"SELECT COUNT(*) FROM {{{table}}} WHERE status = 'sent'")
            for table in ("failed_emails", "notifications")]
    assert sum(sent) == 90                      # the last tenth is kept for urgent ones
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 90


@pytest.mark.parametrize(("name", "seconds"), [("per_minute", 60), ("per_hour", 3600), ("per_day", 86400)])
def test_no_window_of_that_length_ever_holds_more(bench, name, seconds):     # R37
    relay, sent = Relay(bench.db, limits(**{name: 3})), []
    for step in range(60):
        moment = bench.ahead(seconds=step * seconds // 17)
        if taken(bench, relay, [moment])[0]:
            sent.append(moment)
    assert len(sent) >= 6
    assert all((later - earlier).total_seconds() >= seconds for earlier, later in zip(sent, sent[3:]))


def test_a_share_of_each_limit_is_kept_for_urgent_mail(bench):     # R38
    relay = Relay(bench.db, limits(per_hour=20, per_day=100, urgent_share=10))
    assert sum(taken(bench, relay, [bench.now] * 30)) == 18
    which, _ = bench.db.batch(lambda: relay.reserve(bench.now, False))
    assert which == "[mail] per_hour = 20 is reached but for the 2 that are kept for urgent mail"
    urgent = [bench.db.batch(lambda: relay.reserve(bench.now, False, urgent=True)) for _ in range(3)]
    assert [full is None for full in urgent] == [True, True, False]


def test_it_says_how_long_until_there_is_room(bench):     # R37
    relay = Relay(bench.db, limits(per_hour=1))
    taken(bench, relay, [bench.now])
    which, wait = bench.db.batch(lambda: relay.reserve(bench.ahead(minutes=20), False))
    assert which == "[mail] per_hour = 1 is reached"
    assert taken(bench, relay, [bench.ahead(minutes=20, seconds=wait - 61), bench.ahead(minutes=20, seconds=wait)]) == [
        False, True]


def test_used_up_failures_stop_only_what_failed_before(bench):     # R37
    relay = Relay(bench.db, limits(failures_per_hour=1))
    relay.failed(bench.now)
    assert bench.db.batch(lambda: relay.reserve(bench.now, True)) is not None
    assert bench.db.batch(lambda: relay.reserve(bench.now, False)) is None


def test_without_limits_nothing_is_counted(bench):
    relay = Relay(bench.db, limits())
    assert taken(bench, relay, [bench.now] * 3) == [True] * 3
    assert bench.rows("mail_counters") == []


def test_old_counts_are_forgotten_and_the_windows_kept(bench):
    relay = Relay(bench.db, limits(per_minute=5, per_hour=5, per_day=5))
    taken(bench, relay, [bench.ago(days=2), bench.ago(hours=2), bench.ago(seconds=30)])
    relay.forget(bench.now)
    assert sorted(row["span"] for row in bench.rows("mail_counters")) == ["day", "day", "hour", "minute"]


def test_counts_of_a_clock_that_was_ahead_do_not_stop_all_mail(bench):     # R37
    relay = Relay(bench.db, limits(per_hour=1, per_day=1))
    taken(bench, relay, [bench.ahead(days=10)])
    assert taken(bench, relay, [bench.now]) == [True]
