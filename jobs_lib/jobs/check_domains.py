"""Check the DNS records of users' own domains.

A domain needs a TXT record that proves who owns it, and MX records that name our hosts. SPF, DKIM
and DMARC are checked and explained, but count only if `require` lists them.

A new domain is checked every 15 minutes on its first day, hourly up to a week, then daily; after 30
days it is given up. A verified one is checked daily, and hourly while it fails. Its owner may ask
for a check at any time (`domains.recheck_requested_at`), and so may you (`--set
domain=example.org`).

A missing answer (SERVFAIL, a refusal, a timeout) changes nothing, except that a new domain is given
up after 30 days. A verified domain loses its status only after three failures over 72 hours and a
warning. One good check resets that.

Killed or run twice: each domain's result is one commit, with its next date and its notice, made
only if it is still the domain that was checked. What a killed run was checking is due again ten
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
