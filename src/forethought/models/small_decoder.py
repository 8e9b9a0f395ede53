"""A decoder of a few hundred thousand weights, trained here from nothing on written-out arithmetic.

It is an ordinary `LanguageModel`, so whatever reads, samples or stops a large one can be tried on it in
seconds. The committed checkpoint, `load("arithmetic-small")`, is what `train_small_decoder(folder)` writes with
the defaults: seed 0, `DecoderSize()`, `TrainingPlan()`, nine minutes on one core. Another processor or release
of torch rounds differently and may end in other weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.artifacts import atomic_directory, load_artifact, save_artifact
from forethought.core import Message, content_hash
from forethought.errors import ArtifactError, ConfigError
from forethought.models.language_model import LanguageModel, no_progress_bar
from forethought.questions.arithmetic import LEVELS, expressions, written_out

if TYPE_CHECKING:
    import torch

CHARACTERS = "0123456789+-*=;"
"""One token each; any other character is unknown."""
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>", "<answer>")
TEMPLATE = (
    "<bos>{% for m in messages %}"
    "{% if m['role'] == 'assistant' %}<answer>{{ m['content'] }}<eos>{% else %}{{ m['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}"
)
"""A chat as `<bos>37+58=<answer>37+58=95;95<eos>`."""

RAMP = 0.3
"""Share of the updates over which levels are added, the easiest first: copying is learnt on short texts."""

Example = tuple[str, str]
"""What the user says, and what is to be written."""
Progress = Callable[[int, float], None]
"""Told the number of steps taken and the mean loss of the last one, nats a token."""


@dataclass(frozen=True, slots=True)
class DecoderSize:
    """Shape of a decoder.

    Attributes:
        layers: Blocks.
        width: Of the residual stream.
        heads: Of attention; they divide the width into even parts.
        inner: Width of the feed-forward layers.
        context: Longest input, tokens.
    """

    layers: int = 6
    width: int = 64
    heads: int = 4
    inner: int = 176
    context: int = 96

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1 or self.width % (2 * self.heads):
            raise ConfigError(f"sizes must be >= 1 and 2 x heads must divide the width, got {self}")


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a decoder is trained: AdamW, a linear warm-up, then half a cosine down to `floor` of the rate.

    Attributes:
        steps: Updates.
        batch: Examples an update.
        rate: Highest learning rate.
        warm_up: Updates until it is reached.
        floor: Share of the rate at the end.
        weight_decay: Decoupled; of matrices alone.
        clip: Largest norm of a gradient.
        chunk: Examples computed at once, of similar lengths: less padding, same gradient.
        early: Weight of the mean cross-entropy that the final norm and head have after each layer but the last
            (CALM, arXiv 2207.07061, weighs all layers' losses; this is far lighter): what is easily told is told
            early, and what is not is left to the depth.
    """

    steps: int = 4000
    batch: int = 32
    rate: float = 3e-3
    warm_up: int = 100
    floor: float = 0.01
    weight_decay: float = 0.05
    clip: float = 1.0
    chunk: int = 16
    early: float = 0.05

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.chunk) < 1 or self.warm_up < 0 or not (self.rate > 0 and self.clip > 0):
            raise ConfigError(f"steps, batch and chunk must be >= 1, rate and clip > 0, warm_up >= 0, got {self}")
        if not self.early >= 0:
            raise ConfigError(f"the weight of early readings must be >= 0, got {self.early}")

    def rate_at(self, step: int) -> float:
        """Learning rate of update `step`, counted from 0."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


def train_small_decoder(
    folder: Path,
    *,
    seed: int = 0,
    size: DecoderSize | None = None,
    plan: TrainingPlan | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> LanguageModel:
    """Train a decoder on the training part of the arithmetic questions and save it to `folder`.

    Args:
        folder: A model folder afterwards; `load(folder)` reads it.
        seed: Of the first weights and of the examples.
        size: By default the committed checkpoint's.
        plan: By default the committed checkpoint's.
        checkpoint: As in `pretrain`.
        progress: As in `pretrain`.
    """
    plan = plan or TrainingPlan()
    model = build_decoder(size or DecoderSize(), seed=seed)

    def draw(step: int) -> list[Example]:
        # A string seeds Python's generator through a hash: neighbouring steps share nothing.
        grown = 1 + int(len(LEVELS) * step / (RAMP * plan.steps))
        drawn = expressions("train", plan.batch, seed=seed * 1_000_003 + step, levels=LEVELS[:grown])
        return [(expression, written_out(expression)) for expression in drawn]

    pretrain(model, draw, plan, checkpoint=checkpoint, progress=progress)
    save_decoder(model, folder)
    return model


def build_decoder(size: DecoderSize, *, seed: int) -> LanguageModel:
    """An untrained decoder in float32, with its tokenizer; the global random state is left as it was."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = character_tokenizer(size.context)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=False,
        initializer_range=0.08,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).float()
    return LanguageModel("small-decoder", model, tokenizer)


