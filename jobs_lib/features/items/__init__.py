"""The queues as their operator sees them, and acts on them: how each differs from the common
(engines/items.py)."""
from __future__ import annotations

from jobs_lib.engines.items import Items

from .others import Deletions, Domains, Exports
from .sent import Deliveries, Forwards, Notices

# whose rows wait for an attempt: these can be put back and cancelled
SENT: tuple[Items, ...] = (Forwards(), Notices(), Deliveries())
QUEUES: tuple[Items, ...] = (*SENT, Exports(), Domains(), Deletions())


def named(name: str) -> Items:
    """The queue of that name, such as `forwards`."""
    return next(items for items in QUEUES if items.queue.name == name)
