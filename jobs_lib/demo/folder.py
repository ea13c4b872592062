"""The demo's folder: replaced each time, and never mistaken for one that holds something else."""
from __future__ import annotations

import os
import shutil

from jobs_lib import folders

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


def is_free(folder: str) -> bool:
    """Whether the demo may have it: it is new or empty, or a demo made it."""
    return not os.path.exists(folder) or not os.listdir(folder) or os.path.isfile(
        os.path.join(folder, MARK))


def make(folder: str) -> str:
    """An empty demo folder with its config.ini, whose path is returned."""
    config = os.path.join(folder, "config.ini")
    folders.private(folder)
    folders.write(os.path.join(folder, MARK), "Made by `jobs.py demo`, which replaces it.\n")
    for name in MADE:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
    folders.write(config, CONFIG)
    return config
