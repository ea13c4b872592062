"""All processes together stay under the relay's limits."""
from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from jobs_lib import clock
from jobs_lib.engines import relay_limits as relays
from jobs_lib.engines.relay_limits import HOUR, WINDOWS, Asked, Refusal, Relay, Reservation
from tests.support.shell import ROOT, Shell

TAKER = """
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from jobs_lib.database.connection import connect
from jobs_lib.engines import relay_limits
from jobs_lib.engines.relay_limits import Asked, Refusal, Relay
relay_limits.URGENT_SHARE = 0
limits = SimpleNamespace(per_minute=None, per_hour=100, per_day=None, failures_per_hour=None)
db = connect(sys.argv[1])
relay, taken = Relay(db, limits), 0
start = datetime(2026, 11, 24, 14, 30, tzinfo=timezone.utc)
for second in range(60):                       # each process at its own place in the hour
    found = db.batch(lambda: relay.reserve(start + timedelta(seconds=second * 7), Asked()))
    taken += not isinstance(found, Refusal)
print(taken)
"""


def limits(**values):
    off = {"per_minute": None, "per_hour": None, "per_day": None, "failures_per_hour": None}
    return SimpleNamespace(**{**off, **values})


@pytest.fixture(autouse=True)
def no_share():
    """Nothing is reserved, unless a test says so."""
    relays.URGENT_SHARE = 0


def reserve(bench, relay: Relay, moment=None, **asked) -> Reservation | Refusal:
    return bench.db.batch(lambda: relay.reserve(moment or bench.now, Asked(**asked)))


def taken(bench, relay: Relay, moments) -> list[bool]:
    """Which of these moments there was room at."""
    return [isinstance(reserve(bench, relay, moment), Reservation) for moment in moments]


