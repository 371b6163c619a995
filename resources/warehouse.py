"""DuckDB sessions over the lake, with the statements of sql/."""

from pathlib import Path

import dagster as dg

from preceptor.lake.schemas import Table
from preceptor.lake.warehouse import Warehouse
from resources.lake import LakeResource

SQL = Path(__file__).parent.parent / "sql"


class WarehouseResource(dg.ConfigurableResource):
    """In-memory DuckDB sessions over the study's lake."""

    lake: dg.ResourceDependency[LakeResource]

    def open(self, *tables: Table) -> Warehouse:
        """A new session with these tables attached, each at its newest version."""
        warehouse = Warehouse(self.lake.open(), SQL)
        warehouse.attach(*tables)
        return warehouse

    def open_existing(self, *tables: Table) -> Warehouse:
        """A new session with these tables attached; a missing table is empty."""
        warehouse = Warehouse(self.lake.open(), SQL)
        warehouse.attach_existing(*tables)
        return warehouse
