"""The lines that turn what is refused into what is accepted, on the owner's own machine. Standard library only."""

from __future__ import annotations

from typing import Final

# Two lines. `inference.convert` needs no more than these three packages and a copy of the store's code.
CONVERT: Final = """\
pip install torch safetensors huggingface_hub
python -m inference.convert {path} --base YOUR_BASE_MODEL --out converted"""
CONVERT_GGUF: Final = """\
pip install torch transformers gguf
python -c 'from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; \
[c.from_pretrained(".", gguf_file="{path}").save_pretrained("converted") for c in (M, T)]'"""
SAVE_TOKENIZER: Final = (
    'from transformers import AutoTokenizer; AutoTokenizer.from_pretrained("your-model").save_pretrained(".")'
)
