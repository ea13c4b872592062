"""The two files of an archive and its row in `audit_archives`: names, places, and whether they are
whole."""
from __future__ import annotations

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.database import stored
from jobs_lib.errors import ConfigError
from jobs_lib.ports.storage.base import place_of
from jobs_lib.ports.storage.stores import open_store
from jobs_lib.records import namedtuple

from . import format as form

TABLE = "audit_logs"
UNFINISHED = "status IN ('verified', 'writing')"
OTHERS = "another run archives"                     # why a run stops

Verified = namedtuple("Verified", "id ids cutoff")
Verified.__doc__ = """A verified archive whose rows may be deleted: its id in the table, the ids
that were read back, its cutoff."""


def refuse_shared(ctx) -> None:
    """ConfigError for a folder that is not archives' own."""
    if problem := misplaced(ctx.section, "archive", "store"):
        raise ConfigError(problem)


def lost(ctx) -> str | None:
    """Why rows must not be deleted without a store, in a sentence: an archive is known that its
    rows still wait for."""
    location = ctx.db.value("SELECT MIN(location) FROM {audit_archives} WHERE status = 'verified'")
    return location and (f"[archive] store is not set, but the rows of {location} are not all "
                         "deleted yet: set [archive] store back to where it is; nothing was "
                         "deleted")


def go_without(ctx) -> None:
    """Before rows are deleted without a store: ConfigError if one was lost, a warning if there was
    one at all."""
    if problem := lost(ctx):
        raise ConfigError(problem)
    known = ctx.db.value("SELECT COUNT(*) FROM {audit_archives}")
    if known:
        ctx.log.warning("archives are known, but no store is set", number=known)


def open_for(db, section):
    """The store, made when no archive is known in it yet."""
    place = place_of(section)
    known = db.query("SELECT location FROM {audit_archives} ORDER BY id DESC LIMIT 100")
    return open_store(section, make=not any(is_in(place, row["location"]) for row in known))


def is_in(place: str, location: str) -> bool:
    """Whether an archive was written into the store at that place."""
    return (stored.words(location) or "").rpartition("/")[0] == place.rstrip("/")


def names(location: str) -> tuple[str, str]:
    """(the name of the rows' file, that of the manifest) of an archive."""
    name = (stored.words(location) or "").rpartition("/")[2]
    return name, name.removesuffix(form.ROWS_END) + form.MANIFEST_END


def verify(store, location: str, look=None) -> tuple[dict, form.Tally]:
    """Read both files from the store and compare them; (the manifest, what was read). Damaged,
    ArchiveError."""
    name, manifest_name = names(location)
    manifest = form.read_manifest(store.read(manifest_name))
    if manifest.get("file") != name:
        raise form.Damaged(f"the manifest is that of {manifest.get('file')}")
    return manifest, form.check(store.read(name), manifest, look)


def verify_known(store, row: dict, look=None) -> tuple[dict, form.Tally]:
    """The same, and that it is the one that its row in `audit_archives` names."""
    manifest, read = verify(store, row["location"], look)
    if (manifest["sha256"], manifest["row_count"]) != (row["sha256"], row["row_count"]):
        raise form.Damaged("it is not the one that the table audit_archives names")
    return manifest, read
