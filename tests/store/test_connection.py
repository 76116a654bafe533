import shutil
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import make_url

from case_monitor.doctor.check import Outcome
from case_monitor.doctor.database import database_checks
from case_monitor.domain.errors import ForeignDatabaseError, StoreError
from case_monitor.store.connection import connect, reading, shown, writing
from case_monitor.store.migrate import alembic_config, downgrade, upgrade
from case_monitor.store.open import open_store
from case_monitor.store.schema import current_revision, migrations_folder, require_schema, revisions
from case_monitor.store.tables import VERSION_TABLE

HEAD = ScriptDirectory.from_config(alembic_config()).get_current_head()
SECRET = "s3cret/p@ss word"
QUOTED = "s3cret%2Fp%40ss+word"


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :r"), {"r": revision})


def test_connect_does_not_need_or_make_tables(database_url: str) -> None:
    engine = connect(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    assert current_revision(engine) is None
    engine.dispose()


@pytest.mark.parametrize(
    ("tables", "whose"),
    [
        (("model_versions", "registered_models"), "MLflow's database"),
        (("alerts",), r"another program's database \(table alerts\)"),
    ],
)
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, tables: tuple[str, ...], whose: str) -> None:
    url = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine = connect(url)
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"CREATE TABLE {table} (name TEXT)"))
    said = rf"mlflow\.db: this is {whose}; give case_monitor one of its own: database_url$"
    for use in (open_store, upgrade, lambda _: require_schema(engine)):
        with pytest.raises(ForeignDatabaseError, match=said):
            use(url)
    [_, seen] = database_checks(url)
    assert (seen.outcome, "of case_monitor's own" in seen.remedy) == (Outcome.FAILED, True)
    assert set(inspect(engine).get_table_names()) == set(tables)
    engine.dispose()


def test_sqlite_is_set_up_for_several_processes(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'new' / 'folder' / 'a b%.db'}")
    with engine.connect() as connection:
        pragmas = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar()
            for p in ("foreign_keys", "journal_mode", "busy_timeout")
        }
    assert pragmas == {"foreign_keys": 1, "journal_mode": "wal", "busy_timeout": 30_000}
    assert (tmp_path / "new" / "folder" / "a b%.db").exists()
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "cannot be understood"),
        ("results.db", "cannot be understood"),
        (f"postgresql://u:{QUOTED}@host:port/db", "cannot be understood"),
        (f"postgres://u:{QUOTED}@host/db", "cannot be understood"),
        (f"oracle9://u:{QUOTED}@host/db", "cannot be understood"),
        (f"postgresql+psycopg2:/u:{QUOTED}@host/db", "cannot be understood"),
        (f"postgresql+pg8000://u:{QUOTED}@host/db", "driver is not installed"),
        (f"postgresql+asyncpg://u:{QUOTED}@host/db", "not supported"),
        (f"mysql+pymysql://u:{QUOTED}@host/db", "not supported"),
        ("sqlite://", "keeps nothing"),
        ("sqlite:///:memory:", "keeps nothing"),
        (f"postgresql://u:{QUOTED}@127.0.0.1:1/db", "refused"),
        (f"postgresql://u@127.0.0.1:1/db?password={QUOTED}", "refused"),
        ("postgresql://u:s3cret@/db?host=/nowhere/s3cret", r"cannot open .*/nowhere/\*\*\*"),
        (f"postgresql://u:{QUOTED}@127.0.0.1/db?port={QUOTED}", "a port or .option of the database URL is wrong"),
        (f"postgresql://u:{QUOTED}@127.0.0.1:1/db?nonsense={QUOTED}", "invalid"),
        ("sqlite:///results.db?timeout=soon", "a port or .option of the database URL is wrong"),
        ("sqlite:///a\0b/results.db", "cannot create the folder"),
    ],
)
@pytest.mark.parametrize("use", [connect, upgrade, partial(downgrade, revision="base")])
def test_unusable_urls(
    url: str, expected: str, use: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=expected) as caught:
        use(url)
    assert "\n" not in str(caught.value)
    whole = "".join(traceback.format_exception(caught.value))
    assert all(secret not in whole for secret in ("s3cret", QUOTED, SECRET))


def test_sqlite_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is not a database, however long one makes it " * 100)
    with pytest.raises(StoreError, match="not a database"):
        connect(f"sqlite:///{tmp_path / 'file'}")
    with pytest.raises(StoreError, match=r"cannot create the folder of sqlite:.*: .*(Not a directory|File exists)"):
        connect(f"sqlite:///{tmp_path / 'file' / 'results.db'}")
    with pytest.raises(StoreError, match="unable to open"):
        connect(f"sqlite:///{tmp_path}")


def test_server_that_goes_away_is_a_store_error(postgres_url: str) -> None:
    engine = connect(postgres_url)
    with pytest.raises(StoreError, match=r"terminat|closed") as caught, writing(engine) as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert "\n" not in str(caught.value)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