def character_tokenizer(context: int) -> Any:
    """A transformers tokenizer with one token a character, and `TEMPLATE` as its chat template."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import Fuse
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *CHARACTERS])}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    inner.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = Fuse()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",  # noqa: S106
        bos_token="<bos>",  # noqa: S106
        eos_token="<eos>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        additional_special_tokens=["<answer>"],
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = TEMPLATE
    return made


def extend_vocabulary(model: LanguageModel, phrases: Sequence[str], *, context: int) -> LanguageModel:
    """A copy of a small decoder with one token more for each phrase, and another window.

    A new token starts as the mean of the old ones, in embedding and head: nothing prefers it before it is trained.

    Args:
        model: As it was trained.
        phrases: Texts that become one token each.
        context: Longest input, tokens.

    Raises:
        ConfigError: A phrase that is a token already.
    """
    import torch
    from tokenizers import AddedToken
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = copy.deepcopy(model.tokenizer)
    known = tokenizer.get_vocab()
    if len({*known, *phrases}) != len(known) + len(phrases):
        raise ConfigError(f"each phrase must be new to the tokenizer and named once, got {list(phrases)}")
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    tokenizer.model_max_length = context
    settings = {**model.model.config.to_dict(), "vocab_size": len(tokenizer), "max_position_embeddings": context}
    weights = dict(model.model.state_dict())
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        old = weights[name][: len(known)]
        weights[name] = torch.cat([old, old.mean(dim=0, keepdim=True).expand(len(phrases), -1)])
    with torch.random.fork_rng(devices=[]):
        extended = LlamaForCausalLM(LlamaConfig(**settings)).float()
    extended.load_state_dict(weights)
    return LanguageModel(model.name, extended, tokenizer, weights=content_hash(f"{model.weights} {[*phrases]}"))


def save_decoder(model: LanguageModel, folder: Path) -> None:
    """Write a model folder, whole or not at all.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    with atomic_directory(Path(folder)) as new:
        with no_progress_bar():
            model.model.save_pretrained(str(new))
        model.tokenizer.save_pretrained(str(new))
        (new / "generation_config.json").unlink(missing_ok=True)  # repeats config.json


def pretrain(
    model: LanguageModel,
    draw: Callable[[int], Sequence[Example]],
    plan: TrainingPlan,
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Progress | None = None,
) -> None:
    """Train `model` in place with cross-entropy on what is to be written; the prompt is read, never predicted.

    Args:
        model: In float32.
        draw: Examples of an update, by its number from 0: the same whenever asked.
        plan: Updates, rates and batches.
        checkpoint: Directory that keeps weights and moments every `every` updates. If it is there, training
            goes on from it and ends with the weights of a run that was never stopped.
        every: Updates between checkpoints.
        progress: Called after each update.

    Raises:
        ConfigError: A model that is not in float32, or an example longer than its window.
        ArtifactError: A checkpoint of another plan or shape, or an altered one.
    """
    if model.dtype != "float32":
        raise ConfigError(f"pretraining needs float32, got {model.dtype}")
    weights = model.model
    optimizer = _optimizer(weights, plan)
    weights.train().requires_grad_(True)
    try:
        start = 0 if checkpoint is None else _resume(checkpoint, weights, optimizer, plan)
        for step in range(start, plan.steps):
            loss = _update(model, optimizer, draw(step), plan, step)
            if checkpoint is not None and ((step + 1) % every == 0 or step + 1 == plan.steps):
                _keep(checkpoint, weights, optimizer, plan, step + 1)
            if progress is not None:
                progress(step + 1, loss)
    finally:
        weights.eval().requires_grad_(False)


