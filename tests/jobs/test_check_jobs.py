"""One alert for each incident, a reminder a day, a message when it is over; never twenty for one
cause, whichever channel is down."""
from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.product import ANSWERED, FAILED, FINAL, RELAY, Response, Result, catalogue
from tests.support.product import incidents as product

JOB, OPERATOR, HOOK = "check_jobs", "op@example.org", "https://hook.example/secret"
MINUTES = timedelta(minutes=5)
FAILS = "failing:retry_forwards"


@pytest.fixture
def bench(bench, engine_url):     # pytest 8 finds the engines of a fixture of the same name only so
    """One with both channels, whose disk is never full."""
    setup(bench)
    return bench


def setup(bench, **sections) -> None:
    """That configuration, with these options over it."""
    usual = {"alerts": {"email": OPERATOR, "webhook": HOOK, "disk_free": "off"},
             "mail": {"from": "jobs@example.org"}}
    bench.config(**{**sections, **{name: {**usual[name], **sections.get(name, {})}
                                   for name in usual}})


def ended(bench, job: str, status: str = "failed", error: str | None = None, ago=MINUTES,
          **values) -> None:
    """A run of the past."""
    at = bench.now - ago
    broke = "it broke" if status in ("failed", "vanished") else None
    bench.table("job_runs", [{"job": job, "run_id": f"{job}{at:%d%H%M%S}{status}", "status": status,
                              "started_at": at, "finished_at": at, "duration_ms": 9,
                              "trigger_type": "scheduled", "error": error or broke, **values}])


def fails(bench, job: str, times: int = 3, **how) -> None:
    """So many failures in a row, five minutes apart, the last one five minutes ago."""
    for number in range(times, 0, -1):
        ended(bench, job, ago=number * MINUTES, **how)


def known(bench, *jobs: str, **state) -> None:
    """These jobs were due for nine days."""
    bench.table("job_state", [{"job": job, "due_after": bench.ago(days=9), **state}
                              for job in jobs])


def later(bench, **span) -> None:
    """Time passes while cron goes on."""
    end = bench.now + timedelta(**span)
    while bench.now + timedelta(minutes=30) < end:
        bench.now += timedelta(minutes=30)
        ended(bench, JOB, "ok", ago=timedelta(0))
    bench.now = end


def sent(bench) -> list[str]:
    """What both channels were sent since the last look, a message each: `new failing:job`, for each
    incident in it. The two have to be the same."""
    mails, calls = [mail.subject for mail in bench.outbox], [json.loads(request.body)
                                                             for request in bench.web]
    assert mails == [call["title"] for call in calls]
    bench.outbox.clear()
    bench.web.clear()
    return [", ".join(f"{each['state']} {each['name'].partition(' ')[0]}"
                      for each in call["incidents"]) for call in calls]


def check(bench) -> list[str]:
    """A run, and what it sent."""
    bench.run(JOB)
    return sent(bench)


def test_an_incident_is_reported_once_then_daily_and_once_when_it_is_over(bench):       # R60
    for minutes, status in ((10, "timeout"), (5, "vanished")):
        ended(bench, "retry_forwards", status, ago=timedelta(minutes=minutes))
    assert check(bench) == []
    for minutes, status, reported in (
            (0, "failed", "new"), (5, "failed", ""), (1434, "failed", ""), (1, "failed", "still"),
            (5, "failed", ""), (5, "ok", ""), (29, "ok", ""), (1, "ok", "over"), (5, "ok", "")):
        later(bench, minutes=minutes)
        ended(bench, "retry_forwards", status, ago=timedelta(0))
        assert check(bench) == [f"{reported} {FAILS}"] * bool(reported), minutes


def test_a_success_ends_the_row_and_a_run_that_gave_way_is_none(bench):
    fails(bench, "retry_forwards")
    ended(bench, "retry_forwards", "partial", ago=timedelta(minutes=2), stop_reason="busy")
    assert len(check(bench)) == 1
    fails(bench, "purge_sessions", times=2)
    ended(bench, "purge_sessions", "partial", ago=timedelta(minutes=1))
    ended(bench, "purge_sessions", ago=timedelta(seconds=30))
    assert check(bench) == []
    setup(bench, rollup_usage={"alert_after_failures": "4"})        # BJ-26
    for minutes, alerts in ((15, 0), (10, 0), (5, 0), (0, 1)):
        ended(bench, "rollup_usage", ago=timedelta(minutes=minutes), error="it is slow")
        assert len(check(bench)) == alerts


