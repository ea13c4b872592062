"""What a relay's answer means for a message, and that it means nothing for the next one."""
import pytest

from tests.servers.misbehaving import DROP, HANG, RESET, Bye, Drip, Extra
from tests.support.mail import CONTENT, ENVELOPE, short, soon
from tests.support.product import PAUSE_PATTERNS, Envelope, speaks_of

PLAIN = ("SIZE 0", "8BITMIME")          # what a relay without PIPELINING offers
BOTH = pytest.mark.parametrize("extensions", [("PIPELINING", *PLAIN), PLAIN],
                               ids=["pipelining", "plain"])
NEXT = Envelope("bounces@service.example", "next@home.example")
# whose sender cannot be what MAIL is refused for
NOTICE = Envelope("", "owner@home.example")


@BOTH
@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("reply, outcome", [
    (b"450 4.2.1 busy", "retry"), (b"451 4.3.0 later", "retry"), (b"452 4.2.2 full", "retry"),
    (b"550 5.1.1 no such user", "final"), (b"552 5.2.2 quota exceeded", "final"),
    (b"554 5.7.1 spam", "final"), (b"300 what", "retry")])    # R27
def test_a_refusal_is_for_now_or_for_good(relay, send, extensions, phase, reply, outcome):
    if reply.startswith(b"3") and phase == "dot":
        outcome = "uncertain"
    result = send(relay(extensions, **{phase: reply}), NOTICE)
    assert (result.outcome, result.code) == (outcome, int(reply[:3]))


TO_SENDERS = {
    **dict.fromkeys((
        "553 5.7.1 <x>: Sender address rejected: not owned by user", "550 5.1.8 no such domain",
        "550 no", "451 4.1.8 Domain does not resolve", "501 5.1.8 Domain must exist"), "at MAIL"),
    # these are about the message
    **dict.fromkeys((
        "552 too big", "552 5.3.4 too big", "554 5.3.4 too big", "550 5.2.3 too big",
        "555 5.5.4 unsupported option: SMTPUTF8", "501 5.5.4 BODY", "501 no",
        "501 5.1.7 bad syntax", "500 line too long", "553 5.6.7 no SMTPUTF8"), "final"),
    **dict.fromkeys(("452 insufficient storage", "451 4.3.1 disk full"), "retry")}


@BOTH
@pytest.mark.parametrize("reply", TO_SENDERS)
def test_a_refused_sender_is_the_relays_failure(relay, send, extensions, reply):      # R27
    sender = "SRS0=abcd=AB=a.example=joe@service.example"
    result = send(relay(extensions, MAIL=reply.encode()), ENVELOPE._replace(sender=sender))
    assert (result.outcome, result.code) == (TO_SENDERS[reply], int(reply[:3]))
    told = f"the relay refuses our sender <S***@service.example>: {reply}"
    assert (result.text == told) == (result.outcome == "at MAIL")


@BOTH
@pytest.mark.parametrize("eager", [False, True], ids=["", "eager"])
@pytest.mark.parametrize("phase, answer, outcome", [
    ("MAIL", b"451 4.3.0 later", "retry"), ("MAIL", b"550 5.7.1 no", "final"),
    *((phase, answer, outcome) for phase in ("RCPT", "DATA", "dot") for answer, outcome in (
        (b"451 4.3.0 later", "retry"), (b"550 5.7.1 no", "final"),
        (Bye(b"421 4.7.0 closing"), "retry"), (b"421 4.7.0 not really closing", "retry"))),
    # neither yes nor no
    ("DATA", b"250 what", "retry"), ("dot", b"354 on", "uncertain"),
    # nobody asked for the second one
    ("dot", Extra(b"550 5.0.0 and another thing\r\n"), "sent")])    # R28
def test_a_refusal_never_changes_the_next_messages_outcome(relay, send, extensions, eager, phase,
                                                           answer, outcome):
    server = relay(extensions, eager=eager, **{phase: [b"", answer]})
    first = NOTICE if phase == "MAIL" else ENVELOPE
    assert [send(server, to).outcome for to in (first, first, NEXT)] == ["sent", outcome, "sent"]
    assert server.accepted[-1][1:] == ([b"next@home.example"], CONTENT)
    taken = outcome in ("sent", "uncertain")        # with a 354 to its dot the relay has it, too
    assert [each[2] for each in server.accepted] == [CONTENT] * (2 + taken)


