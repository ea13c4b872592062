"""No secret of the configuration in what is told, whoever's words it is in."""
from __future__ import annotations

from jobs_lib.config.option_types import STARS
from jobs_lib.config.secrets import secrets


class Masks:
    """The secrets that are set, by whatever source."""

    def __init__(self, config) -> None:
        self._secrets = secrets(config) if config else []

    def hidden(self, words: str) -> str:
        """The words with stars in place of each secret."""
        for secret in self._secrets:
            words = words.replace(secret, STARS)
        return words
