"""Whether anything guards all the tables of a study: asked once, before work that reads them begins."""

from dataclasses import replace

from preceptor.lake.schemas import TABLES
from preceptor.lake.store import Lake
from preceptor.lake.trust import trust


def gaps(lake: Lake) -> list[str]:
    """A sentence for each file of hashes that is missing or damaged. Raises LakeError for a bad store."""
    found = []
    for table in (*TABLES.values(), *(replace(t, name=f"_staging/{t.name}") for t in TABLES.values())):
        with lake.reading(table):
            found += trust(lake.files(table)).unguarded()
    return found
