"""Pretrains the bundled sample model, a small GPT-2 on Shakespeare, from nothing but the text in ``corpus/``.

    python -m inference.sample.pretrain --out /tmp/bard

Three steps, each a function: text to speeches, speeches to a byte-level BPE tokenizer and token ids, ids to weights.
A speech ends in ``<|end|>``, which is also what ends an answer: so the pretrained model can hold a dialogue, a turn
being a speech, without having been fine-tuned for it. Half of the speakers' names are dropped in training, for a
visitor who speaks to the model is not in the list of persons represented.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

CORPUS = Path(__file__).parent / "corpus"
HELD_OUT_PLAY = "THE WINTER'S TALE"  # never seen in training: perplexity is measured on it
BEGIN, END = "<|endoftext|>", "<|end|>"
NAME_DROPOUT = 0.5
CONTEXT = 512  # tokens
# A message is a speech, a system message a stage direction; the model answers with the next speech.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}[{{ message['content'] | trim }}]"
    "{% else %}{{ message['content'] | trim }}{% endif %}"
    "{{ eos_token }}{% endfor %}"
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result, besides the text."""

    vocab_size: int = 4096
    layers: int = 6
    width: int = 256
    heads: int = 4
    dropout: float = 0.1
    steps: int = 3000
    batch: int = 16  # sequences a step
    length: int = 256  # tokens a sequence for most of the run; the last fifth uses CONTEXT
    peak_lr: float = 2e-3
    warmup: int = 100  # steps
    weight_decay: float = 0.1
    seed: int = 1616


def read_works() -> dict[str, str]:
    """Returns title -> text, with the poems as one work."""
    plays = (CORPUS / "shakespeare_plays.txt").read_text(encoding="ascii")
    works = {}
    heads = list(re.finditer(r"^(?P<title>[^\n]+)\n+by William Shakespeare\n", plays, flags=re.MULTILINE))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        works[head["title"].strip()] = plays[head.end() : following.start() if following else None]
    works["POEMS"] = (CORPUS / "shakespeare_poems.txt").read_text(encoding="ascii")
    return works


def speeches(text: str) -> list[str]:
    """Splits a work at its blank lines: speeches, stage directions, stanzas."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def drop_name(speech: str, rng: random.Random) -> str:
    """Drops the speaker's name, ``HAMLET.``, from half of the speeches."""
    name, newline, rest = speech.partition("\n")
    if newline and name.endswith(".") and name.isupper() and rng.random() < NAME_DROPOUT:
        return rest
    return speech


def train_tokenizer(works: dict[str, str], recipe: Recipe) -> Tokenizer:
    """Trains a byte-level BPE, as GPT-2's, so any text can be encoded and decoded exactly."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocab_size,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((s for text in works.values() for s in speeches(text)), trainer)
    return tokenizer


def control_token(tokenizer: Tokenizer, token: str) -> int:
    """The id of BEGIN or END, which every tokenizer made here has."""
    token_id: int | None = tokenizer.token_to_id(token)
    if token_id is None:
        raise LookupError(f"the tokenizer has no {token}")
    return token_id


def encode(texts: list[str], tokenizer: Tokenizer, rng: random.Random | None) -> torch.Tensor:
    """Returns the token ids of whole works, each begun by BEGIN, each speech ended by END. Shape: (N,) int64."""
    begin, end = control_token(tokenizer, BEGIN), control_token(tokenizer, END)
    ids: list[int] = []
    for text in texts:
        ids.append(begin)
        parts = [drop_name(s, rng) if rng else s for s in speeches(text)]
        for encoding in tokenizer.encode_batch(parts):
            ids += [*encoding.ids, end]
    return torch.tensor(ids)


def batches(ids: torch.Tensor, *, batch: int, length: int, generator: torch.Generator) -> torch.Tensor:
    """Random windows of the text. Shape: (batch, length)."""
    starts = torch.randint(len(ids) - length, (batch,), generator=generator)
    return torch.stack([ids[s : s + length] for s in starts.tolist()])


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if step < recipe.warmup:
        return recipe.peak_lr * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / (recipe.steps - recipe.warmup)
    return recipe.peak_lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def optimizer_of(model: GPT2LMHeadModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW, with decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.peak_lr, betas=(0.9, 0.95))


@torch.no_grad()
def perplexity(model: GPT2LMHeadModel, ids: torch.Tensor) -> float:
    """exp of the mean cross-entropy per token, in windows of CONTEXT tokens that do not overlap."""
    model.train(False)
    windows = ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    losses = [model(input_ids=w, labels=w).loss.item() for w in torch.split(windows, 8)]
    model.train()
    return math.exp(sum(losses) / len(losses))


def train(works: dict[str, str], tokenizer: Tokenizer, recipe: Recipe) -> GPT2LMHeadModel:
    """Trains from random weights; a line of progress every 50 steps."""
    rng, generator = random.Random(recipe.seed), torch.Generator().manual_seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    end = control_token(tokenizer, END)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=recipe.vocab_size, n_positions=CONTEXT, n_embd=recipe.width, n_layer=recipe.layers, n_head=recipe.heads,
            resid_pdrop=recipe.dropout, embd_pdrop=recipe.dropout, attn_pdrop=recipe.dropout,
            bos_token_id=control_token(tokenizer, BEGIN), eos_token_id=end, pad_token_id=end,
        )
    )  # fmt: skip
    model.train()
    optimizer = optimizer_of(model, recipe)
    texts = list(works.values())
    ids, started, seen = encode(texts, tokenizer, rng), time.monotonic(), 0
    for step in range(recipe.steps):
        if step % 400 == 399:  # other names are dropped, the works in another order
            rng.shuffle(texts)
            ids = encode(texts, tokenizer, rng)
        long = step >= recipe.steps * 4 // 5
        batch, length = (recipe.batch * recipe.length // CONTEXT, CONTEXT) if long else (recipe.batch, recipe.length)
        x = batches(ids, batch=batch, length=length, generator=generator)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(input_ids=x, labels=x).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += x.numel()
        if step % 50 == 0:
            rate = seen / (time.monotonic() - started)
            print(f"step {step}/{recipe.steps} loss {loss.item():.3f} {rate:,.0f} tokens/s", flush=True)
    return model


def save(model: GPT2LMHeadModel, tokenizer: Tokenizer, out: Path) -> None:
    """Writes what a release holds: safetensors, config, tokenizer."""
    model.save_pretrained(out)
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BEGIN, "eos_token": END, "pad_token": END,
        "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False, "chat_template": CHAT_TEMPLATE,
    }  # fmt: skip
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained model")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recipe, works = Recipe(steps=args.steps), read_works()
    held_out = works.pop(HELD_OUT_PLAY)
    tokenizer = train_tokenizer(works, recipe)
    started = time.monotonic()
    model = train(works, tokenizer, recipe)
    args.out.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, args.out)
    held_out_ids = encode([held_out], tokenizer, None)
    numbers = {
        "parameters": model.num_parameters(),
        "training_tokens": recipe.steps * recipe.batch * recipe.length,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "held_out_play": HELD_OUT_PLAY,
        "held_out_tokens": len(held_out_ids),
        "held_out_perplexity": round(perplexity(model, held_out_ids), 2),
    }
    print(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    main()
