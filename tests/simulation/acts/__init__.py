"""What happens to the service; world.py says what an act is."""
from __future__ import annotations

from . import accounts, mail, operator, upkeep, web, workers

MODULES = (accounts, mail, operator, upkeep, web, workers)
