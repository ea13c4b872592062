"""What kind of key an app's tables have is read from the catalogue, and our own columns take it."""
import pytest

from tests.support import databases, keyed
from tests.support.product import NAMES, DatabaseError, check, fit, keys, migrate, plan


@pytest.mark.parametrize("kind", keyed.KINDS, ids=lambda kind: kind.name)
def test_which_keys_are_text_is_known_with_the_version(blank_url, opened, kind):            # R75
    db, heard = opened(keyed.make(blank_url, kind)), []
    databases.listen(db, lambda sql, values: heard.append(sql))
    assert check(db)
    assert set(db.text_keys) == set(keyed.WITH_KEYS)
    assert len(heard) == 1


def test_numbers_change_nothing(engine_url, opened):                                 # R75
    db = opened(engine_url)
    assert check(db)
    assert (db.text_keys, keys.unfit(db, db.catalogue(NAMES))) == (frozenset(), [])


def test_tables_of_ours_for_keys_of_another_kind_are_refused(blank_url, opened):       # R75
    """The app's were named later: which of ours has to be made again, is said."""
    migrate(opened(blank_url, create=True), databases.NOW)
    db = opened(blank_url, tables={"users": "people"})
    db.execute("CREATE TABLE people (id CHAR(36) PRIMARY KEY, email VARCHAR(90))")
    for use in (plan, lambda db: migrate(db, databases.NOW)):
        with pytest.raises(DatabaseError, match=(
                r"(\w+)\.user_id was made for keys of another type than the app's: DROP "
                r"TABLE \1, then run `jobs\.py migrate`")):
            use(db)


def test_what_an_app_lacks_is_printed_with_the_type_of_its_keys(blank_url, opened):    # R75
    db = opened(keyed.make(blank_url, keyed.UUIDS))
    db.execute("DROP TABLE {failed_emails}")
    db.execute("DROP TABLE {sessions}")
    db.execute("CREATE TABLE sessions (id CHAR(36) PRIMARY KEY)")
    printed = "\n".join(sql for each in fit.look(db) for sql in each.statements).replace(
        "char(", "CHAR(")
    kind = db.dialect.quote
    assert f"ADD COLUMN {kind('user_id')} CHAR(36)" in printed
    assert f"{kind('destination_id')} CHAR(36)" in printed
    assert f"{kind('notice_id')} BIGINT" in printed
