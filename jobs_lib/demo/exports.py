"""The export of a sample account, opened as its owner opens it: by the link in the notice that was
delivered."""
from __future__ import annotations

import zipfile

from jobs_lib.features.exports import download
from . import letters


def opened(db, config, maildir: str, now) -> dict | None:
    """`link` (with a token), `path`, `bytes`, `files` [(name, bytes)] and `readme` of the latest;
    None if none came."""
    for row in db.query("SELECT id FROM {notifications} WHERE kind = 'export_ready' "
                        "ORDER BY id DESC LIMIT 1"):
        letter = letters.delivered(maildir, row["id"]) or {"body_text": ""}
        link = next((word for word in letter["body_text"].split() if "?t=" in word), "")
        found = link and download.find(link.partition("?t=")[2], config, now)
        if found:
            with zipfile.ZipFile(found.path) as file:
                return {"link": link, "path": found.path, "bytes": found.bytes,
                        "files": [(info.filename, info.file_size) for info in file.infolist()],
                        "readme": file.read("README.txt").decode()}
    return None
