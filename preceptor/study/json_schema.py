"""The JSON Schema of study files, for completion and checks in editors: `make study-schema`.

It is the schema of `Study`, extended with grids, defaults, and `${VAR}` in place of a number, a boolean or
one of several words. It is more lenient than the loader for keys that defaults may fill in.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from preceptor.study.fields import InGrids
from preceptor.study.schema import Study
from preceptor.study.sections import DEFAULTS, DISCRIMINATORS, axes, sections

Schema = dict[str, Any]
REFERENCE = "#/$defs/"
# pydantic's names of bounds that it checks after one of our validators.
BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
VARIABLE: Schema = {"$ref": f"{REFERENCE}Variable"}
SHARED: Schema = {
    "Variable": {"type": "string", "pattern": r"\$\{[A-Za-z_]", "description": "${VAR} or ${VAR:-default}."},
    "Names": {
        "anyOf": [{"const": "all"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}, VARIABLE],
        "description": "'all', or a list of names.",
    },
    "Seeds": {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"type": "integer"}, VARIABLE]},
        "description": "One entry for each of these seeds.",
    },
    "Template": {
        "type": "string",
        "description": "A template for the names of the entries, in quotes: '{base}-{recipe}'.",
    },
}


def study_schema(study: type[BaseModel]) -> Schema:
    """The JSON Schema of a study file."""
    schema: Schema = _with_variables(study.model_json_schema())
    parts, properties = schema["$defs"], schema["properties"]
    parts |= SHARED
    shared: Schema = {}
    for section, kinds in sections(study).items():
        for kind in kinds:
            parts[kind.__name__]["required"] = ["name"]  # defaults may set the others
        shared[section] = _object(_common(parts, kinds), f"Defaults for the entries of `{section}`.")
        gridded = [kind for kind in kinds if issubclass(kind, InGrids)]
        parts |= {f"{kind.__name__}Grid": _grid(parts[kind.__name__], kind) for kind in gridded}
        if gridded:
            grids = [_reference(f"{kind.__name__}Grid") for kind in gridded]
            listed = {"type": "array", "items": {"anyOf": [_reference(k.__name__) for k in kinds] + grids}}
            properties[section] |= {"anyOf": [listed, *grids]}
            del properties[section]["type"], properties[section]["items"]
    properties[DEFAULTS] = _object(shared, "Defaults by section, for entries that do not set a key.")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_variables(schema: Any) -> Any:
    """The schema without titles, with a variable as an alternative to each number, boolean and enum."""
    if isinstance(schema, list):
        return [_with_variables(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            found[key] = {name: _with_variables(part) for name, part in value.items()}
        elif key == "oneOf":  # if defaults set the engine, an entry may match several kinds
            found["anyOf"] = _with_variables(value)
        elif key not in ("title", "discriminator"):
            found[BOUNDS.get(str(key), str(key))] = (
                value if key in ("default", "enum") else _with_variables(value)
            )
    if found.get("type") in ("integer", "number", "boolean") or "enum" in found:
        about = {key: found.pop(key) for key in ("description", "default") if key in found}
        return {"anyOf": [found, VARIABLE], **about}
    return found


def _common(parts: Schema, kinds: Sequence[type[BaseModel]]) -> Schema:
    """The keys of all kinds except `name`, each with its schema in any of them."""
    found: dict[str, dict[str, Schema]] = {}
    for kind in kinds:
        for key, value in parts[kind.__name__]["properties"].items():
            found.setdefault(key, {}).setdefault(json.dumps(value), _property(kind, key))
    options = {key: list(values.values()) for key, values in found.items() if key != "name"}
    return {key: known[0] if len(known) == 1 else {"anyOf": known} for key, known in options.items()}


def _grid(entry: Schema, model: type[BaseModel]) -> Schema:
    """A grid of entries: the entry's keys, and the keys that list values."""
    own = {key: _property(model, key) for key in entry["properties"] if key != "name"}
    tags = {key: value for key, value in entry["properties"].items() if key in DISCRIMINATORS}
    listed = {key: _reference("Seeds" if key == "seeds" else "Names") for key in axes(model)}
    properties = {"name": _reference("Template"), **own, **tags, **listed}
    grid = _object(properties, f"One entry per combination of the lists. {entry.get('description', '')}")
    return {**grid, "anyOf": [{"required": [*tags, key]} for key in listed]}


def _property(kind: type[BaseModel], key: str) -> Schema:
    return _reference(f"{kind.__name__}/properties/{key}")


def _object(properties: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
    }


def _reference(name: str) -> Schema:
    return {"$ref": f"{REFERENCE}{name}"}


def schema_text(study: type[BaseModel] = Study) -> str:
    """The text of the schema file."""
    return json.dumps(study_schema(study), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_text(), encoding="utf-8")
