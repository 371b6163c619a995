"""Check a local model folder without loading its weights.

The checks before a study use this function. Each load runs the same checks again.
"""

from pathlib import Path
from typing import Any

from preceptor.compute.adapter import refuse_adapter
from preceptor.compute.configuration import GENERATION, refuse_wrong_generation
from preceptor.compute.load import ModelError, context_length, load_tokenizer
from preceptor.compute.reward import label_of
from preceptor.compute.tensors import meta_model
from preceptor.compute.use import Use
from preceptor.compute.vocabulary import embedding_rows, tokenizer_problem
from preceptor.compute.weights import ConfigError, FolderError


def folder_problems(model: str, revision: str, use: Use) -> list[str]:
    """One sentence per problem of a model folder. For a hub id only its adapter is checked."""
    folder, problems, meta = Path(model), [], None
    try:
        meta = meta_model(model, use.head, use.vllm, use.own_code) if folder.is_dir() else None
    except ConfigError as problem:
        return [str(problem)]  # loading the tokenizer would fail for the same reason
    except FolderError as problem:
        problems.append(str(problem))
    try:
        if use.adapter is not None:
            refuse_adapter(use.adapter, meta)
        if use.head == "language model" and (folder / GENERATION).exists():
            refuse_wrong_generation(folder / GENERATION)
    except FolderError as problem:
        problems.append(str(problem))
    problems += _no_context(meta, use)
    if not folder.is_dir():
        return problems
    try:
        if meta is not None and use.head == "classifier":
            label_of(model, meta.config.num_labels, use.label)
        tokenizer = load_tokenizer(model, revision)
    except ModelError as error:
        return [*problems, str(error)]
    if meta is not None and (found := tokenizer_problem(tokenizer, embedding_rows(meta), use.prompt_format)):
        problems.append(found)
    return problems


def _no_context(meta: Any | None, use: Use) -> list[str]:
    if meta is None:
        return []
    try:
        context_length(meta, use.max_length)
    except ModelError as error:
        return [str(error)]
    return []
