"""`status`, `report`, `metrics`: what needs somebody, in 80 columns, as a page and as numbers."""
from __future__ import annotations

import json
import shutil
import time
from datetime import timedelta

import pytest

from tests.support.databases import bulk, migrated
from tests.support.past import fill
from tests.support.patience import SOON
from tests.support.product import Ports, catalogue, clock, loader, publish
from tests.support.shell import Shell


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url)


@pytest.fixture(scope="module")
def trouble(tmp_path_factory):
    """A database of a service with incidents, to be copied."""
    path = tmp_path_factory.mktemp("trouble") / "jobs.db"
    db = migrated(f"sqlite:///{path}")
    fill(db, clock.now(), troubled=True)
    db.close()
    return path


@pytest.fixture
def troubled(tmp_path, trouble, line):
    """A service with incidents; `line` calls it."""
    shutil.copy(trouble, tmp_path / "jobs.db")
    return Shell(tmp_path, f"sqlite:///{tmp_path}/jobs.db", mail={"per_hour": "80"})


def test_a_new_installation_has_no_incident(service):
    assert service.run("status").startswith("No job has run yet.\n")
    found = json.loads(service.run("status", "--json"))
    assert found["incidents"] == []
    assert {job["state"] for job in found["jobs"]} == {"new"}
    assert [job["name"] for job in found["jobs"]] == catalogue.names()


def test_a_job_that_is_paused_stands_beside_all_is_well(service):        # R59
    service.run("purge_sessions")
    service.run("pause", "purge_magic_links")
    assert service.run("status").startswith("All is well.\nPaused: purge_magic_links.\n")
    service.run("pause", "all")
    assert service.run("status").startswith("Every job is paused: ")


def test_every_job_shows_its_outcome_lateness_and_failures(service):        # R59
    now = clock.now()
    service.db.upsert("job_state", {"job": "retry_forwards"},
                      {"due_after": now - timedelta(days=1)})
    for number, status in enumerate(("ok", "failed", "failed", "failed")):
        at = now - timedelta(hours=4 - number)
        service.db.insert("job_runs", run_id=f"r{number}", job="retry_forwards", status=status,
                          started_at=at, finished_at=at, duration_ms=20, counts="{}",
                          error="no route to jane@home.example")
    found = json.loads(service.run("status", "--json", code=1))
    job = {job["name"]: job for job in found["jobs"]}["retry_forwards"]
    assert (job["state"], job["failures"], job["last"]["status"]) == ("failing", 3, "failed")
    assert job["last_ok_at"] == clock.text(now - timedelta(hours=4))
    assert job["late_since"] > job["last_ok_at"]
    assert [each["command"] for each in found["incidents"]] == [
        f"python3 jobs.py --config {service.folder}/config.ini history retry_forwards"]
    assert "no route to j***@home.example" in service.run("status", code=1)


def test_a_job_shows_how_many_rows_its_last_run_could_not_read(service):                     # R67
    now = clock.now()
    for number, invalid in enumerate((7, 3)):
        at = now - timedelta(minutes=10 - number)
        service.db.insert("job_runs", run_id=f"r{number}", job="expire_aliases", status="ok",
                          started_at=at, finished_at=at, duration_ms=20,
                          counts=json.dumps({"expired": 1, "invalid": invalid,
                                             "unknown_status": 1}))
    found = json.loads(service.run("status", "--json"))
    assert {job["name"]: job["invalid"] for job in found["jobs"]
            if job["invalid"]} == {"expire_aliases": 3}
    shown = " ".join(service.run("status").split())
    assert "3 invalid rows in its last run: its log says which" in shown
    assert "1 row left to your app in its last run: its log says which" in shown


def test_a_queue_shows_its_depth_and_stalls_within_two_intervals(service):        # R59
    now = clock.now()
    owner = service.owner()

    def webhooks(minutes: int) -> dict:
        service.db.execute("DELETE FROM {webhook_deliveries}")
        hook = service.db.insert("webhooks", user_id=owner["user_id"], url="https://h.example/",
                                 secret="s", created_at=now)
        at = clock.text(now - timedelta(minutes=minutes))
        bulk(service.db, "webhook_deliveries", ["webhook_id", "user_id", "event_id", "status",
                                                "next_attempt_at", "created_at"],
             [(hook, owner["user_id"], f"e{number}", "pending", at, at) for number in range(3)])
        found = json.loads(service.run("status", "--json", code=1 if minutes > 15 else 0))
        return {queue["name"]: queue for queue in found["queues"]}["webhooks"]

    service.configure("retry_webhooks", schedule="*/5 * * * *")
    assert webhooks(9)["stalled_since"] is None
    found = webhooks(16)
    assert (found["depth"], found["due"]) == (3, 3)
    assert found["stalled_since"] == found["oldest_due_at"] == clock.text(now
                                                                          - timedelta(minutes=16))


