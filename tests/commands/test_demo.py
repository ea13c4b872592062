"""`jobs.py demo`: real runs on a sample service, in its own folder, readable, with nothing but
Python."""
from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import dkim
import pytest

from jobs_lib import catalogue, clock
from jobs_lib.database.connection import connect
from jobs_lib.demo import data, nameserver, signed, state
from jobs_lib.demo import text as story
from jobs_lib.demo.messages import MESSAGES, raw
from jobs_lib.demo.receiver import is_genuine
from jobs_lib.errors import JobsError
from tests.support.patience import SOON
from tests.support.require import program

ROOT = Path(__file__).resolve().parents[2]
WATCHED = str(ROOT / "tests" / "support" / "watched.py")
PLAIN = {"PATH": os.defpath}
F_SETPIPE_SZ = 1031         # fcntl has its name from Python 3.10 on


def run(folder: Path, *words: str, code: int = 0, python=(sys.executable, "-S"),
        **environment: str):
    """`jobs.py demo WORDS` with the bare Python, no package, in an empty environment."""
    done = subprocess.run([*python, str(ROOT / "jobs.py"), "demo", *words], cwd=folder, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**PLAIN, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One demo in the folder `demo` of an empty one: (the folder above, what was printed)."""
    above = tmp_path_factory.mktemp("above")
    return above, run(above, "--dir", "demo", "-v")


@pytest.fixture
def db(demo):
    made = connect("sqlite:///jobs.db", base=str(demo[0] / "demo"))
    yield made
    made.close()


def test_it_ends_well_and_fits_80_columns(demo):
    done = demo[1]
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80
            and "jobs.py" not in line] == []
    assert "\x1b" not in done.stdout


def test_it_shows_every_state_and_what_became_of_it(demo, db):
    lines = demo[1].stdout.splitlines()
    expected = [row["status"] for row in db.query("SELECT status FROM {failed_emails} ORDER BY id")]
    assert sorted(set(expected)) == ["failed", "pending", "sent"]
    for words in ("due: retry 1 of 4        delivered",
                  "due: retry 4 of 4        failed: owner notified",
                  "in 40 min: retry 1 of 4  waits, due in 40 min",
                  "due, owner suspended     waits for its owner",
                  "due, owner deleted       cancelled",
                  "sent 4 min ago           its file is deleted",
                  "sent 9 d ago             row and file deleted",
                  "failed 8 d ago           row deleted, file kept",
                  "failed 2 d ago           kept for now"):
        assert any(words in line for line in lines), words


def runs(db) -> list[dict]:
    """Those of the demo, in their order; the sample service has a few of before."""
    return db.query("SELECT job, slot, status, trigger_type, counts FROM {job_runs} "
                    "WHERE host <> 'sample' ORDER BY id")


def test_every_job_is_due_runs_through_run_due_and_finds_something_to_do(demo, db):
    found = runs(db)
    jobs = [run["job"] for run in found]
    assert jobs[0] == "retry_forwards"
    assert sorted(set(jobs)) == [name for name in catalogue.names() if name != "check_domains"]
    assert {(run["status"], run["trigger_type"]) for run in found} == {("ok", "scheduled")}
    assert all(run["slot"] for run in found)
    firsts = [run for at, run in enumerate(found) if run["job"] not in jobs[:at]]
    assert [run["job"] for run in firsts if not any(json.loads(run["counts"]).values())] == []
    for job in jobs:
        assert re.search(rf"(?m)^  {job} +[0-9]", demo[1].stdout), job


def test_nothing_lies_in_the_future_when_it_ends(db):
    now = clock.text(clock.now())
    assert all(row["finished_at"] <= now for row in db.query("SELECT finished_at FROM {job_runs}"))


def section(done, title: str) -> list[str]:
    """The lines below a heading."""
    lines = done.stdout.splitlines()
    start = lines.index(title) + 2
    end = next((at for at in range(start, len(lines)) if lines[at].startswith("---")), len(lines)
               + 2)
    return lines[start:end - 2]


def test_the_whole_story_is_short_enough(demo):
    assert len(demo[1].stdout.splitlines()) <= 200


# What a newcomer reads

@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A demo as a newcomer runs it: (the folder above, what was printed)."""
    above = tmp_path_factory.mktemp("short")
    return above, run(above, "--dir", "demo")


def asked(short, *words: str, code: int = 0) -> str:
    """What jobs.py says of the demo's installation afterwards."""
    done = subprocess.run([sys.executable, str(ROOT / "jobs.py"), "--config", "demo/config.ini",
                           *words], cwd=short[0], capture_output=True, text=True, timeout=60,
                          env={**PLAIN, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_a_newcomer_reads_one_screen_or_a_little_more(short):
    lines = short[1].stdout.splitlines()
    assert len(lines) <= 40
    assert [line for line in lines if len(line) > 80 and "jobs.py" not in line] == []
    text = " ".join(short[1].stdout.split())
    for words in (("forwards 6 delivered byte for byte; 3 waiting, 2 failed (owner notified), "
                  "1 cancelled"), "webhooks 2 delivered and signed",
                  ("held mail 2 soon to be deleted (owner warned), 2 deleted, 1 waiting, "
                   "2 kept"),
                  "notices 12 sent", "the totals of each user are equal",
                  "`jobs.py demo -v` shows"):
        assert words in text
    shown = re.findall(r"(?m)^  .*  (demo/\S+html)$", short[1].stdout)
    assert len(shown) == 2
    assert all((short[0] / path).exists() for path in shown)


def test_it_goes_on_living(short):
    found = json.loads(asked(short, "doctor", "--json"))
    assert [each for each in found if each["level"] in ("problem", "warning")
            and each["area"] != "cron"] == []
    assert asked(short, "status").startswith("All is well.")
    starts = [run["started_at"] for run in json.loads(asked(short, "history", "purge_sessions",
                                                           "--json", "--limit", "40"))]
    assert len(starts) >= 30
    assert starts == sorted(starts, reverse=True)
    page = (short[0] / "demo" / "status.html").read_text()
    assert "All is well" in page
    # a strip with a bar for each of a month's days, for every job
    for row in re.findall(r'(?s)<tr id="job-(.*?)</tr>', page):
        assert row.count("<g>") >= 29, row[:40]


def test_a_run_due_afterwards_is_quick_although_its_servers_are_gone(short):
    db = connect("sqlite:///jobs.db", base=str(short[0] / "demo"))
    db.execute("DELETE FROM {job_runs} WHERE host <> 'sample'")      # all are due again
    db.execute("UPDATE {webhook_deliveries} SET status = 'pending', attempts = 1, "
               "last_attempt_at = created_at WHERE status <> 'failed'")
    db.close()
    began = time.monotonic()
    results = json.loads(asked(short, "run-due", "--json"))
    assert time.monotonic() - began < SOON
    assert len(results) >= 20
    assert {result["status"] for result in results} == {"ok"}


def test_what_goes_wrong_is_never_left_out_of_the_summary():
    row = {"user_id": 1, "name": "Jane", "rows": 5, "emails": 9, "bytes": 100}
    one = {"owner": "active", "status": "pending", "is_kept": True, "next_attempt_at": None,
           "created_at": "2026-11-24 10:00:00", "last_error": None, "is_there": True}
    before = state.State({1: one}, {}, {}, {"name": "x", "status": "pending"}, [row])
    after = before._replace(forwards={1: {**one, "status": "sent"}}, totals=[{**row, "bytes": 1}])
    facts = story.Facts(before, after, [], clock.now(), 0, False, [], "", None)
    text = "\n".join(story.summary(lambda style, words: words, facts))
    assert "1 delivered changed on the way, a defect" in text
    assert "TOTALS CHANGED, a defect" in text


# What the retention jobs did

def test_each_held_message_and_what_became_of_it(demo):
    told = section(demo[1], "What became of held mail")
    for words in ("Your photos are ready        held 29d                 owner warned",
                  "Spring seeds are here        held 31d, warned 1d 1h   row and file deleted",
                  "Your results are ready       held 30d, warned 20h     waits: 24 h of warning",
                  "A walk on Sunday?            held 12d                 kept",
                  "Handing over the keys        released 8d ago          row and file deleted",
                  "Your deposit                 released 2d ago          kept for now"):
        assert any(line.endswith(words) for line in told), words


def notices(demo) -> dict:
    """{number: message} of the notices in the Maildir, without the two lines that a transport puts
    before it."""
    new = demo[0] / "demo" / "maildir" / "new"
    return {int(path.stem.partition("-")[2]): message_from_bytes(path.read_bytes(),
                                                                 policy=policy.default)
            for path in new.glob("notice-*.jobs")}


def test_the_warning_is_shown_as_it_was_delivered_and_can_be_opened(demo, db):
    number = db.value("SELECT id FROM {notifications} WHERE kind = 'overflow_warning' "
                      "AND finished_at = sent_at"
                      " ORDER BY id DESC LIMIT 1")
    message = notices(demo)[number]
    text, html = (message.get_body((form,)).get_content().replace("\r\n", "\n")
                  for form in ("plain", "html"))
    lines = section(demo[1], "The warning, as its owner sees it")
    shown = [line[4:] for line in lines if line.startswith("  |")]
    whole = [f"From:    {message['From']}", f"To:      {message['To']}",
             f"Subject: {message['Subject']}", "",
             *(line.rstrip() for line in text.rstrip().split("\n"))]
    assert shown == [*whole[:story.NOTICE_LINES], "..."]
    assert "  Subject:   Minutes of the meeting" in shown
    page = demo[0] / lines[-1].partition("In a browser: ")[2]
    assert page.read_text(encoding="utf-8") == html


def test_each_notice_that_was_sent_is_a_file_to_look_at(demo, db):
    sent = db.query("SELECT id, subject, body_text, body_html FROM {notifications} "
                    "WHERE status = 'sent'"
                    " AND subject <> 'A held message will be deleted' "
                    "AND dedupe_key NOT LIKE 'sample-usage%'")
    told = section(demo[1], "All notices that were sent, as files in demo/notices")
    assert sorted(notices(demo)) == [row["id"] for row in sent]
    assert len(sent) == len(told) - 1 >= 9
    for notice in sent:
        assert (notice["body_text"], notice["body_html"]) == (None, None)
        line, = [line for line in told if f" {notice['id']}-" in line]
        assert notice["subject"].startswith(line.split(maxsplit=1)[1].rstrip("."))
        content = (demo[0] / "demo" / "notices" / line.split()[0]).read_text(encoding="utf-8")
        assert ("<html" in content) == line.split()[0].endswith(".html")


def test_users_who_opted_out_get_none_and_no_notice_waits(demo, db):
    assert section(demo[1], "All notices that were sent, as files in demo/notices")[-1] == (
        "  and 1 not sent: its owner does not want this kind")
    assert sorted(message["To"] for message in notices(demo).values()
                  if message["To"] != "jane@home.example") == [
        "jane@work.example",                # that mail to her other address failed
        "lena@home.example"]                # that her account will be deleted
    assert db.value("SELECT COUNT(*) FROM {notifications} "
                    "WHERE status NOT IN ('sent', 'failed')") == 0
    columns, rows = data.MAIL["notifications"]
    priority = columns.split().index("priority")
    assert {row[priority] for row in rows} >= {0, 1, 2}


# Webhooks and domains

def test_each_webhook_and_what_became_of_it(demo, db):
    told = section(demo[1], "What became of webhooks")
    for words in ("message.forwarded, shop      due: try 1 of 5          503, then delivered",
                  "message.held, shop           due: try 3 of 5          delivered",
                  "message.forwarded, old       due: try 2 of 5          endpoint disabled",
                  "message.blocked, shop        in 20 min: try 4 of 5    waits",
                  "message.forwarded, omar      due, owner suspended     waits for its owner"):
        assert any(line.endswith(words) for line in told), words
    assert db.value("SELECT attempts FROM {webhook_deliveries} WHERE event_id = :id",
                    id=data.BUSY_AT) == 2


def test_a_webhook_is_shown_as_it_arrived(demo, db):
    shown = [line[4:] for line in section(demo[1], "What became of webhooks")
             if line.startswith("  |")]
    assert shown[0] == "POST /shop HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in shown[1:shown.index("")])
    assert list(headers) == ["Content-Type", "webhook-id", "webhook-timestamp", "webhook-signature"]
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{18}\.\.\.", headers["webhook-signature"])
    assert shown[-1] == db.value("SELECT payload FROM {webhook_deliveries} WHERE event_id = :id",
                                 id=headers["webhook-id"])
    verdict = "  The receiver computed the signature from the secret by itself: genuine."
    assert verdict in demo[1].stdout


@pytest.mark.parametrize("wrong", [{}, {"now": 1_000_301}, {"body": b"{ }"}, {"id": "evt_2"},
                                   {"secret": "whsec_YQ=="}], ids=["none", "late", "body", "id",
                                                                   "secret"])
def test_the_receiver_would_notice_a_signature_that_does_not_hold(wrong):
    # Computed once by `openssl dgst -sha256 -hmac`, over "evt_1.1000000.{}".
    headers = {"webhook-id": wrong.get("id", "evt_1"), "webhook-timestamp": "1000000",
               "webhook-signature": "v1,ULMDGPc4gqOtc3vKzsyvfNneG5P9mYn+TPophv80K8Y="}
    assert is_genuine(wrong.get("secret", data.SECRET), headers, wrong.get("body", b"{}"),
                      wrong.get("now", 1_000_300)) == (not wrong)


def test_without_a_name_server_no_domain_is_looked_at_and_it_says_why(demo, db):
    told = " ".join(section(demo[1], "A domain of a user's own"))
    assert "Not checked here: checking domains needs dnspython" in told
    assert "which is not installed: run `" in told
    assert [row["status"]
            for row in db.query("SELECT status FROM {domains} ORDER BY id")] == ["pending",
                                                                                 "verified"]
    assert "  check_domains" not in demo[1].stdout


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A demo with all packages and a name server: (the folder above, what was printed)."""
    program("knotd", "knot")
    above = tmp_path_factory.mktemp("whole")
    return above, run(above, "--dir", "demo", "-v", python=(sys.executable,))


def is_free(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def nameserver_port(folder: Path) -> int:
    found = re.search(r"nameservers = 127\.0\.0\.1:([0-9]+)", (folder / "config.ini").read_text())
    return int(found[1])


def test_a_domain_is_verified_by_a_name_server_of_the_demos_own(whole):
    assert section(whole[1], "A domain of a user's own") == [
        "  miller.example: pending -> verified",
        "  ownership  missing -> pass  porter-verify=7f3c9a",
        "  mx         missing -> pass  10 mx1.alias.example, 20 mx2.alias.example",
        "  spf        missing -> pass  v=spf1 include:spf.alias.example ~all",
        "  dkim       missing -> pass  CNAME porter._domainkey.alias.example",
        "  dmarc      missing -> pass  v=DMARC1; p=none"]
    assert re.search(r"(?m)^  check_domains +2 checked, 1 verified$", whole[1].stdout)
    assert "miller.example is verified" in whole[1].stdout
    assert whole[1].stderr == ""
    assert len(whole[1].stdout.splitlines()) <= 200
    assert [line for line in whole[1].stdout.splitlines() if len(line) > 80
            and "jobs.py" not in line] == []
    assert is_free(nameserver_port(whole[0] / "demo"))
    test_its_files_are_private(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_name_server_is_stopped_when_the_demo_is(tmp_path, number):
    program("knotd", "knot")
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, F_SETPIPE_SZ, 4096)         # nobody reads: it cannot end before we end it
    process = subprocess.Popen([sys.executable, str(ROOT / "jobs.py"), "demo", "--dir", "demo"],
                               cwd=tmp_path, stdout=theirs, stderr=subprocess.DEVNULL,
                               env={**PLAIN, "PYTHONDONTWRITEBYTECODE": "1"})
    os.close(theirs)
    folder = tmp_path / "demo"
    while not (folder / "jobs.db").exists():
        assert process.poll() is None
        time.sleep(0.002)
    port = nameserver_port(folder)
    assert not is_free(port)
    process.send_signal(number)
    os.close(ours)
    assert process.wait(30) != 0
    assert is_free(port)
    assert not (folder / "dns").exists()


@pytest.mark.parametrize("name", ["knotd", "nsd"])
def test_either_name_server_will_do(tmp_path, monkeypatch, name):
    if name == "knotd":
        program("knotd", "knot")
    monkeypatch.setattr(nameserver, "PROGRAMS", tuple(each for each in nameserver.PROGRAMS
                                                      if each[0] == name))
    if not nameserver.installed():
        return                                          # one of the two is enough
    with nameserver.Nameserver(str(tmp_path / "a \"folder\" of its own"), data.ZONES) as server:
        assert not is_free(server.port)
    assert is_free(server.port)


def test_a_name_server_that_does_not_start_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(nameserver, "PROGRAMS", (("false", *nameserver.PROGRAMS[0][1:]),))
    with pytest.raises(JobsError, match="does not start here"):
        nameserver.Nameserver(str(tmp_path / "dns"), data.ZONES).__enter__()


def test_the_totals_of_each_user_are_equal_before_and_after(demo, db):
    lines = section(demo[1], "Totals of each user: log rows are deleted, their totals are kept")[1:]
    owners = db.query("SELECT id, name FROM {users} ORDER BY id")
    assert len(lines) == len(owners) == 4
    for line, owner in zip(lines, owners):
        left = db.value("SELECT COUNT(*) FROM {message_logs} WHERE user_id = :id", id=owner["id"])
        emails, size = db.query("SELECT SUM(email_count) AS n, SUM(bytes_used) AS b "
                                "FROM message_totals"
                                " WHERE user_id = :id", id=owner["id"])[0].values()
        assert line.split() == [*owner["name"].split(), str(emails), "->", str(left), str(emails),
                                "->", str(emails), f"{size:,}", "->", f"{size:,}", "equal"]
        assert left < emails


@pytest.mark.parametrize("name", ["rows", "emails", "bytes"])
def test_totals_that_differ_would_be_seen(name):
    before = {"user_id": 1, "name": "Jane", "rows": 5, "emails": 9, "bytes": 100}
    line = story.totals(lambda style, words: words, [before], [{**before, name: 4}])[1]
    assert line.endswith("equal" if name == "rows" else "NOT EQUAL, a defect")


def test_audit_rows_are_archived_and_can_be_read(demo, db):
    line, = [line for line in demo[1].stdout.splitlines() if line.startswith("  zcat ")]
    lines = gzip.decompress((demo[0] / line.split()[1]).read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    events = [row["event"] for row in rows if row.get("event")]
    assert sorted(events) == ["account.password_reset", "account.sign_in_failed",
                              "account.signed_in", "alias.created"]
    assert not {row["id"] for row in rows if "id" in row} & {row["id"] for row in db.query(
        "SELECT id FROM {audit_logs}")}
    assert db.value("SELECT COUNT(*) FROM {audit_logs} WHERE event = 'account.email_changed'") == 1


def test_an_export_is_opened_by_the_link_in_its_notice_and_shown(demo, db):
    row = db.row("SELECT file_name, token_hash FROM {export_requests} WHERE status = 'ready'")
    shown = " ".join(" ".join(section(demo[1],
                                      "An account's own data, as its owner opens it")).split())
    for words in (f"demo/exports/{row['file_name']}", "works for seven days",
                  "csv/message_logs.csv (", "README.txt (",
                  "What our service has stored about you"):
        assert words in shown
    assert row["token_hash"] not in demo[1].stdout


def test_aliases_and_destinations_that_stay_and_that_go(db):
    active = [row["address"] for row in db.query("SELECT address FROM {aliases} WHERE active = 1 "
                                                 "AND expires_at > '' ORDER BY id")]
    assert active == ["sale@alias.example", "event@alias.example"]
    unverified = [row["email"] for row in db.query("SELECT email FROM {destinations} "
                                                   "WHERE verified_at IS NULL"
                                                   " ORDER BY id")]
    assert unverified == ["jane@cabin.example", "jane@lake.example", "jane@office.example"]


def test_what_is_not_past_its_time_stays(db):
    assert db.value("SELECT COUNT(*) FROM {spam_quarantine}") == 1
    assert db.value("SELECT COUNT(*) FROM {sessions}") == 2
    assert db.value("SELECT COUNT(*) FROM {magic_links}") == 2
    assert [row["status"] for row in db.query("SELECT status FROM {webhook_deliveries} "
                                              "ORDER BY id")] == [
        "delivered", "delivered", "failed", "pending", "pending", "delivered", "delivered"]
    month, older = (clock.now() - timedelta(days=days) for days in (31, 89))
    assert db.value("SELECT COUNT(*) FROM {job_runs} WHERE started_at < :at", at=older) == 0
    assert db.value("SELECT COUNT(*) FROM {job_runs} WHERE started_at < :at", at=month) == 0
    assert db.value("SELECT COUNT(*) FROM {header_snapshots} WHERE message_log_id NOT IN"
                    " (SELECT id FROM {message_logs})") == 0


# What the forwards did


def test_two_rows_of_one_message_keep_its_file_until_both_are_done(demo, db):
    assert [row["status"] for row in db.query("SELECT status FROM {failed_emails} "
                                              "WHERE raw_path = 'party.eml'"
                                              " ORDER BY id")] == ["sent", "pending"]
    spool = demo[0] / "demo" / "spool"
    assert (spool / "party.eml").exists()
    assert (spool / "survey.eml").exists()               # one of its two rows was purged
    assert not (spool / "recipe.eml").exists()


def delivered(demo) -> dict:
    """{number: bytes} of what is in the Maildir."""
    new = demo[0] / "demo" / "maildir" / "new"
    return {int(path.name.split("-")[1].split(".")[0]): path.read_bytes()
            for path in new.glob("forward-*")}


def test_a_signature_still_holds_after_delivery(demo):                     # R26
    found = [content for content in delivered(demo).values() if b"DKIM-Signature" in content]
    assert len(found) == 1

    def key(name, timeout=0):
        assert name == b"mail._domainkey.northwind.example."
        return signed.PUBLIC_KEY.encode()
    assert dkim.verify(found[0], dnsfunc=key)
    assert not dkim.verify(found[0].replace(b"this:  \r\n", b"this: \r\n"), dnsfunc=key)


def test_each_delivered_message_ends_with_the_bytes_that_came_in(demo, db):  # R26
    found = delivered(demo)
    assert len(found) == 6
    for number, content in found.items():
        received = clock.parse(db.value("SELECT created_at FROM {failed_emails} WHERE id = :id",
                                        id=number))
        name = db.value("SELECT raw_path FROM {failed_emails} WHERE id = :id", id=number)
        assert content.endswith(raw(name, received)), number


def test_the_senders_of_what_is_delivered_are_ours_and_nobody_stays_nobody(demo):   # R36
    senders = [re.match(rb"X-Envelope-From: <(.*)>\r\n", content)[1]
               for content in delivered(demo).values()]
    assert senders.count(b"") == 1
    assert all(re.fullmatch(rb"SRS0=.+@alias\.example", sender) for sender in senders if sender)


def test_its_files_are_private(demo):
    assert (demo[0] / "demo").stat().st_mode & 0o077 == 0
    for path in (demo[0] / "demo").rglob("*"):
        assert path.name == "status.html" or path.stat().st_mode & 0o077 == 0, path


def commands(done) -> list[str]:
    return [line.strip() for line in done.stdout.splitlines()
            if re.match(r"  \S.*jobs\.py'? --config", line)]


@pytest.mark.parametrize("inside", [".", "demo", "demo/spool"])
def test_the_commands_it_ends_with_can_be_typed_where_you_are(demo, inside, tmp_path):
    here = demo[0] / inside
    done = run(here, "--dir", str(demo[0] / "demo"), "-v")
    assert len(commands(done)) >= 3
    for command in commands(done):
        typed = subprocess.run(command, shell=True, cwd=here, text=True, capture_output=True,
                               timeout=60, env={"PATH": os.environ["PATH"],
                                                "PYTHONDONTWRITEBYTECODE": "1"})
        assert typed.returncode == 0, command + typed.stdout + typed.stderr
    log = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("  less "))
    assert json.loads((here / log).read_text().splitlines()[0])["event"] == "run started"


def test_paths_with_spaces_are_quoted(tmp_path):
    above = tmp_path / "my folder"
    above.mkdir()
    done = run(above, "--dir", "the demo")
    assert shlex.split(commands(done)[0])[3] == "the demo/config.ini"


def test_a_folder_with_other_things_stays_as_it_is(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("three years of work")
    done = run(tmp_path, "--dir", "demo", code=2)
    assert "is not empty and was not made by the demo" in done.stderr
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("make", [lambda path: path.write_text("a file"),
                                  lambda path: path.symlink_to("nowhere")],
                         ids=["file", "dangling link"])
def test_what_is_no_folder_is_refused(tmp_path, make):
    make(tmp_path / "demo")
    assert "is not a folder" in run(tmp_path, "--dir", "demo", code=2).stderr


def test_its_own_folder_is_replaced_and_only_its_own_files_are_deleted(tmp_path):
    run(tmp_path, "--dir", "demo")
    (tmp_path / "demo" / "spool" / "left.eml").write_text("from the demo before")
    (tmp_path / "demo" / "notes.txt").write_text("my own")
    done = run(tmp_path, "--dir", "demo")
    assert "6 delivered" in done.stdout
    assert not (tmp_path / "demo" / "spool" / "left.eml").exists()
    assert (tmp_path / "demo" / "notes.txt").read_text() == "my own"


def test_your_own_configuration_and_environment_are_not_touched(tmp_path):
    done = run(tmp_path, "--dir", "demo", JOBS_CORE_DATABASE=f"sqlite:///{tmp_path}/mine.db",
               JOBS_CONFIG=str(tmp_path / "broken.ini"), JOBS_SPOOL_DIR=str(tmp_path / "mine"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]
    assert "Your environment sets JOBS_CORE_DATABASE, JOBS_SPOOL_DIR" in done.stdout.replace("\n",
                                                                                             " ")


def test_it_takes_no_config(tmp_path):
    assert "takes no --config" in run(tmp_path, "--config", "x.ini", code=2).stderr


def test_only_loopback_is_connected_to_and_nothing_written_outside_its_folder(tmp_path):
    report, knot = tmp_path / "report.json", program("knotd", "knot")
    subprocess.run([sys.executable, WATCHED, "demo", "--dir", "demo"], cwd=tmp_path, check=True,
                   timeout=60, capture_output=True, env={**PLAIN, "JOBS_WATCHED": str(report),
                                                         "JOBS_WATCHED_ALLOWED": "127.0.0.1",
                                                         "PYTHONDONTWRITEBYTECODE": "1"})
    tried = json.loads(report.read_text())
    assert tried
    assert ["subprocess.Popen", knot] in tried
    mine = str(tmp_path / "demo")
    assert [entry for entry in tried if not entry[1].startswith(mine) and entry[1] != knot] == []


def on_a_terminal(folder: Path, **environment: str) -> str:
    """What a person sees: the demo's output through a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, str(ROOT / "jobs.py"), "demo", "--dir", "demo",
                                "-v"], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
                               env={**PLAIN, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):              # the terminal is gone when the process is
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    assert process.wait(60) == 0
    return seen.decode()


def test_colours_are_for_terminals_that_have_them(tmp_path):
    assert "\x1b[32mdelivered\x1b[0m" in on_a_terminal(tmp_path, TERM="xterm")
    assert "\x1b" not in on_a_terminal(tmp_path)
    assert "\x1b" not in on_a_terminal(tmp_path, TERM="dumb")
    assert "\x1b" not in on_a_terminal(tmp_path, TERM="xterm", NO_COLOR="1")


def test_a_terminal_without_umlauts_is_no_reason_to_fail(tmp_path):
    done = run(tmp_path, "--dir", "demo", "-v", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert "aus K" in done.stdout


# The messages

def parsed(name: str):
    return message_from_bytes(raw(name, clock.now()), policy=policy.default)


def test_the_messages_bring_what_real_mail_brings():
    assert max(map(len, raw("newsletter.eml", clock.now()).split(b"\r\n"))) > 998
    assert parsed("greetings.eml")["Subject"] == "Grüße aus Köln"
    assert not raw("greetings.eml", clock.now()).isascii()
    assert "schöne Grüße" in parsed("greetings.eml").get_content()
    attachment, = parsed("invoice.eml").iter_attachments()
    assert attachment.get_content().startswith(b"%PDF")
    assert len(parsed("loop.eml").get_all("Received")) > 50


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_is_well_formed(name):
    content = raw(name, clock.now())
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    message = parsed(name)
    assert message.defects == []
    assert [header for header in ("From", "To", "Subject", "Date", "Message-ID")
            if not message[header]] == []


def test_a_message_that_is_not_there():
    with pytest.raises(ValueError, match=r"no sample message 'lost\.eml'"):
        raw("lost.eml", clock.now())