@pytest.mark.parametrize("answer", [DROP, RESET, HANG, b"500 what", b"garbage",
                                    Drip(b"221 bye\r\n", 0.3)])
def test_a_failing_quit_changes_nothing(relay, opened, stored, answer):     # R28
    transport = opened(port=relay(QUIT=answer).port, limits=short("quit"))
    assert transport.send(ENVELOPE, stored(), soon(), 1).outcome == "sent"
    transport.close()                           # and once more at the end


QUOTAS = (b"550 5.4.5 Daily user sending limit exceeded.",
          b"454 Throttling failure: Maximum sending rate exceeded.",
          b"421 Domain mg.example.org is not allowed to send: recipient limit exceeded",
          b"450 4.7.1 Error: too much mail from 192.0.2.1",
          b"550 Domain example.org has exceeded the max emails per hour (125/100 (125%)) allowed. ",
          b"550 Domain x has exceeded the max defers and failures per hour (5/5 (100%)) allowed.",
          b"530 5.7.0 Must issue a STARTTLS command first",
          b"535 5.7.8 Authentication credentials invalid")
DENIALS = (b"554 5.7.1 <a@b.example>: Relay access denied", b"550 relay not permitted",
           b"550 5.7.1 Relaying denied",
           b"550 Domain x has an outgoing mail suspension. Message discarded.",
           b"554 Message rejected: Sending paused for this account.",
           b"421 Domain mg.example.org is not allowed to send: Please activate your account")
OF_DESTINATIONS = (
    b"552 5.2.2 The email account that you tried to reach is over quota",
    b"452 4.2.2 Mailbox full: quota exceeded for user",
    b"450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents it",
    b"550 5.7.1 Message rejected as spam", b"552 5.3.4 Message size exceeds fixed limit",
    b"452 4.5.3 Error: too many recipients", b"554 5.7.1 Service unavailable; client host blocked",
    b"550 5.7.1 host mx.home.example said: 550 Relay access denied", b"535 5.7.8 not signed in",
    b"450 4.7.1 Error: too much mail from 192.0.2.1")


@pytest.mark.parametrize("phase, answer, patterns", [
    *(("MAIL", text, PAUSE_PATTERNS) for text in (*QUOTAS, *DENIALS)),
    *(("MAIL", text, []) for text in DENIALS), ("MAIL", b"550 Hour Limit Reached", ["hour limit"]),
    *((*each, []) for each in (
        ("greeting", b"554 5.7.1 go away"), ("greeting", b"421 4.3.2 busy"), ("greeting", DROP),
        ("EHLO", DROP), ("greeting", b"garbage"), ("MAIL", Bye(b"421 4.3.2 busy"))))])
def test_what_a_relay_says_of_us_costs_no_message(relay, send, phase, answer, patterns):   # R27 R29
    """And to be denied is no quota, whatever the operator's patterns are."""
    result = send(relay(**{phase: answer}), NOTICE, pause_patterns=patterns)
    assert result.outcome == ("at MAIL" if phase == "MAIL" else "relay")
    assert not (answer in DENIALS and speaks_of(result.text, PAUSE_PATTERNS))


@pytest.mark.parametrize("phase, text, patterns", [
    *((phase, text, PAUSE_PATTERNS) for text in OF_DESTINATIONS
      for phase in ("RCPT", "DATA", "dot")),
    *(("MAIL", b"550 max emails per hour", patterns) for patterns in (["hour limit"], []))])  # R27
def test_no_destinations_answer_pauses_the_relay(relay, send, phase, text, patterns):
    result = send(relay(**{phase: text}), NOTICE, pause_patterns=patterns)
    assert result.outcome == ("final" if text.startswith(b"5") else "retry")


def test_the_stored_text_is_printable_and_short(relay, send):     # R27
    reply = (b"550-5.1.1 one\x1b[31m \xe2\x80\xae two\r\n550-5.1.1 three \xff\r\n550 5.1.1 "
             + b"x" * 2000)
    result = send(relay(RCPT=reply))
    assert (result.code, result.enhanced) == (550, "5.1.1")
    assert result.text.startswith("one?[31m ? two three \ufffd xxx")
    assert len(result.text) == 512
    assert result.text.isprintable()
