"""One message after another over one connection, each content exactly as it was stored."""
from __future__ import annotations

from tests.ports.conftest import CONTENT, ENVELOPE, soon


def test_a_message_arrives_with_its_envelope_and_the_relays_answer_is_kept(sink, opened, stored):     # R27
    result = opened(port=sink.port).send(ENVELOPE, stored(head=b"X-Trace: 1\r\n"), soon(), "forward-1")
    assert result == ("sent", 250, "2.0.0", "Ok")
    [(sender, recipients, content)] = sink.messages()
    assert (sender, recipients) == (ENVELOPE.sender, [ENVELOPE.recipient])
    assert content.endswith((b"X-Trace: 1\r\n" + CONTENT).replace(b"\r\n", b"\n") + b"\n")
