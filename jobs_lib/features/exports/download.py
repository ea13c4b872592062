"""Which export a token opens: for the download page of an app in Python (docs/exports.md has it in
PHP too)."""
from __future__ import annotations

import os
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.records import namedtuple

Export = namedtuple("Export", "path name bytes sha256 request_id user_id expires_at")
Export.__doc__ = """An export that may be given out now.

path        of the file                    name     for the one who downloads it
bytes       its size, sha256 its hash      expires_at   aware UTC datetime
"""


def hashed(token: str) -> str:
    """What the column `token_hash` has."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def page(config) -> str:
    """The page of the app that takes the token; "" if none is known. `config`: a Context, too."""
    app = config.section("core").app_url.rstrip("/")
    return config.section("export").url or (app and app + "/export")


def link(url: str, token: str) -> str:
    """The page with the token as its parameter `t`."""
    return f"{url}{'&' if '?' in url else '?'}t={token}"


def find(token: str, config_path: str | None, now) -> Export | None:
    """What `jobs_lib.find_export` returns to an app. Nothing is changed by asking."""
    from jobs_lib.config.loader import for_app
    from jobs_lib.runner.resources import Ports

    config = for_app(config_path)
    db = Ports(config).connect(readonly=True)
    try:
        row = db.row("SELECT id, user_id, file_name, file_bytes, sha256, expires_at "
                     "FROM {export_requests} WHERE token_hash = :hash AND status = 'ready' "
                     "AND expires_at > :now AND EXISTS (SELECT 1"
                     " FROM {users} WHERE {users}.id = {export_requests}.user_id "
                     "AND {users}.status <> 'deleted')", hash=hashed(str(token)),
                     now=now or clock.now())
    finally:
        db.close()
    path = row and os.path.join(config.section("export").dir,
                                os.path.basename(str(row["file_name"])))
    if not path or os.path.islink(path) or not os.path.isfile(path):
        return None
    return Export(path, "account-export.zip", row["file_bytes"], row["sha256"], row["id"],
                  row["user_id"], clock.parse(row["expires_at"]))
