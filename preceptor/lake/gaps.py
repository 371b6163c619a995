"""Which hash files of a study's tables are missing or damaged. Checked once, before the tables are read."""

from dataclasses import replace

from preceptor.lake.schemas import TABLES
from preceptor.lake.store import Lake
from preceptor.lake.trust import trust


def gaps(lake: Lake) -> list[str]:
    """A sentence for each missing or damaged hash file. Raises LakeError if the store cannot be read."""
    found = []
    for table in (*TABLES.values(), *(replace(t, name=f"_staging/{t.name}") for t in TABLES.values())):
        with lake.reading(table):
            found += trust(lake.files(table)).unguarded()
    return found