def test_incidents_are_first_and_fit_80_columns(troubled, line):
    seen = line.on_terminal("status")
    # a command is to be copied
    assert max(len(row) for row in seen if not row.startswith("    -> ")) <= 80
    assert seen[0] == "3 things need you."
    heads = [seen.index(next(row for row in seen if row.startswith(word)))
             for word in ("! ", "QUEUE", "JOB", "Mail:")]
    assert heads == sorted(heads)
    command = f"python3 jobs.py --config {line.folder}/config.ini history retry_webhooks"
    assert f"    -> {command}" in seen
    assert any(row.startswith("webhook deliveries") and row.endswith("stalled") for row in seen)
    assert line("status").code == line("status", "--json").code == 1


def test_without_tables_each_says_what_to_do(line):
    line.ini("[core]\ndatabase = sqlite:///none.db\n")
    for word in ("status", "report", "metrics"):
        answer = line(word)
        assert (answer.code, answer.out) == (1, "")
        assert "none.db" in answer.err


def test_a_page_is_for_everybody_and_a_private_one_for_its_owner(troubled, line, tmp_path):
    assert line("report", "--output", "status.html").code == 0
    assert line("report", "--private", "--output", "private.html").code == 0
    assert line("metrics", "--output", "jobs.prom").code == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()
             if path.is_file()}
    assert (modes["status.html"], modes["private.html"], modes["jobs.prom"]) == (0o644, 0o600,
                                                                                 0o644)
    assert "relay.provider.example" not in (tmp_path / "status.html").read_text()
    assert "relay.provider.example" in (tmp_path / "private.html").read_text()
    assert line("report").out.startswith("<!doctype html>")
    assert line("metrics", "--output", "-").out.endswith("# EOF\n")


def test_a_file_is_replaced_as_a_whole(troubled, line, tmp_path):           # R62
    page = tmp_path / "status.html"
    earlier = line("report").out
    page.write_text(earlier)
    with page.open() as reader:
        assert line("report", "--output", "status.html").code == 0
        assert reader.read() == earlier               # who had it open reads it to its end
    assert page.read_text().endswith("</html>\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_nothing_but_an_earlier_page_or_an_empty_file_may_be_replaced(troubled, line, tmp_path):
    shop = "<!doctype html>\n<html lang=\"en\"><title>My shop</title></html>"
    for name in ("state/secret", ".env", "index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == ".env" else shop)
    ours = {"jobs.db": "that is [core] database", "state/secret": "that is in [core] state_dir",
            "config.ini": "that is config.ini", ".env": "that is .env",
            "spool/page.html": "that is in [spool] dir", "index.html": "is no status page of ours",
            ".": "that is no file", "none/status.html": "there is no folder "}
    before = {name: (tmp_path / name).read_bytes() for name in ("state/secret", "config.ini",
                                                                "index.html")}
    for name, why in ours.items():
        answer = line("report", "--output", name)
        assert (answer.code, why in answer.err) == (1, True), answer
    assert "is no file of metrics of ours" in line("metrics", "--output", "index.html").err
    assert line("check_jobs", "--set", "status.page=config.ini").code == 1
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    head = "<!doctype html>\n<html lang=\"en\">\n<head>\n<title>All is well - background jobs"
    for text in (f"{head}</title>\n", ""):
        (tmp_path / "status.html").write_text(text)
        assert line("report", "--output", "status.html").code == 0
        assert (tmp_path / "status.html").read_text().endswith("</html>\n")


def test_a_database_that_hangs_does_not_hold_up_the_tick(tmp_path, mariadb):
    service = Shell(tmp_path, mariadb.database(), status={"page": "status.html"})
    settings = loader.load(str(tmp_path / "config.ini"), beside=str(tmp_path))
    service.db.execute("LOCK TABLES {job_runs} WRITE")
    began = time.monotonic()
    assert publish.page_of_status(settings, Ports(settings), 0.5) == [
        "[status] the page was not made within 0.5 seconds"]
    assert time.monotonic() - began < SOON
    service.db.execute("UNLOCK TABLES")
    assert publish.page_of_status(settings, Ports(settings)) == []


def test_each_run_of_check_jobs_replaces_the_page(service):
    service.configure("status", page="status.html")
    service.run("check_jobs", "--dry-run")
    assert not (service.folder / "status.html").exists()
    service.run("check_jobs")
    assert "check_<wbr>jobs" in (service.folder / "status.html").read_text()
    assert 'jobs_runs_last_day{job="check_jobs",status="ok"} 1' in service.run("metrics")


def test_a_tick_makes_them_though_a_job_could_not_run(service):
    service.configure("status", page="status.html")
    service.configure("mail", port="none")
    for job in ("retry_forwards", "check_jobs"):
        service.db.upsert("job_state", {"job": job}, {"due_after": clock.now() - timedelta(days=1)})
    service.run("run-due", code=78)
    assert "1 thing needs you" in (service.folder / "status.html").read_text()
