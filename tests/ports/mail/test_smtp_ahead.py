"""Commands that are sent ahead, behind the content of the message before (RFC 2920 3.1): the relay
answers them early, and nothing is delivered that is not sent in its turn."""
from __future__ import annotations

import select
import socket
import time

import pytest

from jobs_lib.ports.mail import content, smtp, smtp_session
from jobs_lib.ports.mail.message import IN_MEMORY, Envelope, Message
from tests.servers import misbehaving
from tests.servers.aiosmtpd_server import TlsRelay
from tests.servers.certificates import Authority
from tests.servers.far import Far
from tests.servers.misbehaving import DROP, HANG, RESET, Bye, Extra
from tests.servers.postfix import Postfix
from tests.support.mail import CONTENT, short, soon

SENDER = "bounces@service.example"
BREAKS = [DROP, RESET, Bye(b"25"), b"what?"]


@pytest.fixture(autouse=True)
def any_relay_is_far(monkeypatch):
    monkeypatch.setattr(smtp, "FAR", 0.0)


def to(*names: str, sender: str = SENDER) -> list:
    """(envelope, message) for each recipient, each message another one."""
    return [(Envelope(sender, f"{name}@home.example"), Message(IN_MEMORY, CONTENT + name.encode()
                                                               + b"\r\n")) for name in names]


def send(transport, mails: list) -> list:
    """Send each, with the next one to follow; the outcomes."""
    outcomes = []
    for number, (envelope, message) in enumerate(mails):
        rest = mails[number + 1:]
        following = (lambda rest=rest: rest[0]) if rest else None
        outcomes.append(transport.send(envelope, message, soon(), number, following).outcome)
    return outcomes


def taken(server) -> list:
    """The recipients of what was accepted, each with its own content and no other."""
    for _, recipients, raw in server.accepted:
        name = recipients[0].partition(b"@")[0]
        assert raw == CONTENT + name + b"\r\n"
    return [recipients[0].partition(b"@")[0].decode() for _, recipients, _ in server.accepted]


class Watching(misbehaving.Relay):
    """Before it answers a final dot it looks what came behind it."""

    def __init__(self, *args, **answers) -> None:
        super().__init__(*args, **answers)
        self.behind: list = []

    def answer(self, phase: str):
        if phase == "dot":
            connection = self.open[-1]
            select.select([connection], [], [], 0.3)
            connection.setblocking(False)
            try:
                more = connection.recv(65536, socket.MSG_PEEK)
            except BlockingIOError:
                more = b""
            finally:
                connection.setblocking(True)
            behind = (self.reads[-1] + more).rpartition(b"\r\n.\r\n")[2]
            self.behind.append(behind.split(b"\r\n")[:-1])
        return super().answer(phase)


GROUP = [b"MAIL FROM:<bounces@service.example> SIZE=%d", b"RCPT TO:<%s@home.example>", b"DATA"]


def group(name: bytes) -> list:
    return [GROUP[0] % (len(CONTENT) + len(name) + 2), GROUP[1] % name, GROUP[2]]


def test_the_next_commands_are_there_before_the_relay_answers(opened):
    with Watching() as server:
        assert send(opened(port=server.port), to("a", "b", "c")) == ["sent"] * 3
    assert server.behind == [group(b"b"), group(b"c"), []]
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 1


@pytest.mark.parametrize("case", ["no pipelining", "near", "large", "cannot be taken", "nothing",
                                  "is missing", "no address"])
def test_they_are_sent_ahead_only_where_that_helps(opened, monkeypatch, tmp_path, case):
    first, second = to("a", "b")
    if case == "near":
        monkeypatch.setattr(smtp, "FAR", 10.0)
    elif case == "large":
        monkeypatch.setattr(content, "SMALL", 50)
        path = tmp_path / "large"
        path.write_bytes(CONTENT)
        second = (second[0], Message(str(path), b""))
    elif case == "cannot be taken":
        second = (second[0], Message(IN_MEMORY, b"\xff\r\n"))
    elif case == "nothing":
        second = None
    elif case == "is missing":
        second = (second[0], Message(str(tmp_path / "missing"), b""))
    elif case == "no address":
        second = (Envelope(SENDER, "no address"), second[1])
    offered = ("8BITMIME",) if case == "no pipelining" else ("PIPELINING",)
    with Watching(offered) as server:
        transport = opened(port=server.port)
        assert transport.send(*first, soon(), 1, lambda: second).outcome == "sent"
    assert server.behind == [[]]


