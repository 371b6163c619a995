"""Tiny models of four real families, each with a tokenizer, special tokens and a chat template of its own.

The head size is 32, the smallest that vLLM's CPU engine takes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["llama", "qwen3", "gemma2", "phi3", "mistral"]
HEAD = 32
CONTEXT = 256
PAD = "<pad>"


@dataclass(frozen=True)
class Size:
    """Width in heads, and depth."""

    heads: int
    layers: int


SMALL, LARGE = Size(2, 2), Size(3, 3)


@dataclass(frozen=True)
class Chat:
    """A family's special tokens and how it writes a conversation down."""

    bos: str | None
    end_of_turn: str
    others: tuple[str, ...]
    template: str


def _template(bos: str, user: str, assistant: str, end: str) -> str:
    """Every turn is a header, the words and the end token; system prompts go into a header of their own."""
    return (
        f"{bos}{{% for m in messages %}}"
        f"{{% if m['role'] == 'assistant' %}}{{{{ {assistant!r} + m['content'] + {end!r} }}}}"
        f"{{% else %}}{{{{ {user!r}.replace('user', m['role']) + m['content'] + {end!r} }}}}"
        "{% endif %}{% endfor %}"
        f"{{% if add_generation_prompt %}}{{{{ {assistant!r} }}}}{{% endif %}}"
    )


CHATS: dict[Family, Chat] = {
    "llama": Chat(
        "<|begin_of_text|>",
        "<|eot_id|>",
        ("<|start_header_id|>", "<|end_header_id|>"),
        _template(
            "<|begin_of_text|>",
            "<|start_header_id|>user<|end_header_id|>\n",
            "<|start_header_id|>assistant<|end_header_id|>\n",
            "<|eot_id|>",
        ),
    ),
    "qwen3": Chat(
        None,
        "<|im_end|>",
        ("<|im_start|>", "<|endoftext|>"),
        _template("", "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"),
    ),
    "gemma2": Chat(
        "<bos>",
        "<end_of_turn>",
        ("<start_of_turn>",),
        _template("<bos>", "<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n"),
    ),
    "phi3": Chat(
        None,
        "<|end|>",
        ("<|user|>", "<|assistant|>", "<|system|>"),
        _template("", "<|user|>\n", "<|assistant|>\n", "<|end|>\n"),
    ),
    "mistral": Chat("<s>", "</s>", ("[INST]", "[/INST]"), _template("<s>", "[INST] ", "[/INST] ", "</s>")),
}
PLAIN_TEXT = Chat("<s>", "</s>", (), "")


def make_tokenizer(texts: Iterable[str], chat: Chat, vocabulary: int) -> Any:
    """A byte-level BPE trained on these texts; every digit is a token, so that numbers line up."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token in (PAD, chat.bos, chat.end_of_turn, *chat.others) if token]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=chat.bos,
        eos_token=chat.end_of_turn,
        pad_token=PAD,
        additional_special_tokens=list(chat.others),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = chat.template or None
    return fast


def make_config(family: Family, size: Size, tokenizer: Any) -> Any:
    """A transformers configuration of the family at this size."""
    import transformers

    width = size.heads * HEAD
    common = {
        "vocab_size": len(tokenizer),
        "hidden_size": width,
        "intermediate_size": width * 8 // 3 // 16 * 16,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "initializer_range": 0.1,  # about 1/√width: the usual 0.02 wakes up slowly at this size
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    match family:
        case "llama":
            return transformers.LlamaConfig(**common)
        case "qwen3":
            return transformers.Qwen3Config(**common, head_dim=HEAD)
        case "gemma2":
            scale = {"head_dim": HEAD, "query_pre_attn_scalar": HEAD, "sliding_window": CONTEXT}
            return transformers.Gemma2Config(**common, **scale)
        case "phi3":
            return transformers.Phi3Config(**common, sliding_window=None)
        case "mistral":
            return transformers.MistralConfig(**common, head_dim=HEAD, sliding_window=None)
