"""Where the study's tables lie: a local folder, or an S3 prefix with credentials in AWS_* variables."""

import dagster as dg

from preceptor.lake.store import Lake


class LakeResource(dg.ConfigurableResource):
    """The Delta tables of one study under a store."""

    store: str
    study: str

    def open(self) -> Lake:
        """The lake itself."""
        return Lake(self.store, self.study)
