"""All rules, in the order in which they are asked."""
from __future__ import annotations

from . import accounts, domains, expiry, exports, files, mail, retention, runs, usage, webhooks
from .ages import Ages

RULES = (*mail.RULES, *retention.RULES, *expiry.RULES, *usage.RULES, *files.RULES,
         *webhooks.RULES, *domains.RULES, *exports.RULES, *accounts.RULES, *runs.RULES)


class Judge:
    """Asks all rules. `ages` is what they share."""

    def __init__(self) -> None:
        self.ages, self.rules = Ages(), [rule() for rule in RULES]

    def wrong(self, step, *more) -> str:
        """The first sentence, of these rules or of more of them; "" when all were kept."""
        self.ages.begin(step)
        for rule in (*self.rules, *more):
            for sentence in rule.check(step):
                return f"{type(rule).__name__}: {sentence}"
        self.ages.end(step)
        return ""
