"""Put failed items back into their queue, to be sent again.

They are due now, with all attempts ahead, as if they had never been tried; one
that came in more than 7 days ago has one attempt. Name items by their ids, or
use --all for what has failed, except what you cancelled.

By its id an item that waits for its next attempt is due now, too, and a sent
one is sent again: a forward as long as its raw message is still in the spool, a
webhook under the same id, by which its endpoint recognizes it; the text of a
sent notice is not kept. An item that is being sent, has lost its content,
belongs to a suspended account, or would be cancelled by the next run is
refused.
"""
from __future__ import annotations

from jobs_lib.features.items import base

from . import _items


def arguments(parser) -> None:
    _items.select(parser, "has failed")


def run(args, make_session, config_path) -> int:
    """Put them back; 1 if an id was refused."""
    session = make_session(config_path)
    items, pages = _items.chosen(session, "replay", args, "failed")
    done, refused = base.replay(items, pages, args.all)
    code = _items.report(session, args, done, refused, "back in the queue, due now", "replayed")
    if done and not args.json:
        for words in (f"{items.queue.job} sends what is due.", *items.holds()):
            session.console.report(words)
    return code
