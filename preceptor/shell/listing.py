"""What there is to ask: the tables of a session, and the columns of one, in words."""

from collections.abc import Iterator

from preceptor.lake.schemas import TABLES
from preceptor.shell.session import MADE_BY, Session

CURRENT = {
    "current_responses": "responses under today's settings, of the study's teachers",
    "current_rewards": "rewards of these responses, by CAR's reward model",
    "current_losses": "losses of these responses, under the study's bases",
}


def table_lines(session: Session) -> Iterator[str]:
    """One line per table: its version, or what makes it, and what a row is."""
    missing = session.missing()
    width = max(map(len, TABLES))
    for table in TABLES.values():
        version = f"version {session.versions[table.name]}" if table not in missing else "–"
        asset = MADE_BY.get(table.name, table.name)
        hint = f" (empty: materialize {asset})" if table in missing else ""
        yield f"  {table.name:{width}}  {version:11}  {table.row}{hint}"
    if session.current:
        for name, meaning in CURRENT.items():
            yield f"  {name:{width}}  {'':11}  {meaning}"


def schema_lines(name: str) -> Iterator[str]:
    """A table's row, key and columns with their meanings; what there is instead where there is none."""
    table = TABLES.get(name)
    if table is None:
        yield f"no table {name!r}; there are {', '.join(TABLES)}"
        return
    yield f"{table.name}: a row is {table.row}; {', '.join((*table.partition_by, *table.key))} are its key"
    meanings = table.meanings
    width = max(len(column) for column in meanings)
    for column, dtype in table.stored.items():
        yield f"  {column:{width}}  {dtype!s:13}  {meanings[column]}"
