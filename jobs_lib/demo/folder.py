"""The demo's folder: replaced each time, and never mistaken for one that holds something else."""
from __future__ import annotations

import os
import shutil

from jobs_lib import folders
from jobs_lib.errors import UsageError

MARK, PAGE, MAILDIR, WEBHOOKS = ".jobs-demo", "status.html", "maildir", "webhooks"
MADE = ("config.ini", "jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-journal", "spool", MAILDIR,
        WEBHOOKS, "state", "log", "archive", "exports", PAGE)
CONFIG = """\
# The demo's own configuration, replaced by each `jobs.py demo`. Nothing here leaves this machine.
[core]
database = sqlite:///jobs.db
state_dir = state
log_dir = log
app_url = https://alias.example

[spool]
dir = spool

[archive]
store = archive

[export]
dir = exports

[mail]
# Into a folder instead of to a relay: any mail reader opens a Maildir (mutt -f maildir).
transport = maildir
maildir = maildir
domain = alias.example
from = notices@alias.example

[webhooks]
# Into files instead of to the endpoints.
outbox = webhooks

[personas]
porter = Porter <porter@alias.example>
overflow = Overflow desk <overflow@alias.example>
security = Security <security@alias.example>
postmaster = Postmaster <postmaster@alias.example>

[alerts]
email = operator@alias.example

[status]
page = status.html

[check_domains]
# No name server is to be asked for made-up domains.
enabled = no
"""


def make(folder: str) -> str:
    """An empty demo folder with its config.ini, whose path is returned.

    Only what an earlier demo left is deleted. UsageError for a folder that holds other things.
    """
    mark, config = os.path.join(folder, MARK), os.path.join(folder, "config.ini")
    try:
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise UsageError(f"demo: {folder} is not a folder; name another by --dir")
        if os.path.isdir(folder) and os.listdir(folder) and not os.path.isfile(mark):
            raise UsageError(f"demo: {folder} is not empty and was not made by the demo: it stays "
                             "as it is; name another by --dir")
        folders.private(folder)
        folders.write(mark, "Made by `jobs.py demo`, which replaces it each time.\n")
        for name in MADE:
            _remove(os.path.join(folder, name))
        folders.write(config, CONFIG)
    except OSError as error:
        raise UsageError(f"demo: {folder} cannot be used ({error.strerror}); name another by "
                         "--dir") from None
    return config


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
