"""The model that is trained: a base, a base with an adapter, or one made from nothing; and what is trained of it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import AutoConfig

from inference.errors import InvalidRequest, UnsupportedModel
from inference.lora import WEIGHTS, overlaid, read_adapter
from inference.prompt import PromptEncoder
from inference.tokenizer_files import special_tokens
from inference.training.data import training_encoder
from inference.training.shape import config_of
from inference.training.task import TrainingTask
from inference.training.tokenizer import BEGIN, END, train_tokenizer

CHECKPOINTED: Final = (
    500_000_000  # parameters: on a GPU, larger models compute activations twice instead of keeping them
)
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is trained. ``files``: a folder with config, tokenizer and template, as the result will have them."""

    model: PreTrainedModel
    lora: LoraConfig | None  # None: all weights
    encoder: PromptEncoder
    tokenizer: PreTrainedTokenizerFast
    files: Path
    precision: str  # "float32", "bfloat16", "float16"

    @property
    def pad_id(self) -> int:
        """Any token would do: what is padded is no target, and comes after all that is."""
        return int(self.tokenizer.pad_token_id or 0)


def precision_of(task: TrainingTask) -> str:
    """Raises :class:`InvalidRequest` where this device has none of what is asked."""
    wanted, on_gpu = task.hyper.precision, task.device.startswith("cuda")
    if wanted == "auto":
        return "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"
    if wanted == "float16" and not on_gpu:
        raise InvalidRequest(
            "float16 is trained on a GPU; this worker has none: use float32 or bfloat16", param="precision"
        )
    return wanted


def check_device(task: TrainingTask) -> None:
    """Raises :class:`InvalidRequest` for what needs a GPU and bitsandbytes, where they are not."""
    has_bits = task.device.startswith("cuda") and importlib.util.find_spec("bitsandbytes") is not None
    if task.adaptation == "qlora" and not has_bits:
        raise InvalidRequest("QLoRA needs a GPU worker with bitsandbytes; use lora here", param="adaptation")
    if task.hyper.optimizer == "adamw_8bit" and not has_bits:
        raise InvalidRequest("adamw_8bit needs a GPU worker with bitsandbytes; use adamw here", param="optimizer")


def make_subject(task: TrainingTask) -> Subject:
    """Loads the base, or makes a model. Weights of ``task.resume`` are not in it yet: see :func:`load_trained`.

    Raises :class:`InvalidRequest`, :class:`inference.errors.InferenceError`, :class:`OSError`.
    """
    check_device(task)
    precision = precision_of(task)
    files = task.out / "files"
    if task.model is not None:
        model = _from_nothing(task, files)
    else:
        _copy_files(task, files)
        model = load_base(task, precision)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(files / "tokenizer.json"), **special_tokens(files))
    return Subject(
        model=model,
        lora=None if task.adaptation == "full" else _lora(task),
        encoder=training_encoder(files),
        tokenizer=tokenizer,
        files=files,
        precision=precision,
    )


def load_base(task: TrainingTask, precision: str) -> PreTrainedModel:
    """The base's weights, frozen ones in the precision that is computed in, trained ones in float32."""
    assert task.base is not None  # it is made from nothing otherwise
    dtype = torch.float32 if task.adaptation == "full" else DTYPES[precision]
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": "sdpa", "use_safetensors": True}
    if task.adaptation == "qlora":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=DTYPES[precision],
        )  # fmt: skip
        options["device_map"] = {"": task.device}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(task.base, **options)
    if task.adapter is not None and task.adaptation == "full":
        merge_adapter(model, task.adapter)
    return model


@torch.no_grad()
def merge_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Adds an adapter to the weights of its base, for all of them are trained on. Raises :class:`inference.errors.UnsupportedModel`.

    Ends that share their weights cannot be told apart any more once one of them has changed: such an adapter is refused.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings()) if model.config.tie_word_embeddings else ()
    for layer, change in read_adapter(folder, model).items():
        module = model.get_submodule(layer)
        if module in ends:
            raise UnsupportedModel(
                f"the adapter changes {layer}, whose weights the base uses twice: train an adapter on it"
            )
        delta = change.down.T.float() @ change.up.float()  # (in, out)
        if isinstance(module, torch.nn.Embedding):
            delta /= float(
                getattr(module, "embed_scale", 1.0)
            )  # which multiplies what was looked up, and is in the change
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        weight.add_((delta.T if isinstance(module, torch.nn.Linear) else delta).to(weight.dtype))


def load_trained(model: Any, folder: Path, *, adapter_name: str = "default") -> None:
    """Puts weights of a checkpoint, or of an adapter, into a model of the same shape. ``model`` may be one of PEFT's."""
    if (folder / WEIGHTS).exists():
        set_peft_model_state_dict(model, load_file(folder / WEIGHTS), adapter_name=adapter_name)
        return
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors |= load_file(file)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # a tied head is there once, under the embedding's name
            parameter.copy_(tensors[name])


def _lora(task: TrainingTask) -> LoraConfig:
    if task.adapter is not None:  # training goes on with it: its shape is what it is
        config = LoraConfig.from_pretrained(str(task.adapter))
        config.inference_mode = False
        return config  # type: ignore[no-any-return]
    hyper = task.hyper
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=hyper.rank,
        lora_alpha=hyper.alpha,  # type: ignore[arg-type]  # a number, and need not be a whole one
        lora_dropout=hyper.dropout,
        target_modules=hyper.targets if hyper.targets == "all-linear" else hyper.targets.split(","),
    )


def _copy_files(task: TrainingTask, files: Path) -> None:
    """The small files of the base, those of its adapter over them."""
    assert task.base is not None
    source = task.adapter or task.base
    with overlaid(source, task.base if task.adapter else None) as folder:
        files.mkdir(parents=True, exist_ok=True)
        for item in sorted(folder.iterdir()):
            if item.is_file() and item.suffix in (".json", ".jinja", ".txt", ".model"):
                shutil.copyfile(item, files / item.name)


def _from_nothing(task: TrainingTask, files: Path) -> PreTrainedModel:
    """A random model for a tokenizer that is trained first; the same for the same seed. With ``resume``, the tokenizer of then."""
    assert task.model is not None
    shape = task.model
    if task.resume is None:
        train_tokenizer(task.training, vocab_size=shape.vocab_size, context_length=shape.context_length, folder=files)
    else:
        files.mkdir(parents=True, exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(task.resume / name, files / name)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(files / "tokenizer.json"))
    ids: Any = tokenizer.convert_tokens_to_ids([BEGIN, END])
    config = config_of(shape, begin_id=ids[0], end_id=ids[1]) | {"vocab_size": len(tokenizer)}
    torch.manual_seed(task.hyper.seed)
    made = AutoConfig.for_model(**config)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(made, attn_implementation="sdpa")
    (files / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n", encoding="utf-8")
    return model
