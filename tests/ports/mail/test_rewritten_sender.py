"""What the relay hears as the sender of a forward leads back to the first one, by an implementation
of SRS that is not ours (github.com/shevek/libsrs2, Mail::SRS): only with our secret, and with the
day of its making."""
from __future__ import annotations

import base64
import hashlib
import hmac
import time

from tests.servers.smtp_sink import Sink
from tests.support.shell import Shell

SECRET = "a secret that only this test has"
DAY, DAYS = 24 * 3600, 1024                 # a stamp is the day, of which there are so many
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SENDERS = ["orders@shop.example", "Bob.Smith+x@Sender.Example", "a=b@x.example",
           "SRS0=XyZ1=AB=first.example=carol@second.example", ""]


def reversed_(address: str, secret: str) -> tuple[str, int]:
    """(the sender before, the days since it was rewritten); ValueError if this is no SRS0 address
    made with the secret."""
    local, _, _ = address.rpartition("@")
    tag, given, stamp, domain, name = local.split("=", 4)
    digest = hmac.new(secret.encode(), f"{stamp}{domain}{name}".lower().encode(), hashlib.sha1)
    if tag != "SRS0" or base64.b64encode(digest.digest()).decode()[:4].lower() != given.lower():
        raise ValueError(address)
    day = ALPHABET.index(stamp[0]) * 32 + ALPHABET.index(stamp[1])
    return f"{name}@{domain}", (int(time.time() / DAY) - day) % DAYS


def test_a_sender_leads_back_and_none_stays_none(tmp_path, sqlite_url):       # R36
    with Sink() as relay:
        service = Shell(tmp_path, sqlite_url, mail={"port": relay.port, "srs_secret": SECRET})
        for sender in SENDERS:
            service.forwards(1, envelope_from=sender)
        assert service.job("retry_forwards")["counts"]["sent"] == len(SENDERS)
        heard = {sender: recipients for sender, recipients, _ in relay.messages()}
    service.close()
    assert all(recipients == ["owner@home.example"] for recipients in heard.values())
    assert "" in heard
    plain = [address for address in heard if address.startswith("SRS0=")]
    assert all(address.endswith("@service.example") for address in heard if address)
    found = [reversed_(address, SECRET) for address in plain]
    assert sorted(found) == sorted((sender, 0) for sender in SENDERS[:3])
    # what another service has rewritten is rewritten once more, and still leads to that service
    [twice] = [address for address in heard if address.startswith("SRS1=")]
    assert twice.partition("@")[0].endswith("=second.example==XyZ1=AB=first.example=carol")
    for address in plain:
        try:
            reversed_(address, "another secret")
        except ValueError:
            continue
        raise AssertionError(f"{address} is good for another secret")
