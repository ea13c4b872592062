"""What can become of an item of a queue: one list of names, and what each means for its row.

A transport gives one of them for a message, the webhooks for a delivery, and the queue stores it.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

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

Meaning = namedtuple("Meaning", "status counted logged uses_attempt")
Meaning.__doc__ = """What an outcome means for a row.

status        of the row afterwards
counted       the name in the run's counts              logged  the value in its log
uses_attempt  whether the row pays for it with one of its attempts
"""
_NOT_ITS_FAULT = Meaning("pending", "given_back", "back", False)


def meanings(done: str) -> dict[str, Meaning]:
    """The table of a queue whose rows end as `done`: `sent`, `delivered`."""
    return {
        SENT: Meaning(done, done, done, True),
        RETRY: Meaning("pending", "retried", "retry", True),
        FINAL: Meaning("failed", "failed", "failed", True),
        UNCERTAIN: Meaning("pending", "uncertain", "uncertain", True),
        RELAY: _NOT_ITS_FAULT,
        LOST: _NOT_ITS_FAULT,
        UNREADABLE: _NOT_ITS_FAULT,
        GIVEN_BACK: _NOT_ITS_FAULT,
    }
