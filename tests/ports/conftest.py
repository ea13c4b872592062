"""What the tests of the mail port share: stored messages, private relays, transports."""
import contextlib

import pytest

from tests.servers.certificates import Authority
from tests.servers.misbehaving import Relay
from tests.servers.smtp_sink import Sink
from tests.support.mail import CONTENT, ENVELOPE, section, soon
from tests.support.product import Message, Ports


@pytest.fixture
def stored(tmp_path):
    """Makes a stored message: `stored(b"...", head=b"...", name="m1")`."""
    def store(content=CONTENT, head=b"", name="m1"):
        path = tmp_path / name
        path.write_bytes(content)
        return Message(str(path), head)
    return store


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority that nobody knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def sink():
    """A private smtp-sink that keeps what it takes."""
    with Sink() as server:
        yield server


@pytest.fixture
def relay():
    """Makes scripted relays: `relay(RCPT=b"550 5.1.1 no")`."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **answers: stack.enter_context(Relay(*args, **answers))


@pytest.fixture
def opened():
    """Opens transports that are closed at the end: `opened(limits=..., port=...)`."""
    with contextlib.ExitStack() as stack:
        def open_(limits=None, **changes):
            transport = Ports(None).mail(section(**changes))
            if limits is not None:
                transport.session.limits = limits
            stack.callback(transport.close)
            return transport
        yield open_


@pytest.fixture
def send(opened, stored):
    """The result of a message to a server: `send(server, NOTICE, stored(b"..."), until=soon(9))`.
    Each server has one transport, which the first call opens, with what else it is given."""
    transports = {}

    def send_(server, to=ENVELOPE, message=None, until=None, **how):
        if server not in transports:
            transports[server] = opened(port=server.port, **how)
        return transports[server].send(to, message or stored(), until or soon(), 1)
    return send_
