"""End items that wait in a queue: nothing is sent, and no owner is notified.

Name items by their ids, or use --all for all that wait, with --before for those
that came in before then. What is being sent, or has ended already, is refused.
A cancelled item is kept as long as a failed one; until it is deleted, `jobs.py
replay` puts it back, by its id. `jobs.py queue QUEUE ID` says that it was
cancelled.
"""
from __future__ import annotations

from jobs_lib.features.items import base

from . import _items


def arguments(parser) -> None:
    _items.select(parser, "waits")


def run(args, make_session, config_path) -> int:
    """Cancel them; 1 if an id was refused."""
    session = make_session(config_path)
    items, pages = _items.chosen(session, "cancel", args, "pending")
    return _items.report(session, args, *base.cancel(items, pages),
                         "cancelled, nothing is sent", "cancelled")
