"""What a relay's answer means for a message, and that it means nothing for the next one."""
from __future__ import annotations

import pytest

from jobs_lib.config.settings import PAUSE_PATTERNS
from jobs_lib.ports.mail.message import DENIED_PATTERNS, Envelope
from jobs_lib.ports.mail.replies import speaks_of
from tests.servers.misbehaving import DROP, HANG, RESET, Bye, Drip, Extra
from tests.servers.smtp_sink import Sink
from tests.support.mail import CONTENT, ENVELOPE, short, soon

PLAIN = ("SIZE 0", "8BITMIME")          # what a relay without PIPELINING offers
BOTH = pytest.mark.parametrize("extensions", [("PIPELINING", *PLAIN), PLAIN],
                               ids=["pipelining", "plain"])
NEXT = Envelope("bounces@service.example", "next@home.example")
# whose sender cannot be what MAIL is refused for
NOTICE = Envelope("", "owner@home.example")


@BOTH
@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("reply, outcome", [
    (b"450 4.2.1 busy", "retry"), (b"451 4.3.0 later", "retry"), (b"452 4.2.2 mailbox full",
                                                                  "retry"),
    (b"550 5.1.1 no such user", "final"), (b"552 5.2.2 quota exceeded", "final"),
    (b"554 5.7.1 spam", "final"),
    (b"300 what", "retry"),
])
# R27
def test_a_refusal_is_for_now_or_for_good(relay, opened, stored, extensions, phase, reply, outcome):
    if reply.startswith(b"3") and phase == "dot":
        outcome = "uncertain"
    result = opened(port=relay(extensions, **{phase: reply}).port).send(NOTICE, stored(), soon(), 1)
    assert (result.outcome, result.code) == (outcome, int(reply[:3]))


@BOTH
@pytest.mark.parametrize("reply", [
    "553 5.7.1 <x>: Sender address rejected: not owned by user", "550 5.1.8 no such domain",
    "550 no",
    "451 4.1.8 Domain does not resolve", "501 5.1.8 Domain must exist",
])
def test_a_refused_sender_is_the_relays_failure_since_it_is_always_ours(relay, opened, stored,
                                                                        extensions, reply):
    server = relay(extensions, MAIL=reply.encode())
    sender = "SRS0=abcd=AB=a.example=joe@service.example"
    result = opened(port=server.port).send(ENVELOPE._replace(sender=sender), stored(), soon(), 1)
    assert (result.outcome, result.code) == ("relay", int(reply[:3]))
    assert result.text == f"the relay refuses our sender <S***@service.example>: {reply}"


@BOTH
@pytest.mark.parametrize("reply, outcome", [
    (b"552 too big", "final"), (b"552 5.3.4 too big", "final"), (b"554 5.3.4 too big", "final"),
    (b"550 5.2.3 too big", "final"), (b"452 insufficient storage", "retry"),
    (b"451 4.3.1 disk full", "retry"),
    (b"555 5.5.4 unsupported option: SMTPUTF8", "final"), (b"501 5.5.4 BODY", "final"),
    (b"501 no", "final"),
    (b"501 5.1.7 bad syntax", "final"), (b"500 line too long", "final"), (b"553 5.6.7 no SMTPUTF8",
                                                                          "final"),
])
def test_a_refusal_of_mail_for_what_the_message_is_stays_its_own(relay, opened, stored, extensions,
                                                                 reply, outcome):
    result = opened(port=relay(extensions, MAIL=reply).port).send(ENVELOPE, stored(), soon(), 1)
    assert (result.outcome, result.code) == (outcome, int(reply[:3]))
    assert "our sender" not in result.text


@pytest.mark.parametrize("reply", [b"451 4.7.0 too many messages in this session", b"550 5.7.1 no",
                                   b"454 Throttling failure"])
