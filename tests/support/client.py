"""What an operator or an app runs: statements as they are, one after the other."""
from __future__ import annotations

import re
import sqlite3

from tests.support.db import PATH, Client


def run(url: str, sql: str) -> None:
    """Statements, each ending with `;` at the end of a line; lines of remarks are left out."""
    if url.startswith(PATH):
        raw = sqlite3.connect(url[len(PATH):])
        raw.executescript(sql)
        raw.close()
        return
    client = Client(url)
    for one in re.split(r";\s*(?:\n|\Z)", re.sub(r"(?m)^ *--.*$", "", sql)):
        if one.strip():
            client.as_it_is(one)
    client.close()