def test_an_incident_that_returns_within_half_an_hour_is_the_same_one(bench):     # R60
    setup(bench, alerts={"disk_free": "9999GB"})
    assert len(check(bench)) == 1
    for option in ("off", "9999GB") * 12:
        later(bench, minutes=20)
        setup(bench, alerts={"disk_free": option})
        assert check(bench) == []


# One cause, one alert

def test_several_new_ones_are_one_message_and_a_full_disk_explains_jobs_that_could_not_write(bench):
    fails(bench, "retry_forwards", error="one thing")
    fails(bench, "purge_sessions", error="another")
    fails(bench, "rollup_usage", error="OSError: [Errno 28] No space left on device (spool.py)")
    setup(bench, alerts={"disk_free": "10000GB"})
    assert check(bench) == [
        "new failing:purge_sessions, new failing:retry_forwards, new disk:state"]
    later(bench, minutes=5)
    bench.statements.clear()
    assert check(bench) == []           # nothing new: then it writes nothing but its run
    assert [sql for sql in bench.statements if not sql.startswith("SELECT")
            and "job_runs" not in sql] == []


def test_a_relay_that_is_paused_again_explains_the_jobs_and_queues_behind_it(bench):
    forward(bench, bench.ago(hours=1))
    pause = {"paused_until": bench.ahead(minutes=2), "since": bench.ago(minutes=3)}
    bench.table("relay_state", [{"id": 1, "reason": "Connection refused", **pause}])
    assert check(bench) == []                       # a first short one
    assert bench.command("status").startswith("Mail is paused until 14:32 UTC on 24 Nov; nothing")
    setup(bench, alerts={"queue_age": "50m"})       # but a queue behind it has waited for long,
    assert "nothing needs" in bench.command("status")       # and not only for a first run
    ended(bench, "retry_forwards", ago=MINUTES, status="ok")
    assert re.match("(?s)1 thing needs.*mail has been.*mail test", bench.command("status", code=1))
    bench.db.execute("UPDATE {relay_state} SET since = :since", since=bench.ago(minutes=40))
    for job in ("retry_forwards", "send_notifications"):
        fails(bench, job, error="the relay cannot be used: mail.example.org:587")
    assert check(bench) == ["new relay:mail"]


def forward(bench, due_at) -> None:
    """One of an owner and an alias that are there, due since then."""
    bench.table("users", [{"id": 1}])
    bench.table("aliases", [{"id": 1, "user_id": 1}])
    bench.table("failed_emails", [{"user_id": 1, "alias_id": 1, "created_at": bench.ago(days=2),
                                   "next_attempt_at": due_at}])


def test_jobs_that_fail_for_the_same_reason_are_one_incident(bench):
    for number, job in enumerate(("purge_sessions", "retry_forwards", "rollup_usage",
                                  "purge_magic_links")):
        fails(bench, job, error=f"no such folder (try {number})")
    bench.run(JOB)
    mail, = bench.outbox
    assert ("Other jobs fail with the same error: purge_sessions, retry_forwards, rollup_usage."
            in " ".join(mail.text.split()))
    assert len(bench.rows("alerts")) == 1


def test_after_a_cron_that_had_stopped_there_is_one_alert_and_nobody_is_late(bench):         # R60
    known(bench, *catalogue.names())
    for job in catalogue.names():
        ended(bench, job, "ok", ago=timedelta(minutes=1), slot=bench.ago(minutes=1))
    assert check(bench) == []
    bench.now += timedelta(days=4)
    bench.run(JOB)
    assert "No job was started between 14:30 UTC on 24 Nov and 14:30 UTC on 28 Nov" in " ".join(
        bench.outbox[0].text.split())
    assert sent(bench) == ["new doubt:clock, once late:cron"]
    for job in ("retry_forwards", "retry_webhooks", "send_notifications"):
        ended(bench, job, "ok", ago=timedelta(0))           # the others have a day to be run
    for _ in range(2):
        later(bench, minutes=2)
        assert check(bench) == []
    assert bench.run(JOB, dry_run=True) == {"sent": 0}
    assert bench.samples[0]["step"] == "send no alert: nothing is new"


