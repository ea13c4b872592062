"""Notices leave once, urgent ones first, within the limits, and only to who wants them. What they
share with other mail is in tests/queue."""
from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from tests.support.product import RELAY, RETRY, SENT, UNCERTAIN, Result, clock

JOB = "send_notifications"
TAKEN, LATER = Result(SENT, 250, "2.0.0", "ok"), Result(RETRY, 451, "4.7.1", "later")
AWAY = Result(RELAY, None, "", "no answer")


@pytest.fixture
def owner(bench):
    """An active account."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo", "status": "active"}])
    bench.config(personas={"porter": "Porter <porter@service.example>"},
                 mail={"domain": "service.example", "per_hour": "off"})


def notice(bench, **values) -> int:
    given = {"user_id": 7, "kind": "alias_expired", "to_email": "jo@home.example",
             "subject": "An alias has expired", "body_text": "Hello Jo,\n\nIt has.\n",
             "dedupe_key": f"key-{len(bench.ids('notifications'))}", "created_at": bench.now}
    return bench.table("notifications", [{**given, **values}])[0]


def row(bench, id: int) -> dict:
    return bench.db.row("SELECT * FROM {notifications} WHERE id = :id", id=id)


def content(mail, form: str) -> str:
    return mail.parsed.get_body(form).get_content().replace("\r\n", "\n")


def test_a_notice_is_sent_once_and_its_bodies_are_emptied(bench, owner):     # R12 R61
    id = notice(bench, body_html="<p>It <b>has</b>.</p>")
    assert bench.run(JOB) == {"sent": 1, "retried": 0, "failed": 0}
    [mail] = bench.outbox
    assert [mail.parsed[name] for name in ("From", "To", "Subject", "Auto-Submitted")] == [
        "Porter <porter@service.example>", "jo@home.example", "An alias has expired",
        "auto-generated"]
    assert mail.parsed["Date"].datetime == bench.now
    assert content(mail, "plain") == "Hello Jo,\n\nIt has.\n"
    assert content(mail, "html").strip() == "<p>It <b>has</b>.</p>"
    sent = row(bench, id)
    assert [sent[name] for name in ("status", "body_text", "body_html", "attempts")] == [
        "sent", None, None, 1]
    assert sent["sent_at"] == sent["finished_at"] == clock.text(bench.now)
    events = [event for event in bench.events(JOB) if event["event"] == "notice"]
    assert [(event["id"], event["attempt"], event["outcome"]) for event in events] == [
        (id, 1, "sent")]
    assert "jo@home.example" not in str(bench.events(JOB))
    bench.run(JOB)
    assert len(bench.outbox) == 1


def test_every_attempt_sends_the_same_bytes_with_the_date_of_the_first(bench, owner):      # R26
    # an app may have written it long before its day; a relay that is away has sent nothing yet
    id = notice(bench, created_at=bench.ago(days=5), body_html="<p>x</p>", subject="Grüße")
    answers, seen = [AWAY, Result(UNCERTAIN, None, "", "lost"), LATER, TAKEN], []

    def send(_envelope, message, _deadline, item_id):
        seen.append((message.head, item_id))
        return answers.pop(0)
    bench.outbox.send = send
    first = bench.ahead(hours=2)
    while answers:
        bench.attempt(JOB)
        # before the last one the clock is set back
        bench.now = bench.ahead(hours=2) if len(answers) > 1 else bench.ago(days=30)
    assert row(bench, id)["status"] == "sent"
    assert len(set(seen[1:])) == 1
    message = message_from_bytes(seen[-1][0], policy=policy.default)
    assert message["Date"].datetime == first
    assert message["Message-ID"].startswith("<notice.")


def test_it_is_signed_by_its_persona_and_bounces_go_to_the_from_address(bench, owner):
    bench.config(personas={"overflow": "Overflow desk <o@service.example>",
                           "porter": "Porter <porter@service.example>"},
                 mail={"from": "bounces@service.example"})
    for persona in ("overflow", "nobody"):          # one that is not known is Porter's
        notice(bench, persona=persona)
    bench.run(JOB)
    assert [mail.parsed["From"] for mail in bench.outbox] == [
        "Overflow desk <o@service.example>", "Porter <porter@service.example>"]
    assert [event["persona"] for event in bench.events(JOB)
            if event["event"] == "unknown persona"] == ["nobody"]
    assert bench.outbox[0].sender == "bounces@service.example"


@pytest.mark.parametrize("subject", ["Grüße aus Köln", "x" * 190, "two\r\nBcc: evil@x.example",
                                     "=?utf-8?q?=0AX:_y?=", "日本語" * 40, "a " * 90,
                                     "\u202eabc\x00"])
def test_no_subject_adds_a_header(bench, owner, subject):       # R35
    notice(bench, subject=subject)
    bench.run(JOB)
    [mail] = bench.outbox
    head = mail.raw.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert names == [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted",
                     b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"]
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998
    assert "\n" not in mail.subject
    shown = "".join(sign if sign.isprintable() else " " for sign in subject)
    assert mail.subject[:5] == " ".join(shown.split())[:5]


def test_any_text_arrives_as_it_was_written(bench, owner):
    text = ("Zeile mit Ümlaut = und Leerzeichen am Ende \n.\n..\nFrom here\n"
            + "lang " * 60 + "\n\n日本\n")
    notice(bench, body_text=text, body_html=f"<p>{text}</p>")
    notice(bench, body_text="x" * 5_000_000)
    assert bench.run(JOB)["sent"] == 2
    first, long = bench.outbox
    assert content(first, "plain") == text
    assert first.raw.isascii()
    assert b"\n" not in first.raw.replace(b"\r\n", b"")
    assert len(content(long, "plain").strip()) == 5_000_000


def test_an_address_and_a_domain_that_are_not_ascii(bench, owner):      # R31
    bench.config(mail={"domain": "gr\u00fcn.example"})
    notice(bench, to_email="j\u00fcrgen@example.org")
    assert bench.run(JOB)["sent"] == 1
    assert "To: j\u00fcrgen@example.org".encode() in bench.outbox[0].raw
    assert b"@" + "gr\u00fcn.example".encode("idna") + b">" in bench.outbox[0].raw


def test_who_opted_out_gets_none_of_that_kind_but_what_is_required(bench, owner):
    for kind in ("alias_expired", "overflow_warning", "apps_own"):
        bench.db.insert("notification_optouts", user_id=7, kind=kind)
    unwanted = notice(bench, kind="alias_expired")
    for kind in ("overflow_warning", "alias_expiring", "apps_own", "apps_other"):
        notice(bench, kind=kind, subject=kind)
    assert bench.run(JOB)["cancelled"] == 2
    assert sorted(mail.subject for mail in bench.outbox) == ["alias_expiring", "apps_other",
                                                             "overflow_warning"]
    kept = row(bench, unwanted)
    assert [kept[name] for name in ("status", "attempts", "body_text", "last_error")] == [
        "failed", 0, None, "cancelled: its owner has opted out of this kind"]


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
    assert row(bench, gone)["last_error"] == "cancelled: the account is missing"


def test_a_pause_that_another_process_begins_is_heard_and_stays(bench, owner):      # R27
    for _ in range(60):
        notice(bench)

    def pause(_envelope):
        bench.db.upsert("relay_state", {"id": 1}, {"paused_until": bench.ahead(hours=1)})
        bench.outbox.answer = None
        return TAKEN
    bench.outbox.answer = pause
    assert bench.run(JOB)["sent"] == 20                 # what was taken together, and no more
    assert bench.result["stop_reason"].startswith("the relay is paused until")
    for minutes, sent in ((59, 0), (2, 40)):
        bench.now = bench.ahead(minutes=minutes)
        assert bench.run(JOB)["sent"] == sent