@pytest.mark.parametrize("latency, asked", [(0.02, True), (0.0, False)])
def test_the_latency_is_that_of_ehlo(relay, opened, monkeypatch, latency, asked):
    monkeypatch.setattr(smtp, "FAR", 0.015)
    calls = []
    transport = opened(port=relay(latency=latency).port)
    for envelope, message in to("a", "b"):
        transport.send(envelope, message, soon(), 1, lambda: calls.append(1))
    if not asked and transport.session.latency >= smtp.FAR:
        pytest.skip("this machine takes as long for a round trip to itself")
    assert bool(calls) is asked


def test_the_next_message_declares_what_it_is(relay, opened):
    server = relay()
    mails = [*to("a"), (Envelope("jürgen@b.example", "b@home.example"),
                        Message(IN_MEMORY, b"\xff\r\n" * 30)), *to("c")]
    assert send(opened(port=server.port), mails) == ["sent"] * 3
    assert ("MAIL FROM:<jürgen@b.example> SIZE=90 BODY=8BITMIME SMTPUTF8\r\n".encode()
            in bytes(server.received[0]))
    assert len(server.received) == 1


@pytest.mark.parametrize("phase", ["RCPT", "DATA"])
@pytest.mark.parametrize("reply, outcome", [(b"451 4.7.1 later", "retry"),
                                            (b"550 5.1.1 no", "final")])
# R28
def test_a_refusal_is_the_next_ones_result_and_asked_for_once(relay, opened, phase, reply, outcome):
    server = relay(**{phase: [b"", reply]})
    mails = to("a", "b", "c", "d")
    assert send(opened(port=server.port), mails) == ["sent", outcome, "sent", "sent"]
    assert taken(server) == ["a", "c", "d"]
    [received] = server.received
    assert received.count(b"RCPT TO:") == 4
    assert received.count(b"RSET\r\n") == 1


@pytest.mark.parametrize("sender", [SENDER, ""])
@pytest.mark.parametrize("reply", [b"451 4.3.0 later", b"550 5.7.1 no", b"503 5.5.1 nested"])
# R28
def test_a_refused_mail_is_asked_again_on_a_new_connection(relay, opened, sender, reply):
    server = relay(MAIL=[b"", reply])
    assert send(opened(port=server.port), to("a", "b", "c", sender=sender)) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 2


@pytest.mark.parametrize("reply, outcome", [(b"451 4.3.0 later", "retry"),
                                            (b"554 5.7.1 spam", "final")])
# R28
def test_a_refused_content_is_no_matter_to_the_next(relay, opened, reply, outcome):
    server = relay(dot=[reply])
    assert send(opened(port=server.port), to("a", "b", "c")) == [outcome, "sent", "sent"]
    assert taken(server) == ["b", "c"]
    assert len(server.received) == 1
    assert "RSET" not in server.commands()


@pytest.mark.parametrize("answer", [b"421 4.3.2 closing", Bye(b"421 4.3.2 closing"), b"354 what"])
# R28
def test_a_goodbye_to_the_content_ends_what_was_sent_ahead(relay, opened, answer):
    server = relay(dot=[answer])
    outcome = "uncertain" if answer == b"354 what" else "retry"
    assert send(opened(port=server.port), to("a", "b", "c")) == [outcome, "sent", "sent"]
    assert taken(server)[-2:] == ["b", "c"]
    assert len(server.contents) == 3
    assert len(server.received) == 2


@pytest.mark.slow
@pytest.mark.parametrize("answer", [HANG, *BREAKS])
@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
# R29
def test_a_relay_that_breaks_by_it_gets_the_rest_the_plain_way(opened, phase, answer):
    with Watching(**{phase: [b"", answer]}) as server:
        transport = opened(port=server.port, limits=short(phase.lower(), "again"))
        assert send(transport, to("a", "b", "c")) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 2
    assert server.behind == [group(b"b"), [], []]


