"""Notices leave once, urgent ones first, within the limits, and only to who wants them."""
from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from tests.support.product import FINAL, RELAY, RETRY, SENT, UNCERTAIN, Result, clock

JOB = "send_notifications"


@pytest.fixture
def owner(bench):
    """An active account."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo", "status": "active"}])
    bench.config(personas={"porter": "Porter <porter@service.example>"},
                 mail={"domain": "service.example", "per_hour": "off"})
    return 7


def notice(bench, **values) -> int:
    given = {"user_id": 7, "kind": "alias_expired", "to_email": "jo@home.example",
             "subject": "An alias has expired", "body_text": "Hello Jo,\n\nIt has.\n",
             "dedupe_key": f"key-{len(bench.ids('notifications'))}", "created_at": bench.now}
    return bench.table("notifications", [{**given, **values}])[0]


def row(bench, id: int) -> dict:
    return next(row for row in bench.rows("notifications") if row["id"] == id)


def parsed(bench, number: int = 0):
    return message_from_bytes(bench.outbox[number].raw, policy=policy.default)


def content(part) -> str:
    return part.get_content().replace("\r\n", "\n")


def test_a_notice_is_sent_once_with_both_bodies_and_its_bodies_are_emptied(bench, owner):      # R12
    id = notice(bench, body_html="<p>It <b>has</b>.</p>")
    assert bench.run(JOB) == {"sent": 1, "retried": 0, "failed": 0}
    message = parsed(bench)
    assert message["From"] == "Porter <porter@service.example>"
    assert message["To"] == "jo@home.example"
    assert message["Subject"] == "An alias has expired"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == bench.now
    assert content(message.get_body("plain")) == "Hello Jo,\n\nIt has.\n"
    assert content(message.get_body("html")).strip() == "<p>It <b>has</b>.</p>"
    sent = row(bench, id)
    assert (sent["status"], sent["body_text"], sent["body_html"], sent["attempts"]) == ("sent",
                                                                                        None, None,
                                                                                        1)
    assert sent["sent_at"] == sent["finished_at"] == bench.now.strftime("%Y-%m-%d %H:%M:%S")
    bench.run(JOB)
    assert len(bench.outbox) == 1


def test_its_date_is_when_it_is_first_sent_and_stays_so_at_each_attempt(bench, owner):      # R26
    """Not when it was queued; and a relay that cannot be used has sent nothing yet."""
    id = notice(bench, created_at=bench.ago(hours=20))
    seen, dates = [], []
    results = [Result(RELAY, None, "", "no answer"), Result(UNCERTAIN, None, "", "lost"),
               Result(RETRY, 451, "4.7.1", "later"), Result(SENT, 250, "2.0.0", "ok")]

    def send(_envelope, message, *_):
        seen.append(message.head)
        return results.pop(0)
    bench.outbox.send = send
    for _ in range(4):
        bench.attempt(JOB)
        dates.append(bench.now)
        bench.now = bench.ahead(hours=2)
    assert row(bench, id)["status"] == "sent"
    assert message_from_bytes(seen[1], policy=policy.default)["Date"].datetime == dates[1]
    assert seen[1] == seen[2] == seen[3] != seen[0]


# R26
def test_one_that_is_replayed_keeps_its_date_whatever_the_relay_does_meanwhile(bench, owner):
    id = notice(bench)
    seen = []
    results = [Result(FINAL, 550, "5.7.1", "no"), Result(RELAY, None, "", "no answer"),
               Result(SENT, 250, "2.0.0", "ok")]

    def send(_envelope, message, *_):
        seen.append(message.head)
        return results.pop(0)
    bench.outbox.send = send
    bench.attempt(JOB)
    bench.db.execute("UPDATE {notifications} SET status = 'pending', attempts = 0, "
                     "next_attempt_at = NULL, finished_at = NULL WHERE id = :id",
                     id=id)                                             # as a replay does
    for _ in range(2):
        bench.now = bench.ahead(hours=2)
        bench.attempt(JOB)
    assert row(bench, id)["status"] == "sent"
    assert seen[0] == seen[1] == seen[2]


def test_every_attempt_sends_the_same_bytes(bench, owner):      # R26
    notice(bench, body_html="<p>x</p>", subject="Grüße")
    seen = []

    def refuse(envelope):
        return Result(RETRY, 451, "4.7.1", "later")
    bench.outbox.answer = refuse
    original = bench.outbox.send

    def keep(envelope, message, deadline, item_id):
        seen.append((envelope, message.head, item_id))
        return original(envelope, message, deadline, item_id)
    bench.outbox.send = keep
    for _ in range(3):
        bench.run(JOB)
        bench.now = bench.ahead(hours=2)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert b"Message-ID: <notice." in seen[0][1]


def test_it_is_signed_by_its_persona_and_bounces_go_to_the_from_address(bench, owner):
    bench.config(personas={"overflow": "Overflow desk <o@service.example>"},
                 mail={"from": "bounces@service.example"})
    notice(bench, persona="overflow")
    bench.run(JOB)
    assert parsed(bench)["From"] == "Overflow desk <o@service.example>"
    assert bench.outbox[0].sender == "bounces@service.example"


def test_a_persona_that_is_not_known_is_porters_and_the_log_says_so(bench, owner):
    number = notice(bench, persona="nobody")
    bench.run(JOB)
    assert parsed(bench)["From"] == "Porter <porter@service.example>"
    assert [event["id"] for event in bench.events(JOB) if event["event"]
            == "unknown persona"] == [number]


@pytest.mark.parametrize("subject", ["Grüße aus Köln", "x" * 190, "two\r\nBcc: evil@x.example",
                                     "=?utf-8?q?=0AX:_y?=", "日本語" * 40, "a " * 90,
                                     "\u202eabc\x00"])
def test_no_subject_adds_a_header(bench, owner, subject):       # R35
    notice(bench, subject=subject)
    bench.run(JOB)
    head = bench.outbox[0].raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert names == [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted",
                     b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"]
    assert max(map(len, bench.outbox[0].raw.split(b"\r\n"))) <= 998
    words = parsed(bench)["Subject"]
    assert "\n" not in words
    assert words[:5] == " ".join("".join(c if c.isprintable() else " "
                                         for c in subject).split())[:5]


def test_any_text_arrives_as_it_was_written(bench, owner):
    text = ("Zeile mit Ümlaut = und Leerzeichen am Ende \n.\n..\nFrom here\n"
            + "lang " * 60 + "\n\n日本\n")
    notice(bench, body_text=text, body_html=f"<p>{text}</p>")
    bench.run(JOB)
    assert content(parsed(bench).get_body("plain")) == text
    assert bench.outbox[0].raw.isascii()
    assert b"\n" not in bench.outbox[0].raw.replace(b"\r\n", b"")


def test_urgent_goes_before_normal_before_low_and_within_a_class_the_oldest(bench, owner):
    for number, priority in enumerate((2, 1, 0, 1, 0)):
        notice(bench, priority=priority, subject=f"{number}",
               created_at=bench.ago(minutes=10 - number))
    bench.run(JOB)
    assert [mail.subject for mail in bench.outbox] == ["2", "4", "1", "3", "0"]


def test_who_opted_out_gets_none_of_that_kind_but_what_is_required(bench, owner):
    for kind in ("alias_expired", "overflow_warning", "apps_own"):
        bench.db.insert("notification_optouts", user_id=7, kind=kind)
    unwanted = notice(bench, kind="alias_expired")
    for kind in ("overflow_warning", "alias_expiring", "apps_own"):
        notice(bench, kind=kind, subject=kind)
    notice(bench, kind="apps_other", subject="apps_other")
    assert bench.run(JOB)["cancelled"] == 2
    assert sorted(mail.subject for mail in bench.outbox) == ["alias_expiring", "apps_other",
                                                             "overflow_warning"]
    kept = row(bench, unwanted)
    assert (kept["status"], kept["attempts"], kept["body_text"]) == ("failed", 0, None)
    assert kept["last_error"] == "cancelled: its owner has opted out of this kind"


def test_no_mail_after_deletion_but_the_one_that_names_the_date(bench, owner):
    bench.db.execute("UPDATE {users} SET status = 'deleted', deleted_at = :now", now=bench.now)
    waits = notice(bench, kind="overflow_warning")
    notice(bench, kind="account_deletion_scheduled", subject="goodbye")
    # the account is deleted for good, or never was
    gone = notice(bench, kind="account_deletion_scheduled", user_id=99)
    notice(bench, user_id=None, kind="operator", subject="to nobody's account")
    assert bench.run(JOB)["cancelled"] == 1
    assert sorted(mail.subject for mail in bench.outbox) == ["goodbye", "to nobody's account"]
    assert [row(bench, id)["status"] for id in (waits, gone)] == ["pending", "failed"]
    assert row(bench, gone)["last_error"] == "cancelled: there is no account 99"


def test_repeats_come_after_5_15_minutes_1_4_12_24_and_48_hours(bench, owner):     # R24
    id = notice(bench)
    bench.outbox.answer = lambda envelope: Result(RETRY, 451, "4.3.0", "later")
    at, moments, start = bench.now, [], bench.now
    for _ in range(3000):
        before = row(bench, id)["attempts"]
        bench.run(JOB)
        if row(bench, id)["attempts"] > before:
            moments.append(bench.now - start)
        if row(bench, id)["status"] == "failed":
            break
        due = row(bench, id)["next_attempt_at"]
        for at in (clock.parse(due) - (clock.parse(due) - bench.now) / 2, clock.parse(due)):
            bench.now = at
            if at < clock.parse(due):
                bench.run(JOB)
                assert row(bench, id)["attempts"] == before + 1       # never early
    hours = [round(moment.total_seconds() / 60) for moment in moments]
    assert hours == [0, 5, 20, 80, 320, 1040, 2480, 5360]
    assert row(bench, id)["last_error"] == "4.3.0 later"
    # what failed can still be read, and replayed
    assert row(bench, id)["body_text"]


def test_a_refusal_at_the_last_attempt_keeps_the_code(bench, owner):     # R27
    id = notice(bench, attempts=7)
    bench.outbox.answer = lambda envelope: Result(FINAL, 550, "5.1.1", "no such user")
    assert bench.run(JOB)["failed"] == 1
    ended = row(bench, id)
    assert (ended["status"], ended["last_code"], ended["last_error"]) == ("failed", 550,
                                                                          "5.1.1 no such user")
    assert ended["finished_at"]
    assert ended["sent_at"] is None


def test_an_address_that_is_none_is_refused_for_good(bench, owner):     # R35
    id = notice(bench, to_email="two@x.example,three@x.example")
    assert bench.run(JOB)["failed"] == 1
    assert row(bench, id)["status"] == "failed"
    assert bench.outbox == []


def test_each_notice_logs_one_event_without_its_address(bench, owner):     # R61
    id = notice(bench)
    bench.run(JOB)
    events = [event for event in bench.events(JOB) if event["event"] == "notice"]
    assert [(event["id"], event["attempt"], event["outcome"]) for event in events] == [(id, 1,
                                                                                        "sent")]
    assert "jo@home.example" not in str(bench.events(JOB))


# What must not stop the others

def test_a_pause_that_another_process_begins_is_heard_and_stays(bench, owner):      # R27
    for _ in range(60):
        notice(bench)

    def pause(envelope):
        bench.db.upsert("relay_state", {"id": 1}, {"paused_until": bench.ahead(hours=1)})
        bench.outbox.answer = None
        return Result(SENT, 250, "", "")
    bench.outbox.answer = pause
    assert bench.run(JOB)["sent"] == 20                 # what was taken together, and no more
    assert bench.result["stop_reason"].startswith("the relay is paused until")
    bench.now = bench.ahead(minutes=59)
    assert bench.run(JOB)["sent"] == 0
    bench.now = bench.ahead(minutes=2)
    assert bench.run(JOB)["sent"] == 40


def test_who_is_deleted_while_others_are_served_gets_nothing_any_more(bench, owner):        # R56
    for _ in range(5):
        notice(bench)

    def slow(envelope):
        bench.db.execute("UPDATE {users} SET status = 'deleted'")
        bench.clock.sleep(6)
        return Result(SENT, 250, "", "")
    bench.outbox.answer = slow
    counts = bench.run(JOB)
    assert (counts["sent"], row(bench, 5)["status"]) == (1, "pending")


def test_an_address_and_a_domain_that_are_not_ascii(bench, owner):      # R31
    bench.config(mail={"domain": "gr\u00fcn.example"})
    notice(bench, to_email="j\u00fcrgen@example.org")
    assert bench.run(JOB)["sent"] == 1
    assert "To: j\u00fcrgen@example.org".encode() in bench.outbox[0].raw
    assert b"@" + "gr\u00fcn.example".encode("idna") + b">" in bench.outbox[0].raw


def test_a_body_of_one_line_of_megabytes_is_no_trouble(bench, owner):
    notice(bench, body_text="x" * 5_000_000)
    assert bench.run(JOB)["sent"] == 1
    # quoting it would take minutes
    assert b"Content-Transfer-Encoding: base64" in bench.outbox[0].raw[:600]
    assert len(content(parsed(bench).get_body("plain")).strip()) == 5_000_000
