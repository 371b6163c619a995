"""Add owners, hardware tag, source link and code version to every asset."""

import inspect
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import dagster as dg

from assets.code_versions import CODE_VERSIONS

OWNERS = ["team:preceptor"]


def owned(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets with owners, code version, a tag `compute` (their pool, else `cpu`) and a source link.

    `dg.with_source_code_references` would link to the file of the decorator `told`, not to the asset's own.
    """
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # source links are a beta feature
        return [asset.map_asset_specs(partial(_owned, asset)) for asset in assets]


def _owned(asset: dg.AssetsDefinition, spec: dg.AssetSpec) -> dg.AssetSpec:
    return spec.replace_attributes(
        owners=OWNERS,
        code_version=CODE_VERSIONS[spec.key.to_user_string()],
        tags={**spec.tags, "compute": asset.op.pool or "cpu"},
        metadata={**spec.metadata, "dagster/code_references": _source(asset)},
    )


def _source(asset: dg.AssetsDefinition) -> dg.CodeReferencesMetadataValue:
    compute = inspect.unwrap(asset.op.compute_fn.decorated_fn)
    file, line = Path(inspect.getfile(compute)).resolve(), inspect.getsourcelines(compute)[1]
    return dg.CodeReferencesMetadataValue(
        code_references=[dg.LocalFileCodeReference(file_path=str(file), line_number=line)]
    )