def test_a_mistake_in_config_ini_is_one_incident_whatever_waits(bench):     # R59 R60
    setup(bench, mail={"port": "abc"}, purge_sessions={"idle": "for ever"})
    fails(bench, "retry_forwards", error="[mail] port = 'abc': expected a whole number, 1-65535")
    assert bench.fails(JOB).startswith("alerts by e-mail do not arrive: [mail] port = 'abc'")
    assert [each["name"] for each in json.loads(bench.web[0].body)["incidents"]] == [
        "configuration:[mail]", "configuration:[purge_sessions]"]
    for waits in (False, True):
        if waits:
            forward(bench, bench.ago(hours=1))
        for section, wrong in [("mail", {"from": "o@@b"}), ("status", {"page": "a\n b"}), *(
                (section, {"prt": "1"}) for section in (
                    "mail", "spool", "personas", "archive", "dns", "export", "webhooks",
                    "status", "notifications"))]:
            setup(bench, **{section: wrong})
            bench.db.execute("DELETE FROM {alerts}")
            bench.web.clear()
            bench.attempt(JOB)
            found = [each["name"] for each in json.loads(bench.web[0].body)["incidents"]]
            assert f"configuration:[{section}]" in found
            said = bench.command("status", code=1)
            for words in (f"[{section}] cannot be used", wrong.get("from", "")):
                assert words in said
            bench.command("queue", "forwards"), bench.command("report")


def test_several_addresses_share_the_time_of_their_channel(bench):           # R60
    """A relay that hangs leaves time for the webhook."""
    setup(bench, alerts={"email": f"{OPERATOR}, op2@example.org"})
    ends = []

    def hang(_envelope, _message, end, _id) -> Result:
        ends.append(end - bench.clock.seconds)
        bench.clock.seconds += 40
        return Result(RELAY, None, "", "no answer")
    bench.outbox.send = hang
    fails(bench, "retry_forwards")
    assert "alerts by e-mail do not arrive" in bench.fails(JOB)
    assert [round(each) for each in ends] == [40, 0]
    assert len(bench.web) == 2


# What is watched

def test_a_job_without_success_for_three_intervals_is_late_and_says_why(bench):      # R16 R59
    known(bench, "purge_sessions", JOB)
    ended(bench, "purge_sessions", "ok", ago=timedelta(days=4))
    for days in (3, 2, 1):
        ended(bench, "purge_sessions", "partial", ago=timedelta(days=days), stop_reason="busy",
              error="47 threads were running in the database, the limit is 25")
    ended(bench, JOB, "ok")
    bench.run(JOB)
    assert bench.outbox[0].subject.startswith("[jobs] purge_sessions is late: due since ")
    assert ("last error  47 threads were running in the database, the limit is 25"
            in bench.outbox[0].text)


def test_a_tick_that_comes_rarely_and_a_job_that_is_off_or_paused_make_none_late(bench):    # R59
    setup(bench, purge_sessions={"enabled": "no"})
    known(bench, "retry_webhooks", JOB, "purge_sessions")
    known(bench, "purge_magic_links", paused_at=bench.ago(days=8))
    for job in ("purge_sessions", "purge_magic_links"):
        ended(bench, job, "ok", ago=timedelta(days=4))
    for hours in (6, 4, 2):
        for job in ("retry_webhooks", JOB):
            ended(bench, job, "ok", ago=timedelta(hours=hours), slot=bench.ago(hours=hours))
    assert check(bench) == []


def test_what_was_just_handed_to_a_worker_is_not_late_before_the_next_tick(bench):      # R59
    setup(bench, worker={"redis": "redis://127.0.0.1:1/0"}, retry_webhooks={"mode": "rq"})
    known(bench, "retry_webhooks", JOB)
    for minutes in (58, 46):
        for job in ("retry_webhooks", JOB):
            ended(bench, job, "ok", ago=timedelta(minutes=minutes))
    assert check(bench) == ["new installation:rq"]
    bench.now += timedelta(minutes=15)
    assert check(bench) == ["new late:retry_webhooks"]


@pytest.mark.parametrize("age, alerts", [({"hours": 6}, 0), ({"hours": 6, "seconds": 1}, 1)])
def test_items_that_are_due_for_too_long_are_reported(bench, age, alerts):            # R59
    forward(bench, bench.ago(**age))
    ended(bench, "retry_forwards", "partial", ago=timedelta(minutes=1), counts='{"sent": 80}')
    assert len(check(bench)) == alerts


