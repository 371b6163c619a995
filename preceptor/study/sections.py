"""The sections of a study: the models of their entries, and the fields that name other sections' entries."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from preceptor.study.fields import NameOf

DEFAULTS = "defaults"  # the key of a study file with values that a section's entries share
DISCRIMINATORS = ("kind", "engine")  # the fields that choose a model of a union


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation: a union, a tuple or an Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def entries_in(value: Any) -> list[dict[str, Any]]:
    """The mappings in a section of a file, which may be invalid."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def entry_names(value: Any) -> list[str]:
    """The names of a section's entries in a file, which may be invalid."""
    return [item["name"] for item in entries_in(value) if isinstance(item.get("name"), str)]


def kind_of(item: dict[str, Any], kinds: Sequence[type[BaseModel]]) -> type[BaseModel] | None:
    """The model of an entry, chosen by its kind; None if the kind is missing or unknown."""
    if len(kinds) == 1:
        return kinds[0]
    for kind in kinds:
        for key in DISCRIMINATORS:
            if key in kind.model_fields and item.get(key) in get_args(kind.model_fields[key].annotation):
                return kind
    return None


@lru_cache
def references(model: type[BaseModel]) -> dict[str, str]:
    """The fields of a model that name entries of a section of the study, with that section."""
    found = {
        name: _named(Annotated[field.annotation, None, *field.metadata])
        for name, field in model.model_fields.items()
    }
    return {name: section for name, section in found.items() if section is not None}


@lru_cache
def sections(study: type[BaseModel]) -> dict[str, list[type[BaseModel]]]:
    """The study's lists of named entries, each with the models of its entries."""
    listed = {
        name: models_in(field.annotation)
        for name, field in study.model_fields.items()
        if get_origin(field.annotation) is tuple
    }
    return {name: kinds for name, kinds in listed.items() if all("name" in k.model_fields for k in kinds)}


@lru_cache
def axes(model: type[BaseModel]) -> dict[str, str]:
    """The keys that a grid of these entries may have, each with the field that it varies: `bases`, `base`.

    They are in the order of the fields. If entries name a recipe, `teachers` stands for the one-teacher
    recipes of these teachers.
    """
    named = references(model)
    listed = [(section, field) for field, section in named.items()]
    listed += [("teachers", field) for field, section in named.items() if section == "recipes"]
    listed += [("seeds", "seed")] if "seed" in model.model_fields else []
    order = list(model.model_fields)
    listed.sort(key=lambda axis: order.index(axis[1]))
    return {key: field for key, field in listed if key not in order}


def _named(annotation: Any) -> str | None:
    """The section whose entries an annotation names: as one name, a list, or the keys of a mapping."""
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    marked = (mark.section for mark in marks if isinstance(mark, NameOf))
    below = (section for part in get_args(annotation) if (section := _named(part)) is not None)
    return next(iter((*marked, *below)), None)
