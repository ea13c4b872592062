"""What can become of an item of a queue: one list of names, and what each means for its row.

A transport gives one of them for a message, the webhooks for a delivery, and the queue stores it.
"""
from __future__ import annotations

SENT = "sent"                # accepted by the other side
RETRY = "retry"              # refused for now
FINAL = "final"              # refused for good, or for the last time
# the connection broke after the final dot: delivered or not, nobody knows
UNCERTAIN = "uncertain"
# connecting, TLS, authentication, our sender or quota: the relay is paused
RELAY = "relay"
# broken or silent before this message's content could begin
LOST = "lost"
# the stored file is there, but not for us: a problem of the host
UNREADABLE = "unreadable"
# nothing was sent, for a reason that has nothing to do with the item
GIVEN_BACK = "given back"