# R28
def test_on_an_old_connection_a_refused_sender_is_asked_again(relay, opened, stored, reply):
    server = relay(MAIL=[b"", reply])
    transport = opened(port=server.port)
    assert [transport.send(ENVELOPE, stored(), soon(), n).outcome for n in range(3)] == ["sent"] * 3
    assert len(server.received) == 2
    server = relay(MAIL=[b"", reply, reply])
    transport = opened(port=server.port)
    assert [transport.send(ENVELOPE, stored(), soon(), n).outcome for n in range(2)] == ["sent",
                                                                                         "relay"]


def refusals():
    """Each way in which a message can be refused, with what it is worth."""
    for extensions in (("PIPELINING", *PLAIN), PLAIN):
        for phase in ("MAIL", "RCPT", "DATA", "dot"):
            for reply in (b"451 4.3.0 later", b"550 5.7.1 no"):
                yield extensions, phase, reply, "final" if reply.startswith(b"5") else "retry"
        for phase in ("RCPT", "DATA", "dot"):
            yield extensions, phase, Bye(b"421 4.7.0 closing"), "retry"
            yield extensions, phase, b"421 4.7.0 not really closing", "retry"


@pytest.mark.parametrize("extensions, phase, answer, outcome", list(refusals()))
@pytest.mark.parametrize("eager", [False, True], ids=["", "eager"])
def test_a_refusal_never_changes_the_next_messages_outcome(        # R28
        relay, opened, stored, extensions, phase, answer, outcome, eager):
    server = relay(extensions, eager=eager, **{phase: [b"", answer]})
    transport = opened(port=server.port)
    first = NOTICE if phase == "MAIL" else ENVELOPE
    outcomes = [transport.send(to, stored(), soon(), 1).outcome for to in (first, first, NEXT)]
    assert outcomes == ["sent", outcome, "sent"]
    assert [taken[1] for taken in server.accepted] == [[b"owner@home.example"],
                                                       [b"next@home.example"]]
    assert {taken[2] for taken in server.accepted} == {CONTENT}


@BOTH
@pytest.mark.parametrize("phase", ["RCPT", "DATA", "dot"])
# R28
def test_after_a_421_we_hang_up_even_if_the_relay_does_not(relay, opened, stored, extensions,
                                                           phase):
    server = relay(extensions, **{phase: [b"421 4.7.0 not really closing"]})
    transport = opened(port=server.port)
    assert transport.send(ENVELOPE, stored(), soon(), 1).outcome == "retry"
    assert transport.session is None
    assert transport.send(NEXT, stored(), soon(), 2).outcome == "sent"
    assert len(server.received) == 2


@pytest.mark.parametrize("command", ["RCPT", "DATA", "."])
def test_a_real_relay_refuses_each_on_its_own(opened, stored, command):     # R28
    with Sink("-r", command) as sink:          # 450 for this command, always
        transport = opened(port=sink.port)
        results = [transport.send(ENVELOPE, stored(), soon(), 1) for _ in range(5)]
        assert {(result.outcome, result.code, result.enhanced) for result in results} == {
            ("retry", 450, "4.3.0")}


def test_content_that_a_relay_asks_for_after_refusing_the_recipient_is_an_empty_one(relay, opened,
                                                                                    stored):
    server = relay(eager=True, RCPT=b"550 5.1.1 no")
    assert opened(port=server.port).send(ENVELOPE, stored(), soon(), 1).outcome == "final"
    assert server.contents == [b".\r\n"]
    assert server.accepted == []


def test_a_recipient_accepted_after_a_refused_sender_gets_nothing(relay, opened, stored):
    server = relay(eager=True, MAIL=[b"550 5.1.8 no"])
    transport = opened(port=server.port)
    assert [transport.send(ENVELOPE, stored(), soon(), 1).outcome for _ in range(2)] == ["relay",
                                                                                         "sent"]
    assert server.contents == [CONTENT + b".\r\n"]
    assert len(server.received) == 2


