"""The demo's folder: replaced each time, and never mistaken for one that holds something else."""
from __future__ import annotations

import os
import shutil

from jobs_lib import folders
from jobs_lib.errors import UsageError

MARK, NOTICES, ARCHIVE, DNS, PAGE = ".jobs-demo", "notices", "archive", "dns", "status.html"
MADE = ("config.ini", "jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-journal", "spool",
        "maildir", "state", "log", ARCHIVE, NOTICES, DNS, PAGE, "exports")
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

[personas]
porter = Porter <porter@alias.example>
overflow = Overflow desk <overflow@alias.example>
security = Security <security@alias.example>
postmaster = Postmaster <postmaster@alias.example>

[alerts]
email = operator@alias.example

[webhooks]
# The demo's own endpoint, which ended with it. Never allow this network on a real service: anyone
# who may register an endpoint could then reach everything that listens there.
allow_networks = 127.0.0.0/8

[status]
page = status.html

[dns]
mx_hosts = mx1.alias.example, mx2.alias.example
spf_include = spf.alias.example
dkim_target = porter._domainkey.alias.example
# The demo's own name server, which ended with it.
nameservers = 127.0.0.1:{port}
"""
NO_DOMAINS = """
[check_domains]
# No name server could be started here: `jobs.py demo` says why.
enabled = no
"""
NO_MORE_DOMAINS = """
[check_domains]
# Its name server ended with the demo, and no other one may be asked for made-up domains.
enabled = no
"""
NOBODY = 9                      # a port at which no name server answers


def make(folder: str) -> None:
    """An empty demo folder.

    Only what an earlier demo left is deleted. UsageError for a folder that holds other things.
    """
    mark = os.path.join(folder, MARK)
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
    except OSError as error:
        raise UsageError(f"demo: {folder} cannot be used ({error.strerror}); name another by "
                         "--dir") from None


def configure(folder: str, dns_port: int | None) -> str:
    """Write its config.ini and return the path. Without a name server's port no domain is
    checked."""
    path = os.path.join(folder, "config.ini")
    folders.write(path, CONFIG.format(port=dns_port or NOBODY) + ("" if dns_port else NO_DOMAINS))
    return path


def leave(folder: str) -> None:
    """Let it go on without the demo's name server: every run would wait for it in vain."""
    path = os.path.join(folder, "config.ini")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if "[check_domains]" not in text:
        folders.write(path, text + NO_MORE_DOMAINS)


def notice(folder: str, row: dict) -> str:
    """Write a notice where a browser or a pager opens it; the file's path."""
    path = os.path.join(folders.private(os.path.join(folder, NOTICES)),
                        f"{row['id']}-{row['kind']}.{'html' if row['body_html'] else 'txt'}")
    folders.write(path, row["body_html"] or row["body_text"])
    return path


def archives(folder: str) -> list[str]:
    """The paths of the archives of audit rows."""
    path = os.path.join(folder, ARCHIVE)
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [os.path.join(path, name) for name in names if name.endswith(".jsonl.gz")]


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
