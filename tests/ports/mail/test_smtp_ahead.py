"""Commands that are sent ahead, behind the content of the message before (RFC 2920 3.1): nothing is
delivered that is not sent in its turn, and no answer is taken for another message's."""
from __future__ import annotations

import select
import socket
import time

import pytest

from jobs_lib.ports.mail import smtp
from jobs_lib.ports.mail.message import IN_MEMORY, Envelope, Message
from tests.servers import misbehaving
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
    return [(Envelope(sender, f"{name}@home.example"),
             Message(IN_MEMORY, CONTENT + name.encode() + b"\r\n")) for name in names]


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
            self.behind.append([line.split(b":")[0] for line in behind.split(b"\r\n")[:-1]])
        return super().answer(phase)


AHEAD = [b"MAIL FROM", b"RCPT TO", b"DATA"]


def test_the_next_commands_are_there_before_the_relay_answers(opened):
    with Watching() as server:
        assert send(opened(port=server.port), to("a", "b", "c")) == ["sent"] * 3
    assert server.behind == [AHEAD, AHEAD, []]
    assert taken(server) == ["a", "b", "c"]
    assert len(server.received) == 1


def test_a_relay_without_pipelining_gets_nothing_ahead(opened):
    with Watching(("8BITMIME",)) as server:
        assert send(opened(port=server.port), to("a", "b")) == ["sent"] * 2
    assert server.behind == [[], []]


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


@pytest.mark.parametrize("answers, outcome, accepted, connections", [
    ({"MAIL": [b"", b"550 5.7.1 no"]}, "sent", ["a", "b", "c"], 2),
    ({"dot": [b"451 4.3.0 later"]}, "retry", ["b", "c"], 1),
    ({"dot": [b"554 5.7.1 spam"]}, "final", ["b", "c"], 1),
    ({"dot": [Bye(b"421 4.3.2 closing")]}, "retry", ["b", "c"], 2),
    ({"dot": [Extra(b"550 5.0.0 and another thing\r\n")]}, "sent", ["a", "b", "c"], 2),
    ({"dot": [Extra(b"250 and again\r\n")]}, "sent", ["a", "b", "c"], 2),
], ids=["MAIL refused", "content later", "content refused", "goodbye", "a no too many",
        "a yes too many"])
# R28
def test_what_one_message_meets_is_no_matter_to_the_next(relay, opened, answers, outcome, accepted,
                                                         connections):
    server = relay(**answers)
    assert send(opened(port=server.port), to("a", "b", "c")) == [outcome, "sent", "sent"]
    assert taken(server) == accepted
    assert len(server.received) == connections


@pytest.mark.slow
@pytest.mark.parametrize("answer", [HANG, *BREAKS])
# R29
def test_a_relay_that_breaks_by_it_gets_the_rest_the_plain_way(opened, answer):
    with Watching(RCPT=[b"", answer]) as server:
        transport = opened(port=server.port, limits=short("rcpt", "again"))
        assert send(transport, to("a", "b", "c")) == ["sent"] * 3
    assert taken(server) == ["a", "b", "c"]
    assert server.behind == [AHEAD, [], []]


@pytest.mark.parametrize("eager", [False, True])
def test_what_is_not_sent_in_its_turn_gets_nothing(relay, opened, eager):
    server = relay(eager=eager)
    transport = opened(port=server.port)
    first, unwanted, third = to("a", "b", "c")
    assert transport.send(*first, soon(), 1, lambda: unwanted).outcome == "sent"
    assert transport.send(*third, soon(), 3).outcome == "sent"
    assert taken(server) == ["a", "c"]
    assert [len(raw) > 3 for raw in server.contents] == [True, True]        # no lone dot
    assert bytes(server.received[0]).endswith(b"RCPT TO:<b@home.example>\r\nDATA\r\n")


# R29
def test_a_relay_that_does_not_wait_costs_no_attempt(relay, opened):
    server = relay(DATA=[b"", Bye(b"354 go on\r\n421 4.4.2 timeout")])
    transport = opened(port=server.port)
    first, second = to("a", "b")
    assert transport.send(*first, soon(), 1, lambda: second).outcome == "sent"
    time.sleep(0.1)
    assert transport.send(*second, soon(), 2).outcome == "sent"
    assert taken(server) == ["a", "b"]


@pytest.mark.slow
def test_a_real_relay_takes_refuses_and_forgets(opened):
    gone, grey = "gone@home.example", "grey@home.example"
    with Postfix(size=20_000, refuse=[gone], later=[grey]) as postfix, \
            Far(postfix.port, 0.02) as far:
        transport = opened(port=far.port)
        mails = to("a", "gone", "b", "grey", "c", "d")
        assert send(transport, mails) == ["sent", "final", "sent", "retry", "sent", "sent"]
        first, unwanted = to("e", "never")
        assert transport.send(*first, soon(), 1, lambda: unwanted).outcome == "sent"
        assert transport.send(*to("f")[0], soon(), 2).outcome == "sent"
        found = postfix.delivered(6)
        assert sorted(found) == [f"{name}@home.example" for name in "abcdef"]
        assert "improper command pipelining" not in postfix.log()
