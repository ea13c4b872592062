"""All rules, in the order in which they are asked."""
from __future__ import annotations

from . import mail

RULES = (*mail.RULES,)
