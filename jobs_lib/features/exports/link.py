"""The link in the notice of a finished export: the queue holds `{export_link}`, which becomes a
link at sending."""
from __future__ import annotations

from functools import partial
from hmac import compare_digest

from jobs_lib import clock
from jobs_lib.features.notifications import mustache
from jobs_lib.features.notifications.outbox import NoLink

from . import download_token
from .notices import READY

PLACE = "{export_link}"
GONE = "its export can no longer be downloaded"
OTHER_KEY = ("[core] secret_key has changed since this export was made, so its link cannot be put "
             "together")


def url(ctx) -> str:
    """The page that takes the token; "" if none is known."""
    app = ctx.section("core").app_url.rstrip("/")
    return ctx.section("export").url or (app and app + "/export")


def gone(ctx, rows: list[dict]) -> dict:
    """{id of a notice of this kind: why} of those whose export is expired, replaced or deleted."""
    numbers = {row["id"]: id for row in rows if (id := _request(ctx.db, row)) is not None}
    if not numbers:
        return {}
    there, key = _ready(ctx, set(numbers.values())), partial(ctx.db.key, "users")
    return {row["id"]: GONE for row in rows if row["id"] in numbers
            and key(there.get(numbers[row["id"]], {}).get("user_id")) != key(row["user_id"])}


def fill(ctx, row: dict) -> None:
    """Put the link into both bodies of a notice of this kind. NoLink when there is none any
    more."""
    number = _request(ctx.db, row)
    if number is None or PLACE not in f"{row['body_text']}{row['body_html']}":
        return
    found, key = _ready(ctx, {number}).get(number), partial(ctx.db.key, "users")
    if not found or key(found["user_id"]) != key(row["user_id"]):
        raise NoLink(GONE)
    token = download_token.make(ctx.secret(download_token.LABEL), number, found["token_nonce"]
                                or "")
    if not compare_digest(download_token.hashed(token), found["token_hash"] or ""):
        raise NoLink(OTHER_KEY)
    link = download_token.link(url(ctx), token)
    row["body_text"] = row["body_text"] and row["body_text"].replace(PLACE, link)
    row["body_html"] = row["body_html"] and row["body_html"].replace(PLACE, mustache.escape(link))


def _request(db, row: dict):
    """The id of the request that a notice is about, by its key; None if it names none."""
    start, ready, id = (row["dedupe_key"] or "").partition(READY)
    if start or not ready:
        return None
    if "export_requests" in db.text_keys:
        return id
    return int(id) if id.isdecimal() and len(id) < 19 else None


def _ready(ctx, numbers: set) -> dict:
    # A clock in doubt ends none: a download is judged by the clock of its own moment.
    now = clock.FIRST if ctx.clock_in_doubt else clock.text(ctx.clock())
    return {row["id"]: row for row in ctx.db.query(
        "SELECT id, user_id, token_hash, token_nonce FROM {export_requests} WHERE id IN (:ids) "
        "AND status = 'ready'"
        " AND expires_at > :now", ids=numbers, now=now)}
