"""Where archives are kept: a folder, or a server that speaks FTP over TLS."""
from __future__ import annotations


def open_store(section, make: bool = False):
    """The store that `[archive]` names. `make`: a folder that is not there may be made, since
    nothing is in it yet."""
    from .store import FolderStore, parse_url
    if "://" not in section.store:
        return FolderStore(section.store, make)
    from .ftps import FtpsStore
    return FtpsStore(parse_url(section.store), section.ca_file)
