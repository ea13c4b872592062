"""`mail test` and `preview --send`: each step of one message, and where it fails."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.servers.misbehaving import Bye, Relay
from tests.support.product import clock
from tests.support.shell import Shell

TO = "me@elsewhere.example"
SENDS = [("mail", "test", TO), ("preview", "domain_verified", "--send", TO)]


@pytest.fixture
def shell(tmp_path, sqlite_url):
    made = Shell(tmp_path, sqlite_url)
    yield made
    made.close()


def at(shell, relay, **mail):
    shell.configure("mail", port=relay.port, **{"from": "notices@service.example", **mail})


def counted(shell) -> int:
    return shell.db.value("SELECT COUNT(*) FROM {attempts} WHERE kind = 'mail' "
                          "AND outcome NOT IN ('unusable', 'postponed')")


@pytest.mark.parametrize("words", SENDS, ids=lambda words: words[0])
def test_each_step_is_shown_and_the_message_counts(shell, words):
    with Relay() as relay:
        at(shell, relay, per_hour="2")
        answer = shell(*words)
        assert (answer.code, answer.err) == (0, "")
        steps = [line.split()[0] for line in answer.out.splitlines()]
        assert steps == ["connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "content",
                         "Accepted"]
        assert "content   250 2.0.0 Ok: queued as 1" in answer.out
        assert TO not in answer.out                                     # R72
        (sender, recipients, content), = relay.accepted
        assert (sender, recipients) == (b"notices@service.example", [TO.encode()])
        assert f"To: {TO}".encode() in content
        assert counted(shell) == 1
        assert shell(*words).code == 0
        # the limit is kept: nothing is sent
        refused = shell(*words)
        assert refused.code == 1
        assert "[mail] per_hour = 2 is reached" in refused.err
        assert "There is room again in" in refused.err
        assert len(relay.accepted) == 2


@pytest.mark.parametrize("relay, mail, step, counts", [
    ({"greeting": b"554 no service"}, {}, "greeting", 0),
    ({}, {"security": "starttls"}, "TLS", 0),
    ({}, {"username": "me"}, "AUTH", 0),
    ({"AUTH": b"535 5.7.8 authentication failed", "extensions": ["AUTH PLAIN"]},
     {"username": "me", "password": "geheim"}, "AUTH", 0),
    ({"MAIL": b"553 5.7.1 not yours"}, {}, "MAIL", 0),
    ({"RCPT": b"450 4.2.0 Greylisted"}, {}, "RCPT", 1),
    ({"dot": b"550 5.7.1 spam"}, {}, "content", 1),
    ({"MAIL": Bye(b"421 4.7.0 too many")}, {}, "MAIL", 0),
], ids=range(8))
def test_where_it_fails_and_what_the_relay_said(shell, relay, mail, step, counts):
    with Relay(**relay) as server:
        at(shell, server, per_hour="80", **mail)
        answer = shell("mail", "test", TO)
        assert answer.code == 1
        failed, = [line for line in answer.out.splitlines() if "FAILED: " in line]
        assert failed.split()[0] == step, answer.out
        said = next((words for words in relay.values() if isinstance(words, bytes)), b"")
        assert said.decode().rpartition(" ")[2] in failed
        assert "docs/failures.md" in answer.out
        assert "geheim" not in answer.out + answer.err
        assert server.accepted == []
        # what the relay has judged counts, what it never saw does not
        assert counted(shell) == counts


def test_as_json_and_into_a_folder(shell):
    shell.configure("mail", transport="maildir", maildir="sent")
    found = shell.json("mail", "test", TO)
    assert (found["ok"], found["fix"]) == (True, "")
    assert found["steps"] == [{"step": "maildir", "ok": True,
                               "answer": f"a file in {shell.folder}/sent"}]
    said = shell("mail", "test", TO).out
    assert "stays in that folder" in said
    assert "spam" not in said
    (shell.folder / "sent" / "new").chmod(0o700)
    assert len(list((shell.folder / "sent" / "new").iterdir())) == 2
    shell.configure("mail", transport="smtp", port=1)       # where nothing listens
    assert shell("mail", "test", TO).out.startswith("connect   FAILED: 127.0.0.1:")
    answer = shell("mail", "test", TO, "--json")
    assert json.loads(answer.out)["steps"][-1]["ok"] is False


def test_a_pause_is_named_and_holds_no_test_up(shell):
    shell.db.upsert("relay_state", {"id": 1}, {"failures": 1, "reason": "535 no", "paused_until":
                                               "2099-01-01 00:00:00"})
    with Relay() as relay:
        at(shell, relay)
        # later than any pause: no pause
        assert shell("mail", "test", TO).err == ""
        shell.db.upsert("relay_state", {"id": 1}, {"paused_until": clock.text(
            clock.now() + timedelta(minutes=5))})
        answer = shell("mail", "test", TO)
    assert answer.code == 0
    assert "all mail is paused until" in answer.err
    assert "`jobs.py resume mail` ends the pause" in answer.err


@pytest.mark.parametrize("words, said", [
    (("mail", "test", "nobody"), "expected an address"),
    (("mail", "test"), "the following arguments are required: ADDRESS"),
    (("mail", "tset", TO), "did you mean 'test'"),
    (("preview", "--send", TO), "--send needs the KIND"),
    (("preview", "domain_verified", "--send", "x"), "expected an address")])
def test_wrong_words(shell, words, said):
    answer = shell(*words)
    assert (answer.code, said in answer.err) == (2, True), answer.err
