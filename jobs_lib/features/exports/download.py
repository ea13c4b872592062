"""Which export a token opens: for the download page of an app in Python (docs/exports.md has it in
PHP too)."""
from __future__ import annotations

import os
import secrets
import stat
from hashlib import sha256
from urllib.parse import quote

from jobs_lib import clock
from jobs_lib.records import namedtuple

TOKEN_BYTES = 32
LONGEST = 200                    # letters of a token: anybody may send us one

Export = namedtuple("Export", "path name bytes sha256 request_id user_id expires_at")
Export.__doc__ = """An export that may be given out now.

path        of the file                    name     for the one who downloads it
bytes       its size, sha256 its hash      expires_at   aware UTC datetime
"""


def new_token() -> str:
    """256 random bits as 43 letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(TOKEN_BYTES)


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


def find(token: str, config=None, now=None) -> Export | None:
    """The export that this token opens, or None: unknown, expired, replaced, deleted and misspelt
    are all the same.

    Nothing is changed by asking. `config`: the path of config.ini, or a Config; by default as
    jobs.py finds it. Raises ConfigError, DatabaseError.
    """
    from jobs_lib.config.loader import Config, for_app
    from jobs_lib.runner.resources import Ports

    if not isinstance(config, Config):
        config = for_app(config)
    db = Ports(config).connect(readonly=True)
    try:
        row = db.row("SELECT id, user_id, file_name, file_bytes, sha256, expires_at "
                     "FROM {export_requests} WHERE token_hash = :hash AND status = 'ready' "
                     "AND expires_at > :now AND EXISTS (SELECT 1"
                     " FROM {users} WHERE {users}.id = {export_requests}.user_id "
                     "AND {users}.status <> 'deleted')", hash=hashed(str(token)[:LONGEST]),
                     now=now or clock.now())
    finally:
        db.close()
    if row is None:
        return None
    path = os.path.join(config.section("export").dir, os.path.basename(row["file_name"] or "none"))
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
    except OSError:
        return None
    expires = clock.parse(row["expires_at"])
    name = f"account-export-{quote(str(row['id']), safe='')}.zip"
    return Export(path, name, row["file_bytes"], row["sha256"], row["id"], row["user_id"], expires)