def test_a_stalled_queue_is_noticed_within_two_intervals_and_one_that_moves_is_none(bench):  # R59
    ended(bench, "retry_forwards", "ok", ago=timedelta(minutes=1), counts='{"sent": 0}')
    forward(bench, bench.ago(minutes=10))
    assert check(bench) == []
    later(bench, seconds=1)
    assert check(bench) == ["new waiting:forwards"]
    queue, = (each for each in bench.json("status", code=1)["queues"] if each["name"] == "forwards")
    assert (queue["depth"], queue["due"]) == (1, 1)
    assert queue["oldest_due_at"] == queue["stalled_since"] == "2026-11-24 14:20:05"
    ended(bench, "retry_forwards", "partial", ago=timedelta(0), counts='{"sent": 80}')
    assert check(bench) == []
    later(bench, minutes=30)
    assert check(bench) == ["over waiting:forwards"]


def test_a_queue_that_no_run_has_looked_at_since_or_that_the_relay_stopped_is_not_stalled(bench):
    forward(bench, bench.ago(minutes=20))
    ended(bench, "retry_forwards", "ok", ago=timedelta(minutes=30))
    assert check(bench) == []
    ended(bench, "retry_forwards", "partial", ago=timedelta(minutes=1),
          stop_reason="the relay is paused until 14:35 UTC: no answer")
    assert check(bench) == []                       # it works again: the next run sends them
    ended(bench, "retry_forwards", "ok", ago=timedelta(0))
    assert check(bench) == ["new waiting:forwards"]


@pytest.mark.parametrize("job, rows, counts, reported", [
    ("retry_forwards", [{"user_id": 1, "created_at": "2026-11-15 09:00:00"}], "{}", []),
    ("retry_forwards", [], '{"sent": 0, "retried": 15, "failed": 5}', ["new waiting:forwards"]),
    ("send_notifications", [{"created_at": "2026-11-24 14:29:00"}] * 3, "{}",
     ["new waiting:notifications"]),
    ("retry_webhooks", [], '{"delivered": 0, "retried": 15, "failed": 5}',
     ["new waiting:webhooks"])])
def test_deep_and_fruitless_queues_are_reported(bench, job, rows, counts, reported):
    setup(bench, alerts={"queue_depth": "2"})
    bench.table("users", [{"id": 1, "status": "suspended"}])        # theirs do not count
    bench.table("failed_emails" if "forwards" in job else "notifications", rows)
    ended(bench, job, "ok", counts=counts)
    assert check(bench) == reported
    assert ("blocklist" in bench.command("status", code=bool(reported))) == ("sent" in counts)
    ended(bench, job, "partial", ago=timedelta(0), counts=counts, stop_reason="no mark")
    assert "blocklist" not in bench.command("status", code=None)        # the cause is known


def test_a_day_has_as_many_runs_as_cron_made(bench):             # at every minute: 1,440
    for back in (1441, 1439):
        ended(bench, "retry_webhooks", "ok", ago=timedelta(minutes=back), counts='{"delivered": 1}')
    at = [bench.now - timedelta(seconds=50 * back) for back in range(1500, 0, -1)]
    bench.bulk("job_runs", [
        {"job": job, "run_id": f"{job}{number}", "status": "ok", "started_at": moment,
         "finished_at": moment, "counts": '{"delivered": 0, "retried": 1}'}
        for number, moment in enumerate(at) for job in ("retry_webhooks", JOB)])
    assert check(bench) == []
    # of rows that nobody could read none ends, unless others were tried
    ended(bench, "retry_webhooks", "failed", counts='{"invalid": 60}')
    ended(bench, "retry_webhooks", "ok", counts='{"delivered": 1, "invalid": 2}')
    queue, = (each for each in bench.json("status")["queues"] if each["name"] == "webhooks")
    assert (queue["done_last_day"], queue["failed_last_day"]) == (2, 2)


# The channels

def broken_mail(envelope) -> Result:
    return Result(RELAY, 554, "", "localhost:587: the relay refused us")


def test_a_broken_channel_makes_the_run_fail_and_the_other_one_says_so_once(bench):       # R60
    bench.outbox.answer = broken_mail
    fails(bench, "retry_forwards")
    error = bench.fails(JOB)
    assert error == "alerts by e-mail do not arrive: localhost:587: 554 the relay refused us"
    told, broken = (json.loads(request.body) for request in bench.web)
    assert told["incidents"][0]["name"] == FAILS
    assert broken["title"] == "[jobs] alerts do not arrive"
    assert f"{error}. Next: `jobs.py alerts test`." in broken["message"]
    for _ in range(3):
        later(bench, minutes=5)
        bench.run(JOB)
    assert (len(bench.web), bench.outbox) == (2, [])
    fails(bench, "purge_sessions", error="another")
    assert (bench.fails(JOB), len(bench.web)) == (error, 3)         # once a day
    later(bench, hours=24)
    bench.outbox.answer, bench.web.answer = None, lambda request: Response(ANSWERED, 500, "", "no")
    assert bench.fails(JOB).startswith("alerts by the webhook do not arrive: it answered 500")
    still, broken = (mail.subject for mail in bench.outbox)
    assert still.startswith("[jobs] still: retry_forwards has failed")
    assert broken == "[jobs] alerts do not arrive"


