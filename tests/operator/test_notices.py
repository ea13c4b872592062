"""`preview` shows every notice before its readers see it; `mail test` and `preview --send` show
each step of one message, and where it fails."""
from __future__ import annotations

import html as html_escapes
import re
from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from tests.servers.misbehaving import Bye, Relay
from tests.support.product import SAMPLES, clock, letter

TO = "me@elsewhere.example"


@pytest.mark.quick
@pytest.mark.parametrize("kind", SAMPLES)
def test_text_and_page_say_the_same_in_every_form(kind):
    """One of a thing or several, and whatever else a template asks about."""
    flags = [name for name, value in SAMPLES[kind].items() if isinstance(value, bool)]
    for app_url in ("", "https://app.example"):
        for changes in ({}, *({name: not SAMPLES[kind][name]} for name in flags)):
            subject, text, html = letter(kind, app_url, changes)
            page = html[html.index("<body>"):]
            page = " ".join(html_escapes.unescape(re.sub("<[^>]+>", " ", page)).split())
            page = re.sub(r" ([,.:)])", r"\1", page)
            for paragraph in text.split("\n\n"):
                if not re.search(r"^(?:  |- |Hello)", paragraph, re.MULTILINE):
                    # labels and lists are laid out otherwise
                    for sentence in re.split(r"(?<=\.) ", " ".join(paragraph.split())):
                        assert not sentence.endswith(".") or sentence in page
            assert app_url in text
            assert f'href="{app_url}' in html or not app_url
            assert len(subject) < 60


def test_every_kind_is_previewed_as_mail_and_as_page(line):
    line.ini("[core]\napp_url = https://www.example.org\n[mail]\ndomain = service.example\n")
    said = line.run("preview")
    for kind in SAMPLES:
        assert f"{kind}: preview/{kind}.eml, " in said
        message = message_from_bytes((line.folder / "preview" / f"{kind}.eml").read_bytes(),
                                     policy=policy.default)
        text, html = (message.get_body(which).get_content() for which in ("plain", "html"))
        assert ("https://www.example.org" in text, "{" in text.replace("{{", "")) == (True, False)
        assert all(len(row) <= 72 or "https://" in row for row in text.splitlines())
        page = (line.folder / "preview" / f"{kind}.html").read_text(encoding="utf-8")
        assert page.strip().startswith("<!DOCTYPE html>")
        assert ("<title>" + html_escapes.escape(message["Subject"])) in page
        assert page.count("<div") == page.count("</div>") == html.count("</div>")
        # nothing from elsewhere
        assert not any(word in page for word in ("http://", "src=", "<script", "url("))


def test_a_broken_template_of_ones_own_is_reported(line):
    (line.folder / "own").mkdir()
    (line.folder / "own" / "overflow_warning.txt").write_text("Subject: {{nobdy}}\n\nx\n")
    line.ini("[notifications]\ntemplates = own\n")
    answer = line("preview")
    assert answer.code == 1
    assert "overflow_warning.txt: nothing is called 'nobdy' here; there is" in answer.err
    assert not (line.folder / "preview" / "overflow_warning.eml").exists()
    assert (line.folder / "preview" / "forward_failed.eml").exists()


def at(service, relay, **mail):
    service.configure("mail", port=relay.port, **{"from": "notices@service.example", **mail})


def counted(service) -> int:
    return service.db.value("SELECT COUNT(*) FROM {attempts} WHERE item_id = 0 "
                            "AND outcome NOT IN ('unusable', 'postponed')")


@pytest.mark.parametrize("words", [("mail", "test", TO),
                                   ("preview", "domain_verified", "--send", TO)])
def test_each_step_is_shown_and_the_message_counts(service, words):
    with Relay() as relay:
        at(service, relay, per_hour="2")
        out = service.run(*words)
        assert [line.split()[0] for line in out.splitlines()] == [
            "connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "content", "Accepted"]
        assert "content   250 2.0.0 Ok: queued as 1" in out
        assert TO not in out                                            # R72
        (sender, recipients, content), = relay.accepted
        assert (sender, recipients) == (b"notices@service.example", [TO.encode()])
        assert f"To: {TO}".encode() in content
        assert counted(service) == 1
        service.run(*words)
        refused = service(*words)                       # the limit is kept: nothing is sent
        assert (refused.code, len(relay.accepted)) == (1, 2)
        assert "[mail] per_hour = 2 is reached" in refused.err


@pytest.mark.parametrize("relay, mail, step, counts", [
    ({"greeting": b"554 no service"}, {}, "greeting", 0),
    ({}, {"security": "starttls"}, "TLS", 0), ({}, {"username": "me"}, "AUTH", 0),
    ({"AUTH": b"535 5.7.8 authentication failed", "extensions": ["AUTH PLAIN"]},
     {"username": "me", "password": "geheim"}, "AUTH", 0),
    ({"MAIL": b"553 5.7.1 not yours"}, {}, "MAIL", 0),
    ({"RCPT": b"450 4.2.0 Greylisted"}, {}, "RCPT", 1),
    ({"dot": b"550 5.7.1 spam"}, {}, "content", 1),
    ({"MAIL": Bye(b"421 4.7.0 too many")}, {}, "MAIL", 0),
], ids=range(8))
def test_where_it_fails_and_what_the_relay_said(service, relay, mail, step, counts):
    with Relay(**relay) as server:
        at(service, server, per_hour="80", **mail)
        answer = service("mail", "test", TO)
        failed, = [line for line in answer.out.splitlines() if "FAILED: " in line]
        assert (answer.code, failed.split()[0]) == (1, step)
        said = next((words for words in relay.values() if isinstance(words, bytes)), b"")
        assert said.decode().rpartition(" ")[2] in failed
        assert "docs/failures.md" in answer.out
        assert "geheim" not in answer.out + answer.err
        # what the relay has judged counts, what it never saw does not
        assert (server.accepted, counted(service)) == ([], counts)


def test_into_a_folder_and_to_nobody(service):
    service.configure("mail", transport="maildir", maildir="sent")
    said = service.run("mail", "test", TO)
    assert f"a file in {service.folder}/sent" in said
    assert "stays in that folder" in said
    assert len(list((service.folder / "sent" / "new").iterdir())) == 1
    service.configure("mail", transport="smtp", port=1)       # where nothing listens
    assert "FAILED: " in service.run("mail", "test", TO, code=1)


def test_a_pause_is_named_and_holds_no_test_up(service):
    service.db.insert("relay_state", id=1, reason="535 no", since=clock.now(),
                      paused_until="2099-01-01 00:00:00")
    with Relay() as relay:
        at(service, relay)
        # later than any pause: no pause
        assert service("mail", "test", TO).err == ""
        service.db.execute("UPDATE {relay_state} SET paused_until = :until",
                           until=clock.now() + timedelta(minutes=5))
        answer = service("mail", "test", TO)
    assert (answer.code, "pause of all mail has ended" in answer.out) == (0, True)
    assert service.db.value("SELECT since FROM {relay_state}") is None        # it works again