# R28
def test_a_refusal_stands_when_the_connection_breaks_right_after_it(relay, opened, stored):
    server = relay(RCPT=b"550 5.1.1 no", DATA=DROP, eager=True)
    result = opened(port=server.port).send(ENVELOPE, stored(), soon(), 1)
    assert (result.outcome, result.code) == ("final", 550)


@pytest.mark.parametrize("answer", [DROP, RESET, HANG, b"500 what", b"garbage",
                                    Drip(b"221 bye\r\n", 0.3)])
def test_a_failing_quit_changes_nothing(relay, opened, stored, answer):     # R28
    server = relay(QUIT=answer)
    transport = opened(port=server.port, limits=short("quit"))
    result = transport.send(ENVELOPE, stored(), soon(), 1)
    transport.close()
    assert result.outcome == "sent"
    transport.close()          # and again


def test_an_answer_too_many_is_never_taken_for_the_next_messages(relay, opened, stored):     # R28
    server = relay(dot=[Extra(b"550 5.0.0 and another thing\r\n")])
    transport = opened(port=server.port)
    assert [transport.send(ENVELOPE, stored(), soon(), n).outcome for n in range(3)] == ["sent"] * 3
    assert len(server.received) == 2


def test_a_rset_that_is_refused_leads_to_a_new_connection(relay, opened, stored):     # R28
    server = relay(RCPT=[b"550 5.1.1 no"], RSET=b"500 what is that")
    transport = opened(port=server.port)
    assert [transport.send(ENVELOPE, stored(), soon(), n).outcome for n in range(2)] == ["final",
                                                                                         "sent"]


@pytest.mark.parametrize("text", [
    b"550 5.4.5 Daily user sending limit exceeded.",
    b"454 Throttling failure: Maximum sending rate exceeded.",
    b"421 Domain mg.example.org is not allowed to send: recipient limit exceeded",
    b"450 4.7.1 Error: too much mail from 192.0.2.1",
    (b"550 Domain example.org has exceeded the max emails per hour (125/100 (125%)) allowed. "
    b"Message discarded"),
    b"550 Domain x has exceeded the max defers and failures per hour (5/5 (100%)) allowed.",
    b"530 5.7.0 Must issue a STARTTLS command first",
    b"535 5.7.8 Authentication credentials invalid",
])
@pytest.mark.parametrize("phase", ["RCPT", "dot"])
# R27
def test_a_quota_pauses_the_relay_and_costs_no_message(relay, opened, stored, phase, text):
    result = opened(port=relay(**{phase: text}).port).send(ENVELOPE, stored(), soon(), 1)
    assert (result.outcome, result.code) == ("relay", int(text[:3]))


@pytest.mark.parametrize("text", [
    b"554 5.7.1 <a@b.example>: Relay access denied", b"550 relay not permitted",
    b"550 5.7.1 Relaying denied",
    b"550 Domain x has an outgoing mail suspension. Message discarded.",
    b"554 Message rejected: Sending paused for this account.",
    b"421 Domain mg.example.org is not allowed to send: Please activate your account",
])
@pytest.mark.parametrize("patterns", [PAUSE_PATTERNS, [], ["hour limit"]])
def test_denial_costs_no_message_and_is_no_quota(relay, opened, stored, patterns, text):     # R27
    result = opened(port=relay(RCPT=text).port, pause_patterns=patterns).send(ENVELOPE, stored(),
                                                                              soon(), 1)
    assert (result.outcome, result.code) == ("relay", int(text[:3]))
    assert not speaks_of(result.text, PAUSE_PATTERNS)


