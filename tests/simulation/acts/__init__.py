"""What happens to the service: an act is a function of the world and a random generator, which
returns words for the story, or "" where there was nothing to do it with.

Acts write plain rows and files, as docs/data-model.md has it, and never call the product
but through its command line. All that is random comes from the generator that they
are given.
"""
from __future__ import annotations

from . import accounts, mail, operator, upkeep, web, workers

MODULES = (accounts, mail, operator, upkeep, web, workers)
