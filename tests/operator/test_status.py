"""`list`, `history`, `status`, the status page and the metrics: what needs somebody first, the same
in each, nothing private, nothing from elsewhere."""
from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.support.bench import Bench
from tests.support.past import SECRETS, fill
from tests.support.product import catalogue, clock

JOB, JOBS = "retry_forwards", catalogue.names()


def jobs(service, *words: str, code: int | None = 0) -> dict[str, dict]:
    """{job: what `status` or `list` says of it}."""
    found = service.json(*words, code=code)
    return {job["name"]: job for job in (found["jobs"] if words[0] == "status" else found)}


def of_job(service) -> tuple[dict, str]:
    """(its object in the JSON of `list`, its line without the name and with single spaces)."""
    shown, = re.findall(rf"(?m)^{JOB} (.*)", service.run("list"))
    return jobs(service, "list")[JOB], " ".join(shown.split())


def test_a_new_installation_has_no_incident_and_every_job_in_a_line(service):
    assert service.run("status").startswith("No job has run yet.\n")
    found = service.json("status")
    assert (found["incidents"], [job["name"] for job in found["jobs"]]) == ([], JOBS)
    assert {job["state"] for job in found["jobs"]} == {"new"}
    lines = service.run("list").splitlines()
    assert lines[0].split() == ["JOB", "WHEN", "LAST", "AGO", "NEXT"]
    assert [text.split()[0] for text in lines[1:]] == JOBS == list(jobs(service, "list"))
    assert max(map(len, lines)) <= 80
    assert service.run("history") == "No run yet. `jobs.py list` shows when each job is due.\n"
    assert service.json("history") == []
    service.job(JOB)
    assert service.json("history")[0]["job"] == JOB


@pytest.mark.parametrize("word", ["status", "list", "report", "metrics"])
def test_without_tables_they_say_what_to_do(line, word):
    line.ini("[core]\ndatabase = sqlite:///none.db\n")
    answer = line(word)
    assert (answer.code, answer.out, "none.db" in answer.err) == (1, "", True)
    assert not (line.folder / "none.db").exists()


def test_the_next_run_is_in_utc_in_the_json_and_a_job_that_does_not_run_has_none(service):
    service.configure(timezone="Asia/Kolkata")
    service.configure(JOB, schedule="0 6 * * *")
    found, shown = of_job(service)
    assert found["next_at"][11:16] == "00:30"
    assert shown.startswith("daily at 06:00 not yet - in ")
    for options, word in (({"enabled": "no"}, "off"), ({"delays": "soon"}, "misconfigured"),
                          ({}, "paused")):
        service.configure(JOB, **{"enabled": None, "delays": None, **options})
        if word == "paused":
            service.run("pause", JOB)
        found, shown = of_job(service)
        assert (found["next_at"], found["due_since"], found["state"]) == (None, None, word)
        assert shown.endswith(f"- - {word}")


@pytest.mark.parametrize("minutes, words", [(15, "due now"), (95, "overdue")])
def test_a_slot_that_was_not_started_is_due_and_status_agrees(service, minutes, words):     # R59
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    service.configure(JOB, schedule=f"{slot.minute} {slot.hour} * * *")
    service.known(JOB, since=slot - timedelta(minutes=1))
    found, shown = of_job(service)
    assert (found["due_since"], found["due"]) == (clock.text(slot), words)
    assert shown.endswith(words)
    assert jobs(service, "status", code=None)[JOB]["due_since"] == clock.text(slot)
    service.began(JOB, slot)
    assert " in " in of_job(service)[1]