def test_four_processes_with_100_an_hour_send_100_together(bench):     # R37
    processes = [subprocess.Popen([sys.executable, "-c", TAKER, bench.url], cwd=ROOT,
                                  stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 100


@pytest.mark.slow
# R37: processes, not threads
def test_forwards_and_notices_of_two_hosts_share_one_limit(tmp_path, engine_url):
    service = Shell(tmp_path, engine_url, mail={"transport": "maildir", "maildir": "maildir",
                                                  "per_hour": "100"})
    service.forwards(120)
    with service.db.transaction():
        for _ in range(120):
            service.db.insert("notifications", user_id=1, kind="overflow_warning",
                              to_email="owner@home.example", subject="Held", body_text="x\n",
                              created_at=clock.now())
    working = [service.start(job, JOBS_CORE_STATE_DIR=f"state{host}", JOBS_CORE_SECRET_KEY="k" * 32)
               for job in ("retry_forwards", "send_notifications") for host in (1, 2)]
    assert [process.communicate(timeout=120) and process.returncode
            for process in working] == [0] * 4
    sent = [service.db.value(f"SELECT COUNT(*) FROM {{{table}}} WHERE status = 'sent'")
            for table in ("failed_emails", "notifications")]
    assert sum(sent) == 90                      # the last tenth is kept for urgent ones
    assert len(list((tmp_path / "maildir" / "new").iterdir())) == 90


@pytest.mark.parametrize(("name", "seconds"), [("per_minute", 60), ("per_hour", 3600),
                                               ("per_day", 86400)])
def test_no_window_of_that_length_ever_holds_more(bench, name, seconds):     # R37
    relay, sent = Relay(bench.db, limits(**{name: 3})), []
    for step in range(60):
        moment = bench.ahead(seconds=step * seconds // 17)
        if taken(bench, relay, [moment])[0]:
            sent.append(moment)
    assert len(sent) >= 6
    assert all((later - earlier).total_seconds() >= seconds for earlier,
               later in zip(sent, sent[3:]))


def test_a_share_of_each_limit_is_kept_for_urgent_mail(bench):     # R38
    relays.URGENT_SHARE = 10
    relay = Relay(bench.db, limits(per_hour=20, per_day=100))
    assert sum(taken(bench, relay, [bench.now] * 30)) == 18
    assert relay.in_words(reserve(bench, relay), "notifications") == (
        "[mail] per_hour = 20 is reached, except 2 reserved for urgent mail")
    urgent = [reserve(bench, relay, urgent=True, owner=owner) for owner in (1, 1, 2, 3)]
    assert [isinstance(found, Reservation) for found in urgent] == [True, False, True, False]
    assert relay.in_words(urgent[1], "notifications") == (
        "[mail] per_hour = 20 is reached, except 1 reserved for urgent mail")


@pytest.mark.parametrize("name", ["per_hour", "per_day"])
def test_of_the_urgent_reserve_an_owner_gets_half(bench, name):     # R38 R66
    relays.URGENT_SHARE = 20
    relay = Relay(bench.db, limits(**{name: 100}))
    found = [reserve(bench, relay, urgent=True, owner=1, halves=WINDOWS) for _ in range(61)]
    assert [isinstance(each, Refusal) for each in found] == [False] * 60 + [True]
    assert found[-1].kind == relays.HALF
    for owner in (2, 2, 3):             # a crowd uses up what is left of the rest
        for _ in range(10):
            assert isinstance(reserve(bench, relay, owner=owner, halves=WINDOWS), Reservation)
    assert reserve(bench, relay, owner=4, halves=WINDOWS).kind == relays.REACHED
    found = [reserve(bench, relay, urgent=True, owner=4, halves=WINDOWS) for _ in range(11)]
    # now all is used
    assert [each.kind for each in found if isinstance(each, Refusal)] == [relays.REACHED]
    relay.correct(found[0], bench.now, handed_over=False)
    assert isinstance(reserve(bench, relay, urgent=True, owner=5), Reservation)
    assert relay.used(bench.now) == {name.partition("_")[2]: (100, 100)}


def test_who_has_used_half_of_the_urgent_reserve_leaves_the_rest_to_others(bench):     # R38 R66
    relays.URGENT_SHARE = 20
    relay = Relay(bench.db, limits(per_hour=20))
    taken(bench, relay, [bench.now] * 16)
    found = [reserve(bench, relay, urgent=True, owner=owner, halves=WINDOWS) for owner in (1, 1, 1,
                                                                                           2, 2, 3)]
    assert [getattr(each, "kind", "") for each in found] == ["", "", relays.URGENT_HALF, "", "",
                                                             relays.REACHED]
    assert found[2].window == HOUR


def test_a_larger_urgent_share_before_lets_nothing_past_the_limit(bench):     # R37
    relays.URGENT_SHARE = 50
    relay = Relay(bench.db, limits(per_hour=10))
    taken(bench, relay, [bench.now] * 5)
    assert sum(isinstance(reserve(bench, relay, urgent=True, owner=owner), Reservation)
               for owner in range(9)) == 5
    relays.URGENT_SHARE = 0
    assert taken(bench, Relay(bench.db, limits(per_hour=10)), [bench.now]) == [False]


def test_it_says_how_long_until_there_is_room(bench):     # R37
    relay = Relay(bench.db, limits(per_hour=1))
    taken(bench, relay, [bench.now])
    refusal = reserve(bench, relay, bench.ahead(minutes=20))
    assert relay.in_words(refusal, "notifications") == "[mail] per_hour = 1 is reached"
    wait = refusal.seconds
    assert taken(bench, relay, [bench.ahead(minutes=20, seconds=wait - 61),
                                bench.ahead(minutes=20, seconds=wait)]) == [
        False, True]


def test_used_up_failures_stop_only_what_failed_before(bench):     # R37
    relay = Relay(bench.db, limits(failures_per_hour=1))
    relay.correct(reserve(bench, relay), bench.now, failed=True)
    assert reserve(bench, relay, failed_before=True).kind == relays.FAILURES
    assert isinstance(reserve(bench, relay), Reservation)


def test_without_limits_nothing_is_counted(bench):
    relay = Relay(bench.db, limits())
    assert taken(bench, relay, [bench.now] * 3) == [True] * 3
    assert bench.rows("mail_counters") == []


def test_old_counts_are_forgotten_and_the_windows_kept(bench):
    relay = Relay(bench.db, limits(per_minute=5, per_hour=5, per_day=5))
    taken(bench, relay, [bench.ago(days=2), bench.ago(hours=2), bench.ago(seconds=30)])
    relay.forget(bench.now)
    assert sorted(row["span"] for row in bench.rows("mail_counters")) == ["day", "day", "hour",
                                                                          "minute"]


def test_counts_of_a_clock_that_was_ahead_do_not_stop_all_mail(bench):     # R37
    relay = Relay(bench.db, limits(per_hour=1, per_day=1))
    taken(bench, relay, [bench.ahead(days=10)])
    assert taken(bench, relay, [bench.now]) == [True]
