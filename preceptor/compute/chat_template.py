"""Chat templates: named prompt formats, and a model's own template with the file that it comes from.

A model's own template runs first in a separate process with limits on time and memory.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

# Tags are ordinary text, not added vocabulary (Tülu 1, arXiv 2306.04751; open-instruct's finetune.py). A
# tokenizer without a BOS or EOS token renders an empty string there. Line breaks after a block tag are
# written as strings, because templates are rendered with trim_blocks, which would remove them.
TEMPLATES: dict[str, str] = {
    "tulu": (
        "{{ bos_token }}"
        "{% for m in messages %}"
        "{% if m['role'] == 'assistant' %}<|assistant|>\n{{ m['content'] }}{{ eos_token }}"
        "{% else %}<|{{ m['role'] }}|>\n{{ m['content'] }}{% endif %}"
        "{% if not loop.last or add_generation_prompt %}{{ '\n' }}{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
    "chatml": (
        "{{ bos_token }}"
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "plain": (
        "{{ bos_token }}"
        "{% for m in messages %}{{ m['content'] }}"
        "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
        "{% if not loop.last or add_generation_prompt %}{{ '\n\n' }}{% endif %}"
        "{% endfor %}"
    ),
    # The text unchanged, for a model that continues it.
    "raw": "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}",
}
PROMPT_DATE = date(2024, 7, 26)  # the default date of Llama 3's templates
OTHER_FORMAT = "set 'prompt_format' to tulu, chatml or plain"
TRIAL_SECONDS = 10  # of CPU time
TRIAL_BYTES = 2**29
FILE = "chat_template.jinja"
CONFIG = "tokenizer_config.json"
Message = Mapping[str, str]


class TemplateProblem(ValueError):
    """A conversation that a chat template refuses or changes. The message becomes the row's error."""


class UnusableTemplateError(TemplateProblem):
    """A chat template that cannot render any conversation, or may never end."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template's source, its name in messages, and the date that it may show."""

    source: str
    origin: str = "the chat template"
    date: date = PROMPT_DATE

    def text(self, tokens: Mapping[str, str], messages: Iterable[Message], prompt: bool) -> str:
        """Render the messages. `tokens` are the tokenizer's special tokens; `prompt` opens the next answer.

        Raises TemplateProblem if the template renders nothing, never ends or refuses the messages.
        """
        from preceptor.compute.sandbox import EndlessTemplateError, compiled, render_template

        listed = [dict(message) for message in messages]
        names = {**tokens, "messages": listed, "tools": None, "documents": None}
        characters = sum(len(message["content"]) for message in listed)
        try:
            compiled(self.source)
        except Exception as error:
            raise UnusableTemplateError(f"{self.origin} cannot be read: {_reason(error)}") from error
        try:
            text = render_template(
                self.source, self.date, names | {"add_generation_prompt": prompt}, characters
            )
        except (EndlessTemplateError, RecursionError, MemoryError, OverflowError) as error:
            raise UnusableTemplateError(self.endless(_reason(error))) from error
        except Exception as error:
            raise TemplateProblem(
                f"{self.origin} refuses the conversation: {_reason(error)}; fix it, or {OTHER_FORMAT}"
            ) from error
        if not text.strip():
            raise TemplateProblem(f"{self.origin} renders nothing; fix it, or {OTHER_FORMAT}")
        return text

    def endless(self, why: str) -> str:
        """The message for a template that was stopped."""
        return f"{self.origin} never ends or grows without limit ({why}); fix it, or {OTHER_FORMAT}"


def template_of(tokenizer: Any, prompt_format: str, prompt_date: date | None = None) -> ChatTemplate:
    """The chat template of a named format, or the tokenizer's `own`, with the date that it shows.

    Raises TemplateProblem if the template is missing, cannot be read or never ends.
    """
    day = prompt_date or PROMPT_DATE
    if prompt_format != "own":
        return ChatTemplate(TEMPLATES[prompt_format], f"the prompt format {prompt_format!r}", day)
    template = ChatTemplate(_own(tokenizer), _origin(tokenizer), day)
    tokens = json.dumps(special_tokens(tokenizer), sort_keys=True)
    if problem := _tried(template, tokens):
        raise TemplateProblem(problem)
    return template


def special_tokens(tokenizer: Any) -> dict[str, str]:
    """The special tokens that a template may use."""
    return dict(tokenizer.special_tokens_map)


def uses_date(model: str) -> bool:
    """Whether a model's own template may show the date. True for a hub model, whose files are not local."""
    folder = Path(model)
    if not folder.is_dir():
        return True
    files = [*folder.glob("*.jinja"), *folder.glob("*/*.jinja"), folder / CONFIG]
    return any("strftime_now" in file.read_text(errors="replace") for file in files if file.is_file())


def _own(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    if found is None:
        raise TemplateProblem(
            f"{tokenizer.name_or_path} has no chat template; set 'prompt_format' to one of"
            f" {', '.join(name for name in TEMPLATES if name != 'raw')}"
        )
    if isinstance(found, dict) and "default" not in found:
        raise TemplateProblem(
            f"{tokenizer.name_or_path} has several chat templates ({', '.join(sorted(found))}), but none is"
            f" named 'default'; name one 'default', or {OTHER_FORMAT}"
        )
    return str(found["default"] if isinstance(found, dict) else found)


def _origin(tokenizer: Any) -> str:
    """The name of the tokenizer's own template in messages. Logs which one is used if there are several."""
    name, found = tokenizer.name_or_path, tokenizer.chat_template
    if not name:  # a tokenizer created in memory
        return "the chat template"
    origin = f"the chat template of {name}"
    folder = Path(name)
    if folder.is_dir():
        in_file, configured = (folder / FILE).is_file(), _configured(folder)
        origin += f" ({FILE if in_file else CONFIG})"
        if in_file and configured not in (None, _own(tokenizer)):
            log.warning("%s is used; %s contains a different one", origin, CONFIG)
    if isinstance(found, dict) and len(found) > 1:
        log.warning("%s is used: 'default', one of %s", origin, ", ".join(sorted(found)))
    return origin


def _configured(folder: Path) -> object:
    """The template in tokenizer_config.json, if there is one."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config.get("chat_template") if isinstance(config, dict) else None


@lru_cache(maxsize=64)
def _tried(template: ChatTemplate, tokens: str) -> str | None:
    """Run an untrusted template in a limited child process. Returns what is wrong with it, or None."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    child = subprocess.run(
        [sys.executable, "-m", "preceptor.compute.template_trial", str(TRIAL_SECONDS), str(TRIAL_BYTES)],
        input=json.dumps([template.source, template.origin, template.date.isoformat(), tokens]),
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"},
    )
    if child.returncode == 0:
        return child.stdout or None
    if -child.returncode in (signal.SIGXCPU, signal.SIGKILL):
        return template.endless(f"more than {TRIAL_SECONDS} s of CPU time")
    last = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
    if "MemoryError" in last:
        return template.endless(f"more than {TRIAL_BYTES // 2**20} MiB")
    return f"{template.origin} failed in a trial run: {last}; fix it, or {OTHER_FORMAT}"


def _reason(error: Exception) -> str:
    """The error's text on one line, with the template's line number if it is known."""
    line = getattr(error, "lineno", None)
    message = " ".join(str(error).split())[:300] or type(error).__name__
    return message if line is None else f"{message} (line {line})"