def test_with_all_channels_broken_each_run_fails_and_nothing_is_lost(bench):  # R60
    """Nor hidden by a page that cannot be written."""
    setup(bench, status={"page": "none/status.html"})
    bench.outbox.answer = broken_mail
    bench.web.answer = lambda request: Response(FAILED, text="no connection")
    fails(bench, "retry_forwards")
    for _ in range(2):
        error = bench.fails(JOB)
        assert "alerts by the webhook do not arrive: no connection; " in error
        assert "none/status.html cannot be written: No such file" in error
        later(bench, minutes=5)
    setup(bench)
    bench.outbox.answer = bench.web.answer = None
    bench.web.clear()
    assert check(bench) == [f"new {FAILS}"]


def test_each_address_is_written_to_beyond_any_limit_and_one_that_takes_it_is_enough(bench):
    setup(bench, mail={"per_hour": "2"},
          alerts={"email": "gone@example.org, op@example.org", "webhook": ""})
    bench.table("attempts", [{"kind": "forward", "item_id": 1, "outcome": "sent",
                              "began_at": bench.now}] * 2)
    gone, taken = Result(FINAL, 550, "5.1.1", "gone"), Result("sent", 250, "2.0.0", "taken")
    bench.outbox.answer = lambda envelope: gone if "gone" in envelope.recipient else taken
    fails(bench, "retry_forwards")
    for _ in range(2):
        bench.run(JOB)
    assert [mail.recipient for mail in bench.outbox] == [OPERATOR]
    assert [row["kind"] for row in bench.rows("attempts")] == ["forward"] * 2 + ["mail"] * 2


def test_a_test_alert_goes_out_by_each_channel_and_counts(bench):     # R37
    assert f"e-mail to {OPERATOR}: sent" in bench.command("alerts", "test")
    assert bench.outbox[0].subject == "[jobs] this is a test"
    assert (len(sent(bench)), [row["kind"] for row in bench.rows("attempts")]) == (1, ["mail"])
    bench.web.answer = lambda request: Response(ANSWERED, 404, "", "no such hook")
    said = bench.command("alerts", "test", code=1)
    assert "the webhook: it answered 404 no such hook\n-> docs/failures.md, Alerts do not" in said
    setup(bench, alerts={"email": "", "webhook": ""})
    assert "set [alerts] email or webhook" in bench.command("alerts", "test", code=1)


def test_an_alert_says_what_since_when_the_error_and_what_to_run(bench):             # R61
    fails(bench, "retry_forwards", error="550 <jane@home.example> is full, see "
          "https://x.example/?key=sesame " + "word " * 200)
    bench.run(JOB)
    mail, = bench.outbox
    text = mail.text
    assert all(len(line) < 79 for line in text.splitlines() if "run next" not in line)
    assert "since       14:15 UTC on 24 Nov" in text
    assert "last error  550 <j***@home.example> is full" in text
    command = f"python3 jobs.py --config {bench.folder}/config.ini history retry_forwards"
    assert f"  run next    {command}" in text
    assert "docs/monitoring.md#failing" in text
    assert (mail.sender, mail.recipient) == ("jobs@example.org", OPERATOR)
    assert not re.search(rb"jane@|sesame", mail.raw + bench.web[0].body)


def test_the_kinds_are_nine_and_each_has_its_heading_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
    headings = re.findall(r"(?m)^### (\w+)$", page[page.index("## What each alert means"):])
    assert headings == list(product.KINDS)
    assert len(headings) == 9


def test_incidents_that_are_over_are_deleted_after_a_month(bench):
    old = {"kind": "failing", "since": bench.ago(days=40), "first_seen_at": bench.ago(days=40)}
    bench.table("alerts", [{**old, "alert_key": f"a{days}", "resolved_at": bench.ago(days=days)}
                           for days in (29, 30, 31)])
    bench.run(JOB)
    assert [row["alert_key"] for row in bench.rows("alerts")] == ["a29"]
