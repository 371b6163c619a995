"""What TRL's trainer feeds to the model, against masks written by hand from the texts' bytes."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from preceptor.tuning.task import Machine
from preceptor.tuning.train import train
from tests.conftest import byte_tokenizer
from tests.tuning.samples import KINDS, LONG, LONG_TURNS, MULTI, SYSTEM, rows, save_base, study, trainer_of

EOS, BOS, STOP = "<|eos|>", "<|bos|>", "<|im_end|>"
# An own template whose prompt ends in a letter, so that "t" and the answer's "h" become one token.
GLUED = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}{{ m['content'] }}{{ eos_token }}"
    "{% else %}{{ m['content'] }}:t{% endif %}{% endfor %}"
)
# Llama 2's way: what the assistant says has a blank before it and one behind it.
LLAMA2 = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %} {{ m['content'] }} {{ eos_token }}"
    "{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}{% endfor %}"
)
OWN = {"own": GLUED, "llama2": LLAMA2}


def pieces(prompt_format, system, user, turns):
    """The text in pieces, each with whether it is learned, as the formats are documented."""
    before, asked, closed, between = {
        "tulu": ("<|system|>\n{}\n", "<|user|>\n{}\n<|assistant|>\n", EOS, "\n"),
        "chatml": (
            "<|im_start|>system\n{}<|im_end|>\n",
            "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
            STOP,
            "\n",
        ),
        "plain": ("{}\n\n", "{}\n\n", EOS, "\n\n"),
        "own": ("{}:t", "{}:t", EOS, ""),
        "llama2": ("[INST] {} [/INST]", "[INST] {} [/INST]", f" {EOS}", ""),
    }[prompt_format]
    yield BOS, False
    if system is not None:
        yield before.format(system), False
    for number, (question, answer) in enumerate(zip(user, turns, strict=True)):
        yield asked.format(question), False
        yield (" " if prompt_format == "llama2" else "") + answer + closed, True
        if number < len(user) - 1 or prompt_format == "chatml":
            yield between, False


def by_hand(tokenizer, prompt_format, conversation, context):
    """Ids and labels: a token is learned if any of its bytes is; then the documented cut."""
    parts = list(pieces(prompt_format, *conversation))
    learned = [flag for text, flag in parts for _ in text.encode()]
    ids, labels, position = [], [], 0
    for token in tokenizer.tokenize("".join(text for text, _ in parts)):
        size = len(token)  # a letter of the byte-level alphabet is a byte, and special tokens are ASCII
        ids.append(tokenizer.convert_tokens_to_ids(token))
        labels.append(ids[-1] if any(learned[position : position + size]) else -100)
        position += size
    assert position == len(learned)
    if len(ids) > context:
        prompt = next(i for i, label in enumerate(labels) if label != -100)
        kept = min(prompt, context // 2)
        start = prompt - kept
        ids, labels = ids[start:], labels[start:]
        if start:
            ids[0] = tokenizer.bos_token_id
    return ids[:context], labels[:context]


def fed(trainer):
    """Every row of every batch, without its padding."""
    for batch in trainer.get_train_dataloader():
        lengths = batch["attention_mask"].sum(1).tolist()
        for ids, labels, length in zip(batch["input_ids"], batch["labels"], lengths, strict=True):
            assert (labels[length:] == -100).all()
            yield ids[:length].tolist(), labels[:length].tolist()


def base_for(prompt_format, folder):
    tokens = ("<|im_start|>", STOP) if prompt_format == "chatml" else ()
    return save_base(folder / "base", *tokens, template=OWN.get(prompt_format))


@pytest.mark.parametrize("prompt_format", ["tulu", "chatml", "plain", "own", "llama2"])
@pytest.mark.parametrize("max_length", [None, 90, 41])
def test_labels_that_the_model_gets_equal_those_made_by_hand(tmp_path, prompt_format, max_length):
    model = base_for(prompt_format, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(model)
    named = "own" if prompt_format in OWN else prompt_format
    setting = study(model, base={"prompt_format": named}, max_length=max_length, batch_size=3)
    trainer, examples = trainer_of(setting, rows(KINDS), tmp_path)
    expected = [by_hand(tokenizer, prompt_format, kind, max_length or 128) for kind in KINDS]
    assert sorted(fed(trainer)) == sorted(expected)
    assert len(examples.rows) == len(KINDS)
    full = [by_hand(tokenizer, prompt_format, kind, 10**9) for kind in KINDS]
    longer = {f"r{i}" for i, (ids, _) in enumerate(full) if len(ids) > (max_length or 128)}
    assert set(examples.truncated) == longer
    assert longer >= {f"r{KINDS.index(LONG)}", f"r{KINDS.index(LONG_TURNS)}"}
    assert examples.tokens == sum(label != -100 for _, labels in expected for label in labels)


def test_a_token_on_the_boundary_is_learned(tmp_path):
    glued = (None, ("Say",), ("he said",))
    trainer, _ = trainer_of(
        study(base_for("own", tmp_path), base={"prompt_format": "own"}), rows([glued]), tmp_path
    )
    ((ids, labels),) = fed(trainer)
    first = next(label for label in labels if label != -100)
    assert byte_tokenizer().decode([first]) == "th"
    assert byte_tokenizer().decode(ids).startswith("<|bos|>Say:the said")


def cross_entropies(model, ids, labels):
    """Of the tokens that count, one row at a time, in float64."""
    with torch.no_grad():
        log_p = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return [-log_p[i - 1, token].item() for i, token in enumerate(labels) if i and token != -100]


@pytest.mark.parametrize("says", [True, False])  # Gemma 4 says that its own loss knows no batch
def test_the_loss_of_a_batch_is_the_mean_over_its_learned_tokens(tmp_path, monkeypatch, says):
    monkeypatch.setattr(LlamaForCausalLM, "accepts_loss_kwargs", says, raising=False)
    path = base_for("tulu", tmp_path)
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path).eval()
    kinds = [SYSTEM, MULTI, LONG, LONG_TURNS]  # of different lengths: a mean of rows' means would differ
    trainer, _ = trainer_of(study(path), rows(kinds), tmp_path, Machine("cpu", rows_per_device=2))
    nll = [cross_entropies(model, *by_hand(tokenizer, "tulu", kind, 128)) for kind in kinds]
    training = train(trainer, "run")
    assert (training.steps, training.loss_steps) == (1, [1])
    counted = [value for row in nll for value in row]
    assert training.losses[0] == pytest.approx(sum(counted) / len(counted), abs=1e-5)
    assert training.losses[0] != pytest.approx(sum(sum(row) / len(row) for row in nll) / 4, abs=1e-4)
