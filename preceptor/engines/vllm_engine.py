"""Runs vLLM inside the child process, one engine step at a time."""

import json
import re
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import AutoConfig, GenerationConfig
from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.exceptions import VLLMClientError
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.llm_engine import LLMEngine

from preceptor.compute.adapter import refuse_adapter
from preceptor.compute.answering import before_stop_text, end_tokens, prompt_ids, until_end
from preceptor.compute.configuration import GENERATION, refuse_wrong_generation
from preceptor.compute.conversation import TemplateProblem, template_of
from preceptor.compute.load import ModelError, context_length, hub_weights, load_tokenizer
from preceptor.compute.request import NOT_FINITE, Decoding, Generation, Request, ending
from preceptor.compute.tensors import meta_model, one_line
from preceptor.compute.vocabulary import tokenizer_problem
from preceptor.compute.weights import FolderError
from preceptor.engines.messages import Ask, Settings

Rows = list[tuple[int, Generation]]
INTERNAL_ID = re.compile(
    r"(?:(?P<sample>\d+)_)?(?P<request>\d+\.\d+)-"
)  # vLLM's internal id: our request id, with the number of a sample before it
HUB_FILES = ["*.json", "*.model", "*.jinja", "*.txt"]
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vLLM reserves room for one of these


class Configured:
    """A model's configuration without its weights."""

    def __init__(self, model: str, revision: str) -> None:
        try:
            self.config = AutoConfig.from_pretrained(model, revision=revision, trust_remote_code=False)
        except Exception as error:
            raise ModelError(f"model {model!r} at revision {revision!r} cannot be loaded: {error}") from error
        try:
            self.generation_config = GenerationConfig.from_pretrained(model, revision=revision)
        except OSError:  # without such a file, the model's configuration declares the end tokens
            self.generation_config = GenerationConfig.from_model_config(self.config)


class VllmEngine:
    """Answers rows. All rows in flight share the engine's batches."""

    def __init__(self, settings: Settings) -> None:
        self.decoding = settings.decoding
        refuse_impossible(settings.decoding)
        refuse_unlike(settings)
        self.tokenizer = load_tokenizer(settings.model, settings.revision)
        self.template = template_of(self.tokenizer, settings.prompt_format, settings.prompt_date)
        model = Configured(settings.model, settings.revision)
        self.rows = int(model.config.get_text_config().vocab_size)
        if problem := tokenizer_problem(self.tokenizer, self.rows, settings.prompt_format):
            raise ModelError(f"model {settings.model!r}: {problem}")
        self.context = context_length(model, settings.max_length)
        self.end_tokens = end_tokens(model.generation_config, self.tokenizer, self.rows)
        self.adapter = LoRARequest("adapter", 1, settings.adapter) if settings.adapter else None
        arguments = EngineArgs(**engine_arguments(settings, self.context))
        self.engine = LLMEngine.from_engine_args(
            arguments, usage_context=UsageContext.LLM_CLASS, enable_multiprocessing=True
        )
        self._watch_logits()
        self._asked: dict[str, list[tuple[int, Request]]] = {}
        self._answers: dict[int, Generation] = {}  # earlier turns of rows whose next turn is in flight
        self._finished_tokens = 0
        self._not_finite: set[tuple[str, int]] = set()  # (request, sample) with NaN in its logits

    def busy(self) -> bool:
        """Whether anything is in flight."""
        return bool(self._asked)

    def response_tokens(self) -> int:
        """The number of tokens generated since the start, for finished rows and rows in flight."""
        states = self.engine.output_processor.request_states.values()
        in_flight: int = sum(s.detokenizer.num_output_tokens() for s in states if s.detokenizer)
        return self._finished_tokens + in_flight

    def ask(self, ask: Ask) -> Rows:
        """Start samples of one conversation. Returns rows that fail at once, with their errors."""
        return self._ask_turn(ask.rows(), Generation())

    def step(self) -> Rows:
        """Run one engine step. Returns the rows that it finished."""
        finished: Rows = []
        output: Any  # vLLM's type includes the outputs of pooling models
        for output in self.engine.step():
            rows = self._asked.pop(output.request_id)
            for sample, ((number, request), completion) in enumerate(zip(rows, output.outputs, strict=True)):
                if (output.request_id, sample) in self._not_finite:
                    self._not_finite.remove((output.request_id, sample))
                    self._answers.pop(number, None)
                    finished.append((number, Generation(error=NOT_FINITE)))
                    continue
                finished += self._answered(number, request, len(output.prompt_token_ids), completion)
        return finished

    def wait_for_death(self) -> None:
        """Return when vLLM's own process has ended. A step would wait for a dead process for ever."""
        core: Any = self.engine.engine_core
        wait(core.resources.engine_manager.sentinels())

    def close(self) -> None:
        """End vLLM's own processes."""
        self.engine.engine_core.shutdown()

    def _watch_logits(self) -> None:
        """Record requests whose logits contain NaN. vLLM counts them, but answers anyway."""
        core = self.engine.engine_core
        get_output = core.get_output

        def watched() -> Any:
            outputs = get_output()
            for output in outputs.outputs:
                if output.num_nans_in_logits and (asked := INTERNAL_ID.match(output.request_id)):
                    self._not_finite.add((asked["request"], int(asked["sample"] or 0)))
            return outputs

        core.get_output = watched

    def _ask_turn(self, rows: list[tuple[int, Request]], before: Generation) -> Rows:
        turn = len(before.turns)
        number, request = rows[0]
        identity = f"{number}.{turn}"
        try:
            prompt = prompt_ids(self.tokenizer, self.template, request, before.turns, self.context, self.rows)
            self.engine.add_request(
                identity,
                tokens_input(prompt),
                self._parameters(len(prompt), len(rows), request.seed_of(turn)),
                lora_request=self.adapter,
            )
        except TemplateProblem as problem:
            return [(n, Generation(error=str(problem))) for n, _ in rows]
        except VLLMClientError as error:
            return [(n, Generation(error=f"vLLM refused the prompt: {error}")) for n, _ in rows]
        self._asked[identity] = rows
        self._answers |= {n: before for n, _ in rows if turn}
        return []

    def _answered(self, number: int, request: Request, prompt_tokens: int, completion: Any) -> Rows:
        """Return the row after its last turn or an error. Otherwise start its next turn."""
        before = self._answers.pop(number, Generation())
        self._finished_tokens += len(completion.token_ids)
        if completion.finish_reason not in ("stop", "length"):
            return [(number, Generation(error=f"vLLM aborted the row: {completion.finish_reason}"))]
        answer = Generation(
            turns=(*before.turns, self._text(completion.token_ids)),
            finish_reason=ending((before.finish_reason, completion.finish_reason)),
            prompt_tokens=(before.prompt_tokens or 0) + prompt_tokens,
            response_tokens=(before.response_tokens or 0) + len(completion.token_ids),
        )
        if len(answer.turns) < len(request.user):
            return self._ask_turn([(number, request)], answer)
        return [(number, answer)]

    def _parameters(self, prompt_tokens: int, samples: int, seed: int) -> SamplingParams:
        decoding = self.decoding
        return SamplingParams(
            n=samples,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            seed=seed,  # of the first sample; vLLM adds 1 for each further one
            max_tokens=min(decoding.max_new_tokens, self.context - prompt_tokens),
            stop=list(decoding.stop),
            stop_token_ids=list(self.end_tokens),
            detokenize=bool(decoding.stop),  # finished rows are decoded in `_text`
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _text(self, ids: list[int]) -> str:
        """Decode all tokens at once, as TransformersGenerator does. vLLM's own text differs at the edges."""
        text: str = self.tokenizer.decode(ids[: until_end(ids, self.end_tokens)], skip_special_tokens=True)
        return before_stop_text(text, self.decoding.stop)


def engine_arguments(settings: Settings, context: int) -> dict[str, Any]:
    """The arguments of vLLM's EngineArgs."""
    arguments: dict[str, Any] = {
        "model": settings.model,
        "revision": settings.revision,
        "tokenizer_revision": settings.revision,
        "trust_remote_code": False,
        "load_format": "safetensors",  # vLLM's default also loads pickles from a hub
        "dtype": settings.dtype,
        "max_model_len": context,
        "quantization": settings.quantization,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "gpu_memory_utilization": settings.memory_share,
        "enable_prefix_caching": settings.prefix_caching,
        "enforce_eager": settings.enforce_eager,
        "generation_config": "vllm",  # sampling defaults are the study's, not the model's
        "disable_log_stats": True,
        "seed": 0,
    }
    if current_platform.is_cpu() and settings.decoding.temperature > 0:
        # After a partial prompt, vLLM 0.32 rewinds the random generator. Torch's CPU generators cannot
        # rewind, so the engine would crash.
        arguments["enable_chunked_prefill"] = False
    if settings.adapter is not None:
        arguments |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _lora_rank(settings.adapter)}
    return arguments


