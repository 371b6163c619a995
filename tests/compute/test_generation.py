"""Rows do not depend on their batch, draws follow the distribution, and failures are errors of their rows."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.compute.conversation import ChatTemplate, Conversation, render_prompt
from preceptor.compute.generation import RowSeededSampling, TransformersGenerator
from preceptor.compute.request import NOT_FINITE, Decoding, Request, ending
from tests.conftest import CHATML, save_language_model

TEACHER = str(Path(__file__).parents[2] / "studies" / "demo" / "teachers" / "llama-large")

PROMPTS = ["Hi", "What is the answer to everything?", "Tell me", "the rain in there"]
SAMPLED = Decoding(temperature=0.8, top_p=0.9, max_new_tokens=12)


def requests(prompts=PROMPTS) -> list[Request]:
    return [Request(None, (prompt,), seed=number) for number, prompt in enumerate(prompts)]


@pytest.mark.parametrize("decoding", [Decoding(max_new_tokens=12), SAMPLED], ids=["greedy", "sampled"])
def test_a_row_does_not_depend_on_its_batch(teacher_model, decoding):
    together = TransformersGenerator(teacher_model, decoding=decoding, batch_size=4).generate(requests())
    generator = TransformersGenerator(teacher_model, decoding=decoding, batch_size=1)
    alone = [generator.generate([request])[0] for request in reversed(requests())]
    assert together == alone[::-1]
    assert all(answer.error is None and answer.response_tokens for answer in together)


def test_greedy_equals_a_plain_argmax_loop(teacher_model):
    tokenizer = AutoTokenizer.from_pretrained(teacher_model)
    model = AutoModelForCausalLM.from_pretrained(teacher_model).eval()
    text = f"<|im_start|>user\n{PROMPTS[1]}<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    start = len(ids)
    with torch.no_grad():
        while len(ids) - start < 12 and (len(ids) == start or ids[-1] != tokenizer.eos_token_id):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    answer = TransformersGenerator(teacher_model, decoding=Decoding(max_new_tokens=12)).generate(requests())[
        1
    ]
    assert answer.turns == (tokenizer.decode(ids[start:], skip_special_tokens=True),)


def test_the_seed_decides_a_sample(teacher_model):
    generator = TransformersGenerator(teacher_model, decoding=SAMPLED)
    first, again, other = (generator.generate([Request(None, ("Hi",), s)])[0] for s in (1, 1, 2))
    assert first == again != other


def test_draws_follow_the_distribution():
    # 3 tokens with probabilities .2 .5 .3, one masked out by an earlier warper; 4,000 rows, one draw each.
    scores = torch.tensor([0.2, 0.5, 0.3, 0.0]).log().repeat(4000, 1)
    uniforms = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = RowSeededSampling(uniforms, prompt_length=5)(torch.zeros(4000, 5, dtype=torch.long), scores)
    shares = drawn.argmax(1).bincount(minlength=4) / 4000
    # Four standard errors of a share of .5 over 4,000 draws: 4 · sqrt(.25 / 4000) = .032
    assert shares.tolist() == pytest.approx([0.2, 0.5, 0.3, 0.0], abs=0.032)


def test_a_prompt_that_does_not_fit_is_an_error_of_its_row_only(teacher_model):
    long, short = TransformersGenerator(teacher_model, decoding=SAMPLED).generate(
        requests(["x" * 5000, "Hi"])
    )
    assert "context is 128" in long.error
    assert long.turns == ()
    assert short.error is None


def test_a_prompt_that_the_template_changes_is_an_error_of_its_row_only(tmp_path):
    deaf = CHATML.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}")
    folder = save_language_model(tmp_path, template=deaf)
    asked = [Request("Be brief.", ("Hi",), 0), Request(None, ("Hi",), 0), Request(" ", ("Hi",), 0)]
    told, untold, blank = TransformersGenerator(folder, decoding=Decoding(max_new_tokens=4)).generate(asked)
    assert (told.turns, told.prompt_tokens) == ((), None)
    assert told.error.startswith(
        f"the chat template of {tmp_path} (chat_template.jinja) leaves out the system"
    )
    assert untold.error is None and untold == blank


def test_an_answer_is_cut_at_the_end_of_the_context(teacher_model):
    generator = TransformersGenerator(teacher_model, decoding=Decoding(max_new_tokens=1000))
    for answer in generator.generate(requests()):
        assert answer.prompt_tokens + answer.response_tokens <= 128
        assert answer.finish_reason in ("stop", "length")


def test_each_turn_is_answered_after_the_teachers_own_previous_answer(teacher_model):
    generator = TransformersGenerator(teacher_model, decoding=Decoding(max_new_tokens=5))
    single, double = generator.generate([Request(None, ("Hi",), 0), Request(None, ("Hi", "More"), 0)])
    assert len(double.turns) == 2
    assert double.turns[0] == single.turns[0]
    assert double.prompt_tokens > single.prompt_tokens


@pytest.mark.parametrize(
    ("turns", "ended"),
    [
        (["stop"], "stop"),
        ([None, "stop"], "stop"),
        (["length", "stop"], "length"),
        (["stop", "length"], "length"),
    ],
)
def test_one_cut_turn_makes_the_conversation_cut(turns, ended):
    assert ending(turns) == ended


def poisoned(folder, token, value) -> str:
    """A teacher with one broken token embedding, so that logits after the token are not finite."""
    save_language_model(folder, context=256, template=CHATML)
    tensors = load_file(folder / "model.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tensors["model.embed_tokens.weight"][tokenizer(token, add_special_tokens=False)["input_ids"][0]] = value
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return str(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
@pytest.mark.parametrize("decoding", [Decoding(max_new_tokens=12), SAMPLED], ids=["greedy", "sampled"])
def test_logits_that_are_not_finite_are_an_error_and_never_an_empty_answer(tmp_path, decoding, value):
    teacher = TransformersGenerator(poisoned(tmp_path, "%", value), decoding=decoding)
    answers = teacher.generate(requests(["Hi", "What is 5%?", "Tell me"]))
    folder = save_language_model(tmp_path / "sound", context=256, template=CHATML)
    sound = TransformersGenerator(folder, decoding=decoding)
    expected = sound.generate(requests(["Hi", "Why?", "Tell me"]))
    assert (answers[1].turns, answers[1].error) == ((), NOT_FINITE)
    assert [answers[0], answers[2]] == [expected[0], expected[2]]
    double = teacher.generate([Request(None, ("Hi", "5%"), 0)])[0]
    assert (double.turns, double.error) == ((), NOT_FINITE)


@pytest.mark.parametrize(
    "tensor", ["lm_head.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight"]
)
def test_a_teacher_with_one_broken_weight_answers_nothing(tmp_path, tensor):
    save_language_model(tmp_path, template=CHATML)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[tensor].view(-1)[7] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    answers = TransformersGenerator(str(tmp_path), decoding=SAMPLED).generate(requests())
    assert {answer.error for answer in answers} == {NOT_FINITE}


def test_logits_that_are_not_finite_after_the_end_are_no_error(tmp_path):
    # Rows that have ended are padded until their batch ends. Here only the padding is broken.
    folder = save_language_model(tmp_path, template=CHATML)
    tensors = load_file(tmp_path / "model.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tensors["model.embed_tokens.weight"][tokenizer.eos_token_id] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    decoding = Decoding(temperature=3.0, max_new_tokens=60)
    answers = TransformersGenerator(folder, decoding=decoding, batch_size=32).generate(requests(["Hi"] * 32))
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    assert all(answer.error is None for answer in answers)


def test_stop_texts_end_a_row_and_its_token_count():
    asked = [Request(None, (text,), 0) for text in ("What is 5 plus 6?", "Name a colour.", "Say hello.")]
    tokenizer, model = AutoTokenizer.from_pretrained(TEACHER), AutoModelForCausalLM.from_pretrained(TEACHER)
    prompt = render_prompt(
        tokenizer, ChatTemplate(tokenizer.chat_template), Conversation(None, asked[0].user)
    )
    start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    ids = list(start)
    while "an" not in tokenizer.decode(ids[len(start) :]) and len(ids) < len(start) + 60:
        with torch.no_grad():
            ids.append(int(model.eval()(torch.tensor([ids])).logits[0, -1].argmax()))
    said = tokenizer.decode(ids[len(start) :])
    assert "an" in said
    decoding = Decoding(max_new_tokens=60, stop=("an", "never said"))
    for batch_size, requested in ((4, asked), (4, asked[:1])):
        generator = TransformersGenerator(TEACHER, decoding=decoding, batch_size=batch_size)
        answer = generator.generate(requested)[0]
        assert answer.turns == (said[: said.index("an")],)
        assert (answer.finish_reason, answer.response_tokens) == ("stop", len(ids) - len(start))


def test_end_tokens_end_the_answer_and_are_not_part_of_its_text(tmp_path):
    folder = save_language_model(tmp_path, template=CHATML)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight.zero_()  # all logits equal: greedy takes token 0
    model.generation_config.eos_token_id = 0
    model.save_pretrained(folder)
    answer = TransformersGenerator(folder, decoding=Decoding(max_new_tokens=9)).generate(requests(["Hi"]))[0]
    assert (answer.turns, answer.finish_reason, answer.response_tokens) == (("",), "stop", 1)
