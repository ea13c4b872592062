"""What happens to the service; world.py says what an act is."""
from . import accounts, mail, operator, upkeep, web, workers

MODULES = (accounts, mail, operator, upkeep, web, workers)
