"""The location of the study's tables: a local folder, or an S3 prefix with credentials in AWS_* variables."""

import dagster as dg

from preceptor.lake.store import Lake


class LakeResource(dg.ConfigurableResource):
    """The Delta tables of one study in a store."""

    store: str
    study: str

    def open(self) -> Lake:
        """Open the lake."""
        return Lake(self.store, self.study)
