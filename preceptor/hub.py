"""Whether a hub knows a model or dataset: asked before a study runs, so that no name is mistyped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

SECONDS = 10.0  # for one question
LIKE = 5  # names that are asked for where one is unknown
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
    """No hub answers; its text says why."""


def unknown_names(names: Iterable[HubName]) -> Iterator[str]:
    """A sentence for each name that the hub does not know or does not give out.

    Raises UnreachableError as soon as the hub does not answer.
    """
    for name in dict.fromkeys(names):
        if problem := _problem(name):
            yield problem


def is_cached(name: HubName) -> bool:
    """Whether a model's configuration lies on this machine already."""
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
        return f"{name} is gated: accept its terms on its page, and set HF_TOKEN to a token that may read it"
    except RevisionNotFoundError:
        return f"{name}: the hub knows the {name.kind}, and no such revision of it"
    except RepositoryNotFoundError:
        return f"{name} is unknown to the hub, or private (then set HF_TOKEN){_did_you_mean(name)}"
    except (DisabledRepoError, HFValidationError) as error:
        return f"{name}: {_first_line(error)}"
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            return f"{name}: the hub refuses it ({status}): set HF_TOKEN to a token that may read it"
        raise UnreachableError(_first_line(error)) from error
    except Exception as error:  # whatever a network makes of it
        raise UnreachableError(_first_line(error) or type(error).__name__) from error
    return None


def _did_you_mean(name: HubName) -> str:
    """The most similar names that the hub finds, as a question; nothing where there are none."""
    from huggingface_hub import HfApi

    hub = HfApi()
    ask = hub.list_models if name.kind == "model" else hub.list_datasets
    stem = name.name.rsplit("/", 1)[-1]
    try:
        found = [repository.id for repository in ask(search=stem, limit=LIKE)]
    except Exception:  # the name is wrong either way
        return ""
    similar = get_close_matches(name.name, found, n=1, cutoff=0.5)
    return f". Did you mean {similar[0]!r}?" if similar else ""


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
