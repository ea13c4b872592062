"""Background jobs of an e-mail alias and forwarding service on shared hosting."""
from __future__ import annotations

__version__ = "0.1.0"


def find_export(token: str, config=None, now=None):
    """The export that a download link's token opens, or None (downloads.py, docs/exports.md)."""
    from .downloads import find
    return find(token, config, now)


def is_retired(address: str, config: str | None = None) -> bool:
    """Whether this address was an alias of an account that was deleted: ask before an alias is created.

    config: the path of config.ini; left out, it is found as `jobs.py` finds it. Raises jobs_lib.errors.JobsError
    for what is no address, and where the configuration, the key or the database is not there, so that none is taken
    for free by mistake.
    """
    from .for_apps import is_retired as asked
    return asked(address, config)