@pytest.mark.parametrize("answer", [Bye(b"421 4.7.0 too many messages on this connection")])
# R39
def test_one_that_only_ends_the_connection_is_sent_commands_ahead_again(opened, answer):
    with Watching(MAIL=[b"", answer]) as server:
        assert send(opened(port=server.port), to("a", "b", "c")) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert server.behind == [group(b"b"), group(b"c"), []]


@pytest.mark.slow
def test_a_relay_that_loses_them_is_asked_again(relay, opened):       # R29
    server = relay(forgetful=True)
    transport = opened(port=server.port, limits=short("mail", "again"))
    assert send(transport, to("a", "b", "c")) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 2
    assert not transport.sends_ahead


@pytest.mark.parametrize("sender", [SENDER, ""])
@pytest.mark.parametrize("more", [b"550 5.0.0 and another thing\r\n", b"250 and again\r\n",
                                  b"451 no\r\n250 yes\r\n", b"250 yes\r\n550 no\r\n",
                                  b"421 bye\r\n"])
# R28
def test_an_answer_too_many_is_never_taken_for_the_next_messages(relay, opened, more, sender):
    server = relay(dot=[Extra(more)])
    assert send(opened(port=server.port), to("a", "b", "c", sender=sender)) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 2


@pytest.mark.parametrize("answer", [DROP, RESET])
# R29
def test_lost_after_the_final_dot_is_uncertain_and_the_next_goes_on(relay, opened, answer):
    server = relay(dot=[answer])
    assert send(opened(port=server.port), to("a", "b")) == ["uncertain", "sent"]
    assert len(server.contents) == 2


class Suspicious(Watching):
    """Hangs up where anything comes behind a final dot."""

    def answer(self, phase: str):
        answer = super().answer(phase)
        return DROP if phase == "dot" and self.behind[-1] else answer


# R29
def test_a_relay_that_hangs_up_on_them_does_so_once(opened):
    with Suspicious() as server:
        assert send(opened(port=server.port), to("a", "b", "c")) == ["uncertain", "sent", "sent"]
    assert taken(server) == ["b", "c"]


@pytest.mark.parametrize("eager", [False, True])
def test_what_is_not_sent_in_its_turn_gets_nothing(relay, opened, eager):
    server = relay(eager=eager)
    transport = opened(port=server.port)
    first, unwanted, third = to("a", "b", "c")
    assert transport.send(*first, soon(), 1, lambda: unwanted).outcome == "sent"
    assert transport.send(*third, soon(), 3).outcome == "sent"
    assert taken(server) == ["a", "c"]
    assert [len(raw) > 3 for raw in server.contents] == [True, True]        # no lone dot
    assert len(server.received) == 2
    assert bytes(server.received[0]).endswith(b"RCPT TO:<b@home.example>\r\nDATA\r\n")


def test_a_message_that_has_changed_meanwhile_is_announced_again(relay, opened, stored):
    server = relay()
    transport = opened(port=server.port)
    envelope = Envelope(SENDER, "b@home.example")
    assert transport.send(*to("a")[0], soon(), 1, lambda: (envelope, stored())).outcome == "sent"
    assert transport.send(envelope, stored(CONTENT + b"more\r\n"), soon(), 2).outcome == "sent"
    assert b"SIZE=%d" % (len(CONTENT) + 6) in server.received[1]


def test_at_the_end_it_is_hung_up_on(relay, opened):
    server = relay()
    transport = opened(port=server.port)
    first, unwanted = to("a", "b")
    transport.send(*first, soon(), 1, lambda: unwanted)
    transport.close()
    assert transport.session is None
    time.sleep(0.1)
    assert taken(server) == ["a"]
    assert len(server.contents) == 1
    assert "QUIT" not in server.commands()


@pytest.mark.parametrize("farewell", [b"354 go on\r\n421 4.4.2 timeout", b"354 go on"])
# R29
def test_a_relay_that_does_not_wait_costs_no_attempt(relay, opened, farewell):
    server = relay(DATA=[b"", Bye(farewell)])
    transport = opened(port=server.port)
    first, second = to("a", "b")
    assert transport.send(*first, soon(), 1, lambda: second).outcome == "sent"
    time.sleep(0.1)
    assert transport.send(*second, soon(), 2).outcome == "sent"
    assert taken(server) == ["a", "b"]
    assert len(server.received) == 2


