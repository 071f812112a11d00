"""The PostgreSQL that the fixtures give is a real one, with a database for each test."""

import psycopg


def test_what_is_committed_is_read_on_another_connection(database: str) -> None:
    with psycopg.connect(database) as writer:
        writer.execute("CREATE TABLE fruit (name text)")
        writer.execute("INSERT INTO fruit VALUES ('梨')")
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT name FROM fruit").fetchall() == [("梨",)]


def test_each_test_has_a_database_of_its_own(database: str, namespace: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.info.dbname == namespace
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)