def test_connections_that_died_in_the_pool_are_replaced(postgres_url: str) -> None:
    """A dashboard outlives restarts of its server."""
    engine, other = connect(postgres_url), connect(postgres_url)
    with writing(other) as connection:
        killed = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    assert len(killed) == 1
    with reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()
    other.dispose()


def test_shown_hides_password_and_query() -> None:
    url = make_url(f"postgresql://me:{QUOTED}@host:5432/db?password={QUOTED}&sslmode=require")
    assert shown(url) == "postgresql://me:***@host:5432/db"


def test_reading_sees_one_moment_and_cannot_write_on_postgres(postgres_url: str) -> None:
    upgrade(postgres_url)
    engine = connect(postgres_url)
    insert = text("INSERT INTO model_versions (name, name_digest, version) VALUES ('a', 'a', 1)")
    count = text("SELECT count(*) FROM model_versions")
    with reading(engine) as before:
        assert before.execute(count).scalar_one() == 0
        with writing(engine) as other:
            other.execute(insert)
        assert before.execute(count).scalar_one() == 0
    with pytest.raises(StoreError, match="read-only"), reading(engine) as connection:
        connection.execute(insert)
    with writing(engine) as connection:  # the pooled connection is not left read-only
        assert connection.execute(count).scalar_one() == 1
        connection.execute(text("DELETE FROM model_versions"))
    engine.dispose()


def test_writing_rolls_back_on_any_error(engine: Engine) -> None:
    def insert_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO model_versions (name, name_digest, version) VALUES ('a', 'a', 1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        insert_and_fail()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM model_versions")).scalar_one() == 0


def test_require_schema_missing(database_url: str) -> None:
    engine = connect(database_url)
    with pytest.raises(StoreError, match=r"no case_monitor tables yet; run: case-monitor db upgrade$"):
        require_schema(engine)
    upgrade(database_url)
    require_schema(engine)
    downgrade(database_url, "base")
    with pytest.raises(StoreError, match="run: case-monitor db upgrade"):
        require_schema(engine)
    engine.dispose()


def test_require_schema_older(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    future = code_of_the_future(tmp_path)
    monkeypatch.setattr("case_monitor.__file__", str(future / "case_monitor" / "__init__.py"))
    with pytest.raises(StoreError, match=rf"older schema {HEAD}; run: case-monitor db upgrade$"):
        require_schema(engine)


def test_require_schema_newer(engine: Engine) -> None:
    set_revision(engine, "9999")
    with pytest.raises(StoreError, match=r"schema 9999, which is newer than case-monitor .*; install"):
        require_schema(engine)
    url = engine.url.render_as_string(hide_password=False)
    for migrate in (upgrade, partial(downgrade, revision="base")):
        with pytest.raises(StoreError, match=r"9999.*install the case-monitor that upgraded it"):
            migrate(url)
    with pytest.raises(StoreError, match=r"install the case-monitor that upgraded it, or a newer one$"):
        open_store(url)


def test_a_store_that_does_not_open_names_the_remedy() -> None:
    with pytest.raises(StoreError, match=r"refused.*; set database_url right, or start the server") as caught:
        open_store(f"postgresql://u:{QUOTED}@127.0.0.1:1/db")
    assert SECRET not in str(caught.value)


def test_migrations_are_found_in_wheel_and_checkout(tmp_path: Path) -> None:
    package = tmp_path / "case_monitor"
    (tmp_path / "migrations").mkdir()
    package.mkdir()
    assert migrations_folder(package) == tmp_path / "migrations"
    (package / "migrations").mkdir()
    assert migrations_folder(package) == package / "migrations"


def test_a_folder_name_with_percent_is_no_interpolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("case_monitor.__file__", str(tmp_path / "100%(here)s" / "case_monitor" / "__init__.py"))
    assert alembic_config().get_main_option("script_location") == str(tmp_path / "100%(here)s" / "migrations")


def code_of_the_future(tmp_path: Path) -> Path:
    """A checkout whose migrations go one revision further."""
    checkout = tmp_path / "future"
    shutil.copytree(migrations_folder(Path(alembic_config.__code__.co_filename).parents[1]), checkout / "migrations")
    (checkout / "migrations" / "versions" / "9999_more.py").write_text(
        f"revision, down_revision = '9999', '{HEAD}'\ndef upgrade(): pass\ndef downgrade(): pass\n"
    )
    return checkout


def test_an_installation_without_migrations_says_so(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("case_monitor.__file__", str(tmp_path / "case_monitor" / "__init__.py"))
    with pytest.raises(StoreError, match=r"versions: the migrations were expected there, none came; install"):
        require_schema(engine)


def test_the_revisions_that_a_schema_is_held_against_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert revisions() == [script.revision for script in scripts.walk_revisions()][::-1]
    assert revisions()[-1] == scripts.get_current_head()
