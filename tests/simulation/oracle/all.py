"""All rules, in the order in which they are asked."""
from __future__ import annotations

from . import expiry, files, mail, retention, usage

RULES = (*mail.RULES, *retention.RULES, *expiry.RULES, *usage.RULES, *files.RULES)
