"""What a web app in Python may ask this bundle; docs/deletion.md says how one in PHP asks."""
from __future__ import annotations

import hmac
import os

from .config import loader
from .errors import ConfigError, JobsError
from .features.accounts import retired
from .folders import secret_key
from .runner.resources import Ports


def is_retired(address: str, config_path: str | None = None) -> bool:
    """As `jobs_lib.is_retired`."""
    if not isinstance(address, str) or not address.strip():
        raise JobsError(f"is_retired was asked about {address!r}: expected an address")
    known = loader.for_app(config_path)
    core = known.section("core")
    if not core.secret_key and not os.path.exists(os.path.join(core.state_dir, "secret")):
        raise ConfigError(f"there is no [core] secret_key and no {core.state_dir}/secret: without "
                          "the key of the jobs no retired address can be recognised")
    key = hmac.digest(secret_key(core.state_dir, core.secret_key).encode(), retired.LABEL.encode(),
                      "sha256")
    db = Ports(known).connect(readonly=True)
    try:
        return retired.is_there(db, key, address)
    finally:
        db.close()