def test_runs_are_listed_newest_first_with_an_error_in_a_line(service, line):
    service.configure(timezone="Asia/Kolkata")
    day = (clock.now() - timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    error = "the relay cannot be used:\n" + "no route to host, " * 20
    for hour, job, status, values in (
            (9, JOB, "ok", {"counts": '{"sent": 5, "retried": 1200, "failed": 0}',
                            "duration_ms": 200_400, "trigger_type": "manual"}),
            (10, JOB, "vanished", {"duration_ms": None, "error": "it ended without a word"}),
            (11, "send_pigeons", "failed", {"error": error, "duration_ms": 20})):
        service.began(job, day.replace(hour=hour), status,
                      **{"run_id": f"run{hour}", "slot": None, **values})
    date = f"{day:%d %b}"
    assert [" ".join(each.split()) for each in service.run("history").split("\n")[:4]] == [
        "STARTED JOB BY OUTCOME TOOK WHAT",
        f"{date} 16:30 send_pigeons cron failed 20 ms " + " ".join(error.split()),
        f"{date} 15:30 retry_forwards cron vanished - it ended without a word",
        f"{date} 14:30 retry_forwards hand ok 3 min 20 s 5 sent, 1,200 retried"]
    assert [run["run_id"] for run in service.json("history", "--limit", "2")] == ["run11", "run10"]
    assert ["--limit 4 shows" in service.run("history", "--limit", n) for n in "23"] == [1, 0]
    seen = line.on_terminal("history")
    assert max(map(len, seen)) <= 80
    assert any(each.startswith("    the relay cannot be used: no route") and each.endswith("\u2026")
               for each in seen)


def test_a_paused_job_is_named_beside_the_verdict(service):        # R59
    service.run("purge_sessions")
    for words, said in (
            ("pause purge_magic_links",
             "Nothing needs you.\nPaused: purge_magic_links (`jobs.py resume JOB`).\n"),
            ("pause all", "Every job is paused.\nPaused: all jobs (`jobs.py resume all`).\n"),
            ("resume check_jobs",
             "Nothing needs you.\nPaused: all jobs but check_jobs (`jobs.py resume all`).\n")):
        service.run(*words.split())
        assert service.run("status").startswith(said)


def test_every_job_shows_its_outcome_lateness_failures_and_unreadable_rows(service):   # R59, R67
    now = clock.now()
    service.known(JOB, since=now - timedelta(days=1))
    for hours, status in ((4, "ok"), (3, "failed"), (2, "failed"), (1, "failed")):
        service.began(JOB, now - timedelta(hours=hours), status, counts="{}", slot=None,
                      error="no route to jane@home.example")
    for invalid in (7, 3):
        service.began("expire_aliases", now - timedelta(minutes=invalid), slot=None,
                      counts=json.dumps({"expired": 1, "invalid": invalid}))
    found = jobs(service, "status", code=1)
    job = found[JOB]
    assert (job["state"], job["failures"], job["last"]["status"]) == ("failing", 3, "failed")
    assert job["late_since"] > job["last_ok_at"] == clock.text(now - timedelta(hours=4))
    assert {name: job["invalid"] for name, job in found.items() if job["invalid"]} == {
        "expire_aliases": 3}
    incident, = service.json("status", code=1)["incidents"]
    assert incident["command"] == (
        f"python3 jobs.py --config {service.folder}/config.ini history {JOB}")
    shown = " ".join(service.run("status", code=1).split())
    for words in ("no route to j***@home.example", "3 invalid rows in its last run: its log says"):
        assert words in shown


def test_a_check_jobs_that_is_not_started_is_late_too(service):       # R59
    now = clock.now()
    service.known("check_jobs", JOB)
    for minutes in range(60, 30, -5):
        service.began("check_jobs", now - timedelta(minutes=minutes))
    service.began(JOB, now - timedelta(minutes=1))
    incident, = service.json("status", code=1)["incidents"]
    assert incident["key"] == "late:check_jobs"


def test_page_and_metrics_are_replaced_as_a_whole_and_nothing_else_is(service, tmp_path):  # R62
    for words in ("report --output status.html", "metrics --output jobs.prom"):
        path = tmp_path / words.split()[-1]
        path.touch()                                # an empty file is nobody's
        service.run(*words.split())
        with path.open() as reader:
            before = path.read_text()
            service.run(*words.split())
            assert reader.read() == before          # who had it open reads it to its end
        assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.glob("*.part")) == []
    shop = "<!doctype html>\n<html lang=\"en\"><title>My shop</title></html>"
    (tmp_path / "index.html").write_text(shop)
    os.mkfifo(tmp_path / "pipe")
    for name, why in {
            **dict.fromkeys(("jobs.db", "config.ini", "index.html"), "another file is there"),
            **dict.fromkeys((".", "pipe"), "that is no file"),
            "none/status.html": "cannot be written: No such file"}.items():
        answer = service("report", "--output", name, timeout=30)
        assert (answer.code, why in answer.err) == (1, True), answer
    assert service("check_jobs", "--set", "status.page=config.ini").code == 1
    assert (tmp_path / "index.html").read_text() == shop


