"""Background jobs of an e-mail alias and forwarding service on shared hosting."""
from __future__ import annotations

__version__ = "0.1.0"
