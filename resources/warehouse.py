"""DuckDB over the lake, with the statements of sql/."""

from pathlib import Path

import dagster as dg

from preceptor.lake.warehouse import Warehouse
from resources.lake import LakeResource

SQL = Path(__file__).parent.parent / "sql"


class WarehouseResource(dg.ConfigurableResource):
    """In-memory DuckDB sessions over the study's lake."""

    lake: dg.ResourceDependency[LakeResource]

    def open(self) -> Warehouse:
        """A fresh session; the tables that it attaches stay at one version."""
        return Warehouse(self.lake.open(), SQL)