def test_check_jobs_replaces_the_page_though_a_job_could_not_run(service):
    page = service.folder / "status.html"
    service.configure("status", page="status.html")
    service.run("check_jobs", "--dry-run")
    assert not page.exists()
    service.run("check_jobs")
    assert "check_<wbr>jobs" in page.read_text()
    service.configure("mail", port="none")
    service.known(JOB, "check_jobs", since=clock.now() - timedelta(days=1))
    service.run("run-due", code=78)
    assert "1 thing needs you" in page.read_text()
    service.run("check_jobs")                       # by now a file records the mistake, too
    assert "1 thing needs you" in service.run("status", code=1)
    service.configure("alerts", remind="none")
    assert "[alerts] remind = 'none': expected" in service.run("status", code=1)


def words(page: str) -> str:
    """What a person reads of it."""
    text = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", page)
    return " ".join(html.unescape(text).split())


@pytest.fixture(scope="module")
def badly(tmp_path_factory):
    """A service with incidents."""
    folder = tmp_path_factory.mktemp("badly")
    made = Bench(folder, f"sqlite:///{folder}/jobs.db")
    fill(made.db, made.now)
    yield made
    made.db.close()


def test_incidents_are_first_with_what_to_run_with_a_shell_and_without(badly):
    text = words(badly.command("report"))
    places = [text.index(part) for part in (
        "3 things need you", "retry_webhooks has failed", " Queues Webhook deliveries ! stalled",
        " Jobs Job Last run", " Host Mail ")]
    assert places == sorted(places)
    assert "python3 jobs.py history retry_webhooks" in text
    # a strip of 30 days for each queue and each job
    assert re.search(r"Forwarded mail in 30 days: 0 failed 26 Oct: 72 done, 0 failed ", text)
    assert re.search(r"retry_webhooks in 30 days: \d+ failed 26 Oct: 24 runs, none failed, ", text)
    assert "No shell? In your host's cron page, add a line with the command" in text


def test_nothing_is_loaded_nothing_runs_and_nobody_is_named(badly):        # R61
    text = badly.command("report")
    assert re.findall(r"<(?:script|link|img|iframe|object|form)\b|<[^>]*\s(?:style|src|on\w+)="
                      r"|href=[\"']?(?![\"'#])|url\((?!#)", text) == []
    style = re.search(r"(?s)<style>(.*?)</style>", text)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text
    public = text.replace("@media", "") + badly.command("metrics")
    assert [secret for secret in (*SECRETS, str(badly.folder), "@") if secret in public] == []


def values(text: str, read=read_openmetrics) -> dict:
    """{(metric, labels...): value}."""
    return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in read(text) for sample in family.samples}


def test_the_metrics_are_those_of_the_service_for_both_parsers(badly):         # R62
    text = badly.command("metrics")
    found, now = values(text), badly.now.timestamp()
    assert found == values(text, read_text)             # the node exporter reads the older format
    assert text.endswith("\n# EOF\n")
    for name, expected in {
            ("incidents",): 3, ("generated_timestamp_seconds",): now, ("relay_paused",): 1,
            ("failures_in_a_row", JOB): 0, ("lateness_seconds", JOB): 0,
            ("last_run_duration_seconds", JOB): 0.4, ("queue_depth", "webhooks"): 240,
            ("mail_recipients", "hour"): 76, ("mail_limit_recipients", "hour"): 80,
            ("queue_oldest_due_age_seconds", "webhooks"): 27 * 3600}.items():
        assert found[(f"jobs_{name[0]}", *name[1:])] == expected, name
    assert found["jobs_failures_in_a_row", "retry_webhooks"] > 20
    assert found["jobs_lateness_seconds", "purge_sessions"] > 4 * 86400
    assert 0 <= now - found["jobs_last_success_timestamp_seconds", JOB] < 3600
    assert found["jobs_runs_last_day", JOB, "ok"] in range(20, 26)


def test_both_engines_show_the_same(bench, badly):       # R14
    before = values(bench.command("metrics"))           # a new installation has metrics, too
    assert (before["jobs_incidents",], before["jobs_runs_last_day", JOB, "failed"]) == (0, 0)
    assert ("jobs_last_success_timestamp_seconds", JOB) not in before
    fill(bench.db, bench.now)
    told = []
    for one in (bench, badly):
        status = one.json("status", code=1)
        page = words(one.command("report"))
        told.append([status["jobs"], status["queues"], page.rpartition(" Disk ")[0]])
    assert told[0] == told[1]
