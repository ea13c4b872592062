"""Check the DNS records of users' own domains.

A domain needs a TXT record that proves who owns it, and MX records that lead to us; SPF, DKIM and
DMARC are checked and explained, and count only if `require` lists them. A new domain is checked
every 15 minutes on its first day, hourly up to a week, daily up to 30 days, and then given up; a
verified one daily, and hourly while it fails. Its owner may ask for a check at any time
(`domains.recheck_requested_at`), and so may you (`--set domain=example.org`).

Only an answer counts: records, or that there are none. SERVFAIL, refusal and silence change
nothing, except that a new domain is given up after 30 days, and its owner is notified. A verified
domain loses its status only when it was found wrong three times over 72 hours, after a warning; one
good check clears all of that.

Killed or run twice: each domain's result is one commit, with its next date and its notice, made
only if it is still the domain that was checked; what a killed run was looking at is due again ten
minutes later.
"""
from __future__ import annotations

from jobs_lib.catalogue import NOTIFIES, declare
from jobs_lib.config.option_types import Option, choice, duration, several, text


@declare(
    schedule="*/15 * * * *", sections=("dns", "personas"),
    options={
        "require": Option(
            several(choice("ownership", "mx", "spf", "dkim", "dmarc")), "ownership, mx",
            "The records that a domain's status depends on. Without ownership, anyone can claim a "
            "domain that uses you."),
        "grace": Option(duration, "72h", "How long a verified domain must fail before it loses "
        "that status."),
        "domain": Option(text, "", "With --set domain=NAME: check only this domain, now.",
                         argument=True),
    },
    sample=("id", "name", "status", "checked_at", "next_check_at"),
    tables=NOTIFIES + "domains= destinations",
)
def job(ctx):
    """Query, judge, store and notify."""
    from jobs_lib.features.domains import check
    if ctx.dry_run:
        return check.preview(ctx)
    ctx.counts.update(checked=0, verified=0, warned=0, failed=0, unknown=0)
    check.check_due(ctx)
    return ctx.counts
