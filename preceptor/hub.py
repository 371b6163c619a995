"""Check before a study runs that the hub knows its models and datasets, to catch mistyped names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

SECONDS = 10.0  # timeout of one request
LIKE = 5  # similar names requested for an unknown one
Kind = Literal["model", "dataset"]


@dataclass(frozen=True)
class HubName:
    """A model or dataset as a study names it."""

    kind: Kind
    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" + (f" at {self.revision!r}" if self.revision else "")


class UnreachableError(RuntimeError):
    """The hub does not answer. The message says why."""


def unknown_names(names: Iterable[HubName]) -> Iterator[str]:
    """A sentence for each name that the hub does not know or refuses.

    Raises UnreachableError as soon as the hub does not answer.
    """
    for name in dict.fromkeys(names):
        if problem := _problem(name):
            yield problem


def is_cached(name: HubName) -> bool:
    """Whether a model's configuration is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name.name, "config.json", revision=name.revision), str)


def _problem(name: HubName) -> str | None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        DisabledRepoError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        HfApi().repo_info(name.name, repo_type=name.kind, revision=name.revision, timeout=SECONDS)
    except GatedRepoError:
        return f"{name} is gated; accept its terms on its page, and set HF_TOKEN to a token that may read it"
    except RevisionNotFoundError:
        return f"{name}: the hub has the {name.kind}, but not this revision"
    except RepositoryNotFoundError:
        return f"{name} is unknown to the hub, or private (then set HF_TOKEN){_did_you_mean(name)}"
    except (DisabledRepoError, HFValidationError) as error:
        return f"{name}: {_first_line(error)}"
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            return f"{name}: the hub refuses access ({status}); set HF_TOKEN to a token that may read it"
        raise UnreachableError(_first_line(error)) from error
    except Exception as error:  # networks fail in many ways
        raise UnreachableError(_first_line(error) or type(error).__name__) from error
    return None


def _did_you_mean(name: HubName) -> str:
    """The most similar name that the hub finds, as a question; empty if there is none."""
    from huggingface_hub import HfApi

    hub = HfApi()
    ask = hub.list_models if name.kind == "model" else hub.list_datasets
    stem = name.name.rsplit("/", 1)[-1]
    try:
        found = [repository.id for repository in ask(search=stem, limit=LIKE)]
    except Exception:  # a suggestion is optional
        return ""
    similar = get_close_matches(name.name, found, n=1, cutoff=0.5)
    return f". Did you mean {similar[0]!r}?" if similar else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
