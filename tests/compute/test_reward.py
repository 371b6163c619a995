"""Rewards do not depend on the batch. A row that cannot be scored is an error, never a number."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    MPNetConfig,
    RobertaConfig,
)

from preceptor.compute import attention
from preceptor.compute.backbone import Backbone
from preceptor.compute.check import Use, folder_problems
from preceptor.compute.conversation import Conversation, TemplateProblem
from preceptor.compute.load import ModelError
from preceptor.compute.reward import RewardScorer
from tests.compute.families import reference_varlen
from tests.conftest import CHATML, byte_tokenizer, save_classifier

ROWS = [
    Conversation(None, (q,), (a,)) for q, a in [("Hi", "x"), ("Why?", "because of the rain " * 3), ("", "")]
]


def alone(folder: str, conversation: Conversation) -> float:
    """The reward of one row without padding or batch, as transformers itself computes it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    model.config.pad_token_id = None
    text = tokenizer.apply_chat_template(conversation.messages(1, 1), tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return model(ids).logits[0, 0].item()


@pytest.mark.parametrize("tokens_per_batch", [1, 100_000])
def test_batched_rewards_equal_single_ones(reward_model, tokens_per_batch):
    rewards = RewardScorer(reward_model, tokens_per_batch=tokens_per_batch).score(ROWS)
    assert [r.reward for r in rewards] == pytest.approx([alone(reward_model, row) for row in ROWS], abs=1e-5)


def test_a_row_that_ends_in_the_pad_token_is_read_at_its_end(tmp_path):
    # EOS doubles as pad in many tokenizers; a template that ends in EOS then hides its own last token.
    template = CHATML.replace("<|im_end|>\n{% endfor %}", "<|eos|>{% endfor %}")
    folder = save_classifier(tmp_path, template=template)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(folder)
    rewards = RewardScorer(folder).score(ROWS)
    assert [r.reward for r in rewards] == pytest.approx([alone(folder, row) for row in ROWS], abs=1e-5)


def test_nan_rewards_and_over_long_rows_are_errors_of_their_rows_only(tmp_path):
    folder = save_classifier(tmp_path, template=CHATML)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("%", add_special_tokens=False)["input_ids"][0]] = (
            torch.nan
        )
    model.save_pretrained(folder)
    good, poisoned, long = RewardScorer(folder).score(
        [ROWS[0], Conversation(None, ("Q",), ("%",)), Conversation(None, ("Q",), ("x" * 50_000,))]
    )
    assert good.error is None
    assert (poisoned.reward, poisoned.error) == (None, "the reward is nan")
    assert long.reward is None
    assert "context is 128" in long.error


def test_pair_input_needs_no_template(tmp_path):
    folder = save_classifier(tmp_path)
    assert RewardScorer(folder, prompt_format="pair").score(ROWS[:2])[1].error is None
    with pytest.raises(TemplateProblem, match="set 'prompt_format' to one of"):
        RewardScorer(folder)


def test_a_pair_begins_with_the_system_prompt(tmp_path):
    scorer = RewardScorer(save_classifier(tmp_path), prompt_format="pair")
    told = Conversation("Be brief.", ("Hi",), ("x",))
    written, untold = Conversation(None, ("Be brief.\n\nHi",), ("x",)), Conversation(" ", ("Hi",), ("x",))
    rewards = [scorer.score([row])[0].reward for row in (told, written, untold, ROWS[0])]
    assert rewards[0] == rewards[1] != rewards[2] == rewards[3]


THOUGHT, SUFFIX = "<think>\n\n</think>\n\n", "{{ '<|score|>' }}"


def test_a_template_may_add_text_around_an_answer(tmp_path):
    # Qwen3's template adds an empty thought before the last answer, a reward model's own a mark after it.
    answer = "{% if m['role'] == 'assistant' %}" + THOUGHT + "{% endif %}{{ m['content'] }}"
    template = CHATML.replace("{{ m['content'] }}", answer) + SUFFIX
    folder = save_classifier(tmp_path, context=256, template=template)
    rewards = RewardScorer(folder).score(ROWS)
    assert "<think>" in AutoTokenizer.from_pretrained(folder).apply_chat_template(
        ROWS[0].messages(1, 1), tokenize=False
    )
    assert [r.reward for r in rewards] == pytest.approx([alone(folder, row) for row in ROWS], abs=1e-5)


def test_a_template_that_loses_a_turn_gives_errors_and_no_rewards(tmp_path):
    kept = (
        "{% for m in messages if m['role'] != 'system' %}{{ m['content'] | replace('$', '') }};{% endfor %}"
    )
    scorer = RewardScorer(save_classifier(tmp_path, template=kept))
    told, priced = Conversation("Be brief.", ("Hi",), ("x",)), Conversation(None, ("Hi",), ("$5",))
    fine, *lost = scorer.score([ROWS[0], told, priced])
    assert fine.error is None and [row.reward for row in lost] == [None, None]
    assert "leaves out the system prompt" in lost[0].error
    assert "changes the text of the assistant's turn" in lost[1].error
    assert all(f"the chat template of {tmp_path} (chat_template.jinja)" in row.error for row in lost)


