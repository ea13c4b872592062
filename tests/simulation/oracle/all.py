"""All rules, in the order in which they are asked."""
from __future__ import annotations

from . import accounts, domains, expiry, exports, files, mail, retention, runs, usage, webhooks

RULES = (*mail.RULES, *retention.RULES, *expiry.RULES, *usage.RULES, *files.RULES,
         *webhooks.RULES, *domains.RULES, *exports.RULES, *accounts.RULES, *runs.RULES)