def refuse_impossible(decoding: Decoding) -> None:
    """Raise ValueError for sampling parameters that vLLM refuses or changes, before it starts."""
    parameters = SamplingParams(temperature=decoding.temperature, top_p=decoding.top_p, top_k=decoding.top_k)
    if parameters.temperature != decoding.temperature:
        raise ValueError(
            f"vLLM cannot sample at temperature {decoding.temperature}: set 'temperature' to 0 or to at least"
            f" {parameters.temperature}"
        )


def refuse_unlike(settings: Settings) -> None:
    """Raise ModelError for weights or an adapter that are not safetensors or do not match the model."""
    folder = _folder(settings)
    try:
        meta = meta_model(str(folder), "language model", vllm=True)
        if settings.adapter is not None:
            refuse_adapter(settings.adapter, meta)
        if (stated := folder / GENERATION).exists():
            refuse_wrong_generation(stated)
    except FolderError as problem:
        raise ModelError(str(problem)) from problem


def _folder(settings: Settings) -> Path:
    """The model's local folder, or the snapshot of a hub that vLLM would download itself."""
    if Path(settings.model).is_dir():
        return Path(settings.model)
    try:
        wanted = [*HUB_FILES, *hub_weights(settings.model, settings.revision)]
        snapshot = snapshot_download(
            settings.model, revision=settings.revision, allow_patterns=wanted, ignore_patterns=["*/*"]
        )
        return Path(snapshot)
    except FolderError as problem:
        raise ModelError(str(problem)) from problem
    except Exception as error:
        raise ModelError(
            f"model {settings.model!r} at revision {settings.revision!r} cannot be loaded: {one_line(error)}"
        ) from error


def _lora_rank(adapter: str) -> int:
    """The adapter's highest rank, rounded up to one that vLLM supports."""
    path = Path(adapter) / "adapter_config.json"
    try:
        config = json.loads(path.read_text())
        rank = max(config["r"], *config.get("rank_pattern", {}).values(), 1)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"adapter {adapter!r} is not a LoRA folder: {path} has no rank 'r' ({error})"
        ) from error
    if rank > LORA_RANKS[-1]:
        raise ModelError(f"adapter {adapter!r} has rank {rank}: vLLM supports at most {LORA_RANKS[-1]}")
    return next(known for known in LORA_RANKS if known >= rank)