def test_a_classifier_with_several_labels_needs_label(tmp_path):
    folder = save_classifier(tmp_path, labels=3, template=CHATML)
    with pytest.raises(ModelError, match="3 labels; set 'label'"):
        RewardScorer(folder)
    with pytest.raises(ModelError, match=r"'label' is 3, .* only 3 labels"):
        RewardScorer(folder, label=3)
    for label, sentence in ((None, "set 'label'"), (3, "'label' is 3")):
        (problem,) = folder_problems(folder, "main", Use("classifier", "own", label=label))
        assert folder in problem and sentence in problem
    assert folder_problems(folder, "main", Use("classifier", "own", label=2)) == []
    values = {RewardScorer(folder, label=label).score(ROWS[:1])[0].reward for label in range(3)}
    assert len(values) == 3


def test_a_missing_model_is_named():
    with pytest.raises(ModelError, match="model 'nobody/nothing' at revision 'main' cannot be loaded"):
        RewardScorer("nobody/nothing")


POSITIONS = {"roberta": (RobertaConfig, 64), "mpnet": (MPNetConfig, 64), "bert": (BertConfig, 66)}


def save_encoder(folder, kind, types=2):
    """A random encoder of 66 positions, of which RoBERTa's start after the padding index 1."""
    tokenizer = byte_tokenizer(pad=True)
    torch.manual_seed(0)
    config = POSITIONS[kind][0](
        **{"vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        **{"intermediate_size": 32, "max_position_embeddings": 66, "num_labels": 1, "pad_token_id": 1},
        **({} if kind == "mpnet" else {"type_vocab_size": types}),
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("max_length", [None, 1000])
@pytest.mark.parametrize("kind", POSITIONS)
def test_an_encoders_context_is_its_number_of_positions_after_the_padding_index(tmp_path, kind, max_length):
    scorer = RewardScorer(save_encoder(tmp_path, kind), prompt_format="pair", max_length=max_length)
    sees = POSITIONS[kind][1]
    rows = [Conversation(None, ("b",), ("a" * (tokens - 1),)) for tokens in (sees, sees + 1, 3)]
    fits, too_long, short = scorer.score(rows)
    assert fits.error is None and short.error is None
    assert too_long.error.startswith(f"{sees + 1} tokens") and too_long.error.endswith(f" {sees}")
    tokens = scorer.tokenizer("b", "a" * (sees - 1))["input_ids"]
    assert len(tokens) == sees
    with torch.no_grad():
        alone = scorer.model(torch.tensor([tokens])).logits[0, 0].item()
    assert fits.reward == pytest.approx(alone, abs=1e-6)


def test_an_unknown_token_type_is_an_error_of_the_row(tmp_path):
    folder = save_encoder(tmp_path, "roberta", types=1)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    scorer = RewardScorer(folder, prompt_format="pair")
    assert scorer.tokenizer("a", "b")["token_type_ids"] == [0, 1]
    (reward,) = scorer.score(ROWS[:1])
    assert reward.reward is None and "the type 1, but the reward model has only 1 types" in reward.error


def test_rows_are_padded_with_a_token_that_the_model_knows(tmp_path):
    # Many tokenizers have a pad token without an embedding, which padding must not use.
    folder = save_classifier(tmp_path, template=CHATML)
    expected = [alone(folder, row) for row in ROWS]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "<pad-of-its-own>"})
    tokenizer.save_pretrained(folder)
    scorer = RewardScorer(folder)
    assert scorer.tokenizer.pad_token_id == scorer.rows
    assert [r.reward for r in scorer.score(ROWS)] == pytest.approx(expected, abs=1e-5)


HEAD = '''
import torch
from transformers import LlamaModel, LlamaPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class TwoObjectives(LlamaPreTrainedModel):
    """Several objectives combined into one score per row, without a column per label, as in ArmoRM."""

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.objectives = torch.nn.Linear(config.hidden_size, 2, bias=False)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, **named):
        states = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        last = attention_mask.sum(1) - 1
        found = self.objectives(states[torch.arange(len(last)), last])
        return SequenceClassifierOutput(logits=(found * torch.tensor([0.75, 0.25])).sum(1))
'''


def save_custom_head(folder):
    """A classifier folder whose head is Python code shipped with the weights."""
    save_classifier(folder, template=CHATML)
    (folder / "two_objectives.py").write_text(HEAD)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "two_objectives.TwoObjectives"}
    config["architectures"] = ["TwoObjectives"]
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    score = weights.pop("score.weight")
    weights["objectives.weight"] = torch.cat([score, -score])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return str(folder)


def test_a_custom_head_runs_only_where_remote_code_is_allowed(tmp_path):
    plain = RewardScorer(save_classifier(tmp_path / "plain", template=CHATML)).score(ROWS)
    folder = save_custom_head(tmp_path / "custom")
    with pytest.raises(ModelError, match="set 'allow_remote_code: true' on the reward model"):
        RewardScorer(folder)
    custom = RewardScorer(folder, allow_remote_code=True).score(ROWS)
    # 0.75 of the plain score, and 0.25 of its negative
    assert [r.reward for r in custom] == pytest.approx([r.reward / 2 for r in plain], abs=1e-5)


def test_packed_rows_give_the_same_rewards(reward_model, monkeypatch):
    monkeypatch.setattr(attention, "varlen_attn", reference_varlen)
    scorer = RewardScorer(reward_model)
    expected = scorer.score(ROWS)
    scorer.packed = Backbone(scorer.model, "cpu", "varlen")
    monkeypatch.setattr(scorer, "_padded_logits", None)
    assert [r.reward for r in scorer.score(ROWS)] == pytest.approx([r.reward for r in expected], abs=1e-5)