# R29
def test_after_a_long_wait_a_new_connection_is_made(relay, opened, monkeypatch):
    server = relay()
    transport = opened(port=server.port)
    first, second = to("a", "b")
    assert transport.send(*first, soon(), 1, lambda: second).outcome == "sent"
    monkeypatch.setattr(smtp_session, "LONGEST_AHEAD", 0.0)
    assert transport.send(*second, soon(), 2).outcome == "sent"
    assert taken(server) == ["a", "b"]
    assert len(server.received) == 2


def timed(transport, mails: list) -> list:
    """The seconds that each took but the last, which nothing follows."""
    times = []
    for number, (envelope, message) in enumerate(mails[:-1]):
        began = time.monotonic()
        expected = mails[number + 1]
        result = transport.send(envelope, message, soon(), number, lambda each=expected: each)
        times.append(time.monotonic() - began)
        assert result.outcome == "sent"
    return times


def test_a_relay_far_away_takes_one_trip_a_message(relay, opened, monkeypatch):
    monkeypatch.undo()                                  # by the real threshold
    server, latency = relay(), 0.05
    with Far(server.port, latency) as far:
        times = timed(opened(port=far.port), to(*(f"n{each}" for each in range(20))))
    assert latency <= min(times) < 1.5 * latency          # of a busy machine the quickest


class Holding(misbehaving.Relay):
    """Its system holds back a reply until the one before is acknowledged (Nagle)."""

    def answer(self, phase: str):
        if phase == "dot":
            self.open[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        elif phase == "RCPT":
            time.sleep(0.001)
        return super().answer(phase)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can be told")
def test_a_reply_is_acknowledged_while_others_are_on_their_way(opened):
    with Holding() as server:
        times = timed(opened(port=server.port), to(*(f"n{each}" for each in range(20))))
    assert min(times[1:]) < 0.030               # the system's own delay is 40 ms and more


class Offers:
    """Makes aiosmtpd offer PIPELINING, which it can do."""

    def __init__(self, mailbox) -> None:
        self.handle_DATA = mailbox.handle_DATA

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_works_behind_tls_and_a_login(opened, tmp_path, security):     # R34
    authority = Authority(tmp_path)
    server = TlsRelay(authority.context("127.0.0.1"), security, ("us", "pass"))
    server.handler = Offers(server.mailbox)
    asked = []
    with server:
        transport = opened(port=server.port, security=security, ca_file=authority.ca_file,
                           username="us", password="pass")
        mails = to("a", "b", "c")
        assert send(transport, mails) == ["sent"] * 3
        first, unwanted = to("d", "e")
        transport.send(*first, soon(), 1, lambda: asked.append(1) or unwanted)
        transport.close()
    assert asked == [1]
    assert [recipients for _, _, _, recipients, _ in server.mailbox.messages] == [
        [f"{name}@home.example"] for name in "abcd"]
    assert [raw for *_, raw in server.mailbox.messages] == [
        CONTENT + name + b"\r\n" for name in (b"a", b"b", b"c", b"d")]


@pytest.mark.slow
def test_a_real_relay_takes_refuses_and_forgets(opened):
    size, gone = 20_000, "gone@home.example"
    with Postfix(size=size, refuse=[gone], later=["grey@home.example"]) as postfix, \
            Far(postfix.port, 0.02) as far:
        transport = opened(port=far.port)
        mails = to("a", "gone", "b", "grey", "c", "d")
        assert send(transport, mails) == ["sent", "final", "sent", "retry", "sent", "sent"]
        first, unwanted = to("e", "never")
        assert transport.send(*first, soon(), 1, lambda: unwanted).outcome == "sent"
        assert transport.session.sent_ahead
        assert transport.send(*to("f")[0], soon(), 2).outcome == "sent"
        found = postfix.delivered(6)
        assert sorted(found) == [f"{name}@home.example" for name in "abcdef"]
        assert "never@home.example" not in str(found)
        assert "improper command pipelining" not in postfix.log()
