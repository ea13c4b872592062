"""Close deleted accounts at once, and delete all they have after 7 days.

An app deletes an account by `users.status = 'deleted'` and `deleted_at`, and refuses it from then on. The next run
first of all shuts every account that is newly deleted: sessions and sign-in links go, aliases and webhooks are
switched off, queued mail, deliveries and exports are cancelled. Its owner gets one last notice, which names the day.
On that day all that belongs to the account goes, table by table, with its files. Audit rows stay, without anything
that says whose they were, and go by their own age. Of its aliases a keyed hash stays, so that no address is ever
given to anybody else. Rows that another program writes later for an account that is gone go, too.

Where more than 50 accounts and a fifth of all would go at once, they are shut and nothing is deleted until
`--yes` says that it is no mistake. After a backup was put back, `--set reapply=yes` deletes again what it brought
back.

Killed at any point: a row goes in the commit that counts it, a file before that commit, and the account's own row
comes last, so the next run finds the account and goes on.
"""
from __future__ import annotations

from .. import options as kind
from ..job import declare
from ..options import Option


@declare(
    schedule="*/5 * * * *", priority="high", sections=("spool", "personas", "export"),
    options={
        "grace": Option(kind.duration, "7d", "How long a deleted account is kept, shut, before all it has is deleted. "
                                             "A notice has named the day to its owner, so a change holds for later "
                                             "deletions only."),
        "reapply": Option(kind.switch, "no", "Once, after a backup was put back: delete again what was deleted since. "
                                             "Give it by hand: --set reapply=yes"),
    },
    idempotency="What is to be done is read from the rows that are left, each batch is one commit with its count, and "
                "the account's own row goes last: a killed or repeated run finds what is left and goes on.",
    sample=("id", "status", "deleted_at", "erase_after"),
)
def job(ctx):
    """Revocation of all comes first."""
    from ..recipes import deletions
    return deletions.run(ctx)