def encode_examples(model: LanguageModel, examples: Sequence[Example]) -> list[tuple[list[int], int]]:
    """Each example's token ids, rendered as a chat and closed by the end token, and how many are its prompt.

    Raises:
        ConfigError: An example longer than the window.
    """
    chat = [Message("user", "0")]
    whole, before = model.render(chat), model.chat.head_length(chat)
    after = model.eoi_length()
    head, tail = whole[:before], whole[len(whole) - after :]
    prompts, answers = (
        model.tokenizer([example[side] for example in examples], add_special_tokens=False)["input_ids"]
        for side in (0, 1)
    )
    end = int(model.tokenizer.eos_token_id)
    rows = [
        ([*head, *prompt, *tail, *answer, end], before + len(prompt) + after)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    longest = max(len(ids) for ids, _ in rows)
    if longest > model.context:
        raise ConfigError(f"an example of {longest} tokens is longer than the window of {model.context}")
    return rows


def _update(model: LanguageModel, optimizer: Any, examples: Sequence[Example], plan: TrainingPlan, step: int) -> float:
    """One update; the mean loss, nats a token."""
    import torch

    rows = sorted(encode_examples(model, examples), key=lambda row: len(row[0]))
    tokens = sum(len(ids) - prompt for ids, prompt in rows)
    for group in optimizer.param_groups:
        group["lr"] = plan.rate_at(step)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for i in range(0, len(rows), plan.chunk):
        loss, early = _losses(model, rows[i : i + plan.chunk], early=plan.early > 0)
        ((loss + plan.early * early) / tokens).backward()
        total += float(loss.detach()) / tokens
    torch.nn.utils.clip_grad_norm_(model.model.parameters(), plan.clip)
    optimizer.step()
    return total


def _losses(model: LanguageModel, rows: Sequence[tuple[list[int], int]], *, early: bool) -> tuple[Any, Any]:
    """Summed cross-entropy of the answers' tokens, nats: read at the end, and the mean of all earlier readings."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    pad = int(model.tokenizer.pad_token_id)
    # Padding stands to the right: no real token sees it, so no mask is needed.
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    written = torch.zeros_like(ids, dtype=torch.bool)
    for i, (row, prompt) in enumerate(rows):
        written[i, prompt : len(row)] = True
    labels, written = ids[:, 1:][written[:, 1:]], written[:, 1:]
    body, head = model.model.model, model.model.lm_head
    output = body(input_ids=ids[:, :-1], use_cache=False, output_hidden_states=early)
    loss = torch.nn.functional.cross_entropy(head(output.last_hidden_state[written]), labels, reduction="sum")
    # The first state is the embeddings, the last is read already.
    states = [state[written] for state in output.hidden_states[1:-1]] if early else []
    if not states:
        return loss, torch.zeros(())
    readings = head(body.norm(torch.cat(states)))
    sooner = torch.nn.functional.cross_entropy(readings, labels.repeat(len(states)), reduction="sum")
    return loss, sooner / len(states)


def _optimizer(weights: Any, plan: TrainingPlan) -> Any:
    import torch

    matrices = [parameter for parameter in weights.parameters() if parameter.ndim > 1]
    gains = [parameter for parameter in weights.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))


def _keep(place: Path, weights: Any, optimizer: Any, plan: TrainingPlan, step: int) -> None:
    tensors = {f"weight.{name}": parameter for name, parameter in weights.named_parameters()}
    for name, parameter in weights.named_parameters():
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}.{name}"] = optimizer.state[parameter][moment]
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    save_artifact(place, {"plan": asdict(plan), "step": step}, arrays)


def _resume(place: Path, weights: Any, optimizer: Any, plan: TrainingPlan) -> int:
    """Put weights and moments back as a checkpoint has them; the number of updates behind it, 0 without one."""
    import torch

    if not place.exists():
        return 0
    manifest, arrays, _ = load_artifact(place)
    if manifest.get("plan") != asdict(plan):
        raise ArtifactError(f"checkpoint {place} was made with the plan {manifest.get('plan')}, not {asdict(plan)}")
    for name, parameter in weights.named_parameters():
        kept: dict[str, torch.Tensor] = {}
        for kind in ("weight", "exp_avg", "exp_avg_sq"):
            array = arrays.get(f"{kind}.{name}")
            if array is None or array.shape != tuple(parameter.shape):
                raise ArtifactError(f"checkpoint {place} has no {kind} of {name} in the shape {tuple(parameter.shape)}")
            kept[kind] = torch.from_numpy(array.copy())
        parameter.data.copy_(kept.pop("weight"))
        optimizer.state[parameter] = {"step": torch.tensor(float(manifest["step"])), **kept}
    return int(manifest["step"])