@pytest.mark.parametrize("text", [
    b"552 5.2.2 The email account that you tried to reach is over quota",
    b"452 4.2.2 Mailbox full: quota exceeded for user",
    (b"450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents "
    b"delivery"),
    b"550 5.7.1 Message rejected as spam", b"552 5.3.4 Message size exceeds fixed limit",
    b"452 4.5.3 Error: too many recipients", b"554 5.7.1 Service unavailable; client host blocked",
])
def test_one_recipients_refusal_never_pauses_the_relay(relay, opened, stored, text):     # R27
    result = opened(port=relay(RCPT=text).port).send(ENVELOPE, stored(), soon(), 1)
    assert result.outcome == ("final" if text.startswith(b"5") else "retry")


def test_the_operators_own_patterns_replace_the_defaults(relay, opened, stored):     # R27
    def outcome(reply, patterns):
        port = relay(RCPT=reply).port
        return opened(port=port, pause_patterns=patterns).send(ENVELOPE, stored(), soon(),
                                                               1).outcome
    assert outcome(b"550 Hour Limit Reached", ["hour limit"]) == "relay"
    assert outcome(b"550 max emails per hour", ["hour limit"]) == "final"
    assert outcome(b"550 max emails per hour", []) == "final"
    assert all(pattern == pattern.lower() for pattern in PAUSE_PATTERNS + DENIED_PATTERNS)


@pytest.mark.parametrize("phase, answer", [
    ("greeting", b"554 5.7.1 go away"), ("greeting", b"421 4.3.2 busy"), ("greeting", DROP),
    ("EHLO", DROP),
    ("greeting", b"garbage"), ("MAIL", Bye(b"421 4.3.2 busy")),
])
def test_a_relay_that_sends_us_away_costs_no_message(relay, opened, stored, phase, answer):
    assert opened(port=relay(**{phase: answer}).port).send(ENVELOPE, stored(), soon(),
                                                           1).outcome == "relay"


def test_a_relay_that_is_not_there_says_where(opened, stored):
    from tests.servers.ports import free_port
    port = free_port()
    result = opened(port=port).send(ENVELOPE, stored(), soon(), 1)
    assert result == ("relay", None, "", f"127.0.0.1:{port}: Connection refused")


def test_the_stored_text_is_printable_and_short(relay, opened, stored):     # R27
    reply = (b"550-5.1.1 one\x1b[31m \xe2\x80\xae two\r\n550-5.1.1 three \xff\r\n550 5.1.1 "
             + b"x" * 2000)
    result = opened(port=relay(RCPT=reply).port).send(ENVELOPE, stored(), soon(), 1)
    assert (result.code, result.enhanced) == (550, "5.1.1")
    assert result.text.startswith("one?[31m ? two three \ufffd xxx")
    assert len(result.text) == 512
    assert result.text.isprintable()


@pytest.mark.parametrize("reply, enhanced, text", [
    (b"550", "", "(no text)"), (b"550 ", "", "(no text)"), (b"550 5.1.1", "5.1.1", "(no text)"),
    (b"550 5.1.10 x", "5.1.10", "x"), (b"550 5.1.1234 x", "", "5.1.1234 x"), (b"550 no", "", "no"),
    (b"550-no\r\n550 way", "", "no way"),
])
def test_the_enhanced_code_is_kept_apart(relay, opened, stored, reply, enhanced, text):     # R27
    result = opened(port=relay(RCPT=reply).port).send(ENVELOPE, stored(), soon(), 1)
    assert result == ("final", 550, enhanced, text)


@pytest.mark.parametrize("phase, reply", [("MAIL", b"354 what"), ("RCPT", b"350 what"),
                                          ("DATA", b"250 what"), ("DATA", b"300 what"),
                                          ("dot", b"354 go on")])
# R28
def test_an_answer_that_is_neither_yes_nor_no_ends_the_connection(relay, opened, stored, phase,
                                                                  reply):
    server = relay(**{phase: [reply]})
    transport = opened(port=server.port)
    assert transport.send(ENVELOPE, stored(), soon(), 1).outcome in ("retry", "uncertain")
    assert transport.session is None
    assert transport.send(ENVELOPE, stored(), soon(), 2).outcome == "sent"
