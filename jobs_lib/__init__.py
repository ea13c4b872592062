"""Background jobs of an e-mail alias and forwarding service on shared hosting; and what its app may
ask. `config` is the path of config.ini, by default what `jobs.py` finds. JobsError
(jobs_lib.errors) where it, the key or the database is missing, so nothing is answered by mistake.
"""
from __future__ import annotations


def find_export(token: str, config: str | None = None, now=None):
    """The export that a download link's token opens (features/exports), or None:
    unknown, expired, replaced, deleted and misspelt are all the same."""
    from .features.exports import find
    from .launch.launch import answer_app
    return answer_app(config, lambda config, db: find(config, db, token, now))


def is_retired(address: str, config: str | None = None) -> bool:
    """Whether this address was an alias of an account that was deleted: ask before an alias is
    created. JobsError also for what is no address."""
    from .features.accounts import is_retired
    from .launch.launch import answer_app
    return answer_app(config, lambda config, db: is_retired(config, db, address))


def __getattr__(name: str):
    """`from jobs_lib import srs`: how an app takes back what a bounce came to (docs/mail.md)."""
    if name == "srs":
        from .features.forwards import srs
        return srs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
