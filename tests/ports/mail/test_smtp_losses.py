"""A lost connection: before the content it costs nothing, after the final dot nobody knows."""
import errno
import socket

import pytest

from tests.servers.misbehaving import DROP, HANG, RESET, Bye, Drip
from tests.support.mail import CONTENT, ENVELOPE, short, soon

pytestmark = pytest.mark.slow       # waits for time limits

BREAKS = [DROP, RESET, Bye(b"25"), b"what?"]
BOTH = pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelining", "plain"])


@BOTH
@pytest.mark.parametrize("answer", [HANG, *BREAKS])
@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
def test_lost_before_the_content_on_a_new_connection_costs_no_attempt(       # R29
        relay, send, extensions, phase, answer):
    server = relay(extensions, **{phase: answer})
    limits = short(phase.lower()) if answer == HANG else None
    assert send(server, limits=limits).outcome == "lost"
    assert (len(server.received), server.accepted) == (1, [])


@BOTH
@pytest.mark.parametrize("phase, answer", [
    *((phase, answer) for phase in ("MAIL", "RCPT", "DATA") for answer in (HANG, *BREAKS)),
    ("MAIL", Bye(b"421 4.4.2 idle")),          # to RCPT and DATA it is an answer to the message
    ("MAIL", b"451 4.7.0 too many messages in this session")])
def test_a_dead_connection_is_opened_again(relay, send, extensions, phase, answer):  # R29
    server = relay(extensions, **{phase: [b"", answer]})
    limits = short(phase.lower()) if answer == HANG else None
    assert [send(server, limits=limits).outcome for _ in range(2)] == ["sent", "sent"]
    assert len(server.received) == 2
    assert [content for _, _, content in server.accepted] == [CONTENT, CONTENT]


def test_a_goodbye_shortly_before_our_end_or_when_idle_is_not_the_relays_failure(relay, send):
    server = relay(MAIL=[b"", Bye(b"421 4.7.0 too many messages on this connection")])    # R29
    assert [send(server, until=soon(9)).outcome for _ in range(3)] == ["sent", "lost", "sent"]
    server = relay()
    send(server)
    server.open[0].sendall(b"421 4.4.2 timeout exceeded\r\n")
    server.open[0].shutdown(socket.SHUT_RDWR)
    assert send(server).outcome == "sent"
    assert server.commands().count("MAIL") == 2


@pytest.mark.parametrize("answer", [HANG, Drip(b"250 2.0.0 Ok\r\n", 0.2), *BREAKS])
def test_lost_after_the_final_dot_is_uncertain(relay, send, answer):     # R29
    server = relay(dot=[answer])
    limits = None if answer in BREAKS else short("dot")
    assert [send(server, limits=limits).outcome for _ in range(2)] == ["uncertain", "sent"]
    assert len(server.contents) == 2           # not sent again by itself


def test_without_a_file_handle_nothing_is_the_relays_failure(opened, stored, monkeypatch):     # R29
    def connect(*_):
        raise OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr(socket.socket, "connect", connect)
    assert opened(port=1).send(ENVELOPE, stored(), soon(), 1) == (
        "given back", None, "", "this host has no file handle or memory left (Too many open files)")


@pytest.mark.parametrize("answer, outcome, code", [
    (DROP, "retry", None), (RESET, "retry", None), (Bye(b"552 5.3.4 too big"), "final", 552),
    (Bye(b"451 4.3.0 disk full"), "retry", 451), (Bye(b"250 2.0.0 Ok"), "retry", 250),
    (Bye(b"421 4.3.2 bye"), "retry", 421)])
def test_lost_while_sending_the_content_is_a_failed_attempt_and_an_answer_counts(    # R27
        relay, send, stored, answer, outcome, code):
    server = relay(content=answer, linger=True)
    result = send(server, message=stored(b"x" * 78 + b"\r\n" * 8_000_000))
    assert (result.outcome, result.code) == (outcome, code)
    assert server.accepted == []
