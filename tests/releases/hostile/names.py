"""Names, kinds of files, and bytes under another name."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

from tests.releases.folders import PNG, Case, Spoil, after, link, put, remove


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/owned",)


def zipped(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, data)
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    return made.getvalue()


def many(count: int) -> Spoil:
    def spoil(folder: Path) -> None:
        for number in range(count):
            (folder / f"plot{number}.png").touch()

    return spoil


def emptied(folder: Path) -> None:
    for item in folder.iterdir():
        item.unlink()


PICKLE = pickle.dumps(Evil(), protocol=2)
TORCH_ZIP = zipped("archive/data.pkl", PICKLE)
CONVERTER = "python -m inference.convert"

CASES = [
    Case("a pickle of weights", put("pytorch_model.bin", PICKLE), {"pickle"}, f"{CONVERTER} pytorch_model.bin --base"),
    Case("a pickle in capitals", put("MODEL.PTH", PICKLE), {"pickle"}, "MODEL.PTH --base"),
    Case("a pickle in the place of weights", after(remove("model.safetensors"), put("fine_tuned_weights.pth", PICKLE)),
         {"pickle"}, f"{CONVERTER} fine_tuned_weights.pth --base"),
    Case("a checkpoint", put("last.ckpt", PICKLE), {"pickle"}, "weights_only=True"),
    Case("numpy objects", put("weights.npy", b"\x93NUMPY"), {"pickle"}, "pickle"),
    Case("what the Trainer left", put("training_args.bin", PICKLE), {"pickle"}, "Remove training_args.bin"),
    Case("the optimizer", put("optimizer.pt", PICKLE), {"pickle"}, "training left behind"),
    Case("a pickle named as weights", put("model.safetensors", PICKLE), {"pickle"}, CONVERTER),
    Case("a pickle named as a card", put("README.md", PICKLE), {"pickle"}, "README.md is a pickle"),
    Case("a pickle of protocol 5 named as a tokenizer", put("tokenizer.model", pickle.dumps({}, protocol=5)), {"pickle"},
         "tokenizer.model"),
    Case("a pickle in a zip, as torch writes it, named as weights", put("model.safetensors", TORCH_ZIP), {"pickle"}, CONVERTER),
    Case("a pickle in a zip named as a licence", put("LICENSE", zipped("x/model.pt", PICKLE)), {"pickle"}, "LICENSE is a pickle"),
    Case("a zip", put("model.zip", zipped("a", b"")), {"archive"}, "Unpack it"),
    Case("a tar, compressed", put("weights.tar.gz", gzip.compress(tarred())), {"archive"}, "none is ever unpacked"),
    Case("a zip in a zip named as notes", put("NOTICE", zipped("b.zip", zipped("c.zip", b""))), {"archive"}, "NOTICE is an archive"),
    Case("a tar named as a vocabulary", put("vocab.txt", tarred()), {"archive"}, "vocab.txt"),
    Case("gzip named as JSON", put("numbers.json", gzip.compress(b"{}")), {"archive"}, "numbers.json"),
    Case("GGUF", put("model.q4.gguf", b"GGUF\x03"), {"gguf"}, 'gguf_file="model.q4.gguf"'),
    Case("GGUF named as weights", put("model.safetensors", b"GGUF" + bytes(60)), {"gguf"}, "from_pretrained"),
    Case("code", put("modeling_evil.py", "import os"), {"not_allowed"}, "never run"),
    Case("ONNX", put("model.onnx", b"\x08"), {"not_allowed"}, "Remove model.onnx"),
    Case("an SVG, which can hold scripts", put("logo.svg", "<svg/>"), {"not_allowed"}, "logo.svg"),
    Case("a page", put("index.html", "<script>"), {"not_allowed"}, "index.html"),
    Case("a script beside the images", put("assets/run.sh", "rm"), {"bad_path"}, "only images"),
    Case("a config in a folder", put("sub/config.json", "{}"), {"bad_path"}, "out of its folder"),
    Case("folders in folders", lambda folder: (folder / "a" / "b").mkdir(parents=True), {"not_a_file"}, "one level"),
    Case("a hidden file", put(".env", "SECRET=1"), {"bad_path"}, "Rename '.env'"),
    Case("a name of 300 characters", put("x" * 245 + ".png", PNG), {"bad_path"}, "120 at most"),
    Case("a name with emoji", put("\U0001f600.png", PNG), {"bad_path"}, "letters, digits"),
    Case("a name with a newline", put("a\nb.json", "{}"), {"bad_path"}, "\\n"),
    Case("a name with a space", put("my model.safetensors", b""), {"bad_path"}, "Rename 'my model.safetensors'"),
    Case("a name like an option", put("-rf.json", "{}"), {"bad_path"}, "-rf"),
    Case("a name with a backslash", put("..\\config.json", "{}"), {"bad_path"}, "letters, digits"),
    Case("a name that is no UTF-8", lambda folder: Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(PNG),
         {"bad_path"}, "Rename"),
    Case("names that differ by capitals", put("readme.md", "x"), {"case_collision", "not_allowed"}, "capital letters"),
    Case("images that differ by capitals", after(put("a.png", PNG), put("A.PNG", PNG)), {"case_collision"}, "differs from 'A.PNG'"),
    Case("a folder named as a file in capitals", after(put("plot.png", PNG), put("PLOT.png/a.png", PNG)), {"case_collision"},
         "there is a folder"),
    Case("a link to a secret", link("README.md", "/etc/passwd"), {"not_a_file"}, "no links"),
    Case("a link to a folder", link("assets", "/etc"), {"not_a_file"}, "Remove 'assets'"),
    Case("a link in a folder", after(put("assets/a.png", PNG), link("assets/b.png", "/dev/zero")), {"not_a_file"}, "assets/b.png"),
    Case("a pipe", lambda folder: os.mkfifo(folder / "LICENSE"), {"not_a_file"}, "LICENSE"),
    Case("2,000 images", many(2_000), {"too_many_files"}, "1000 at most"),
    Case("nothing at all", emptied, {"no_files"}, "save_pretrained"),
    Case("an empty card", put("README.md", ""), {"empty"}, "README.md is empty"),
    Case("an empty image", put("a.png", b""), {"empty"}, "a.png is empty"),
    Case("an image of 5 MB", put("big.png", PNG + bytes(5 * 1024**2)), {"too_large"}, "Make it smaller"),
    Case("a page named as an image", put("a.png", "<html><script>"), {"bad_image"}, "no png image"),
    Case("a card of 2 MB", put("README.md", "a" * 2 * 1024**2), {"too_large"}, "README.md has 2097152 bytes"),
    Case("a held-out text of 20 MB", put("held_out.txt", "a" * 20 * 1024**2), {"too_large"}, "held_out.txt"),
    Case("a held-out text of bytes", put("held_out.txt", b"\xff\xfe\0a"), {"bad_text"}, "UTF-8"),
    Case("a licence with a zero byte", put("LICENSE", b"MIT\0"), {"bad_text"}, "UTF-8"),
    Case("a Git LFS pointer", put("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
         {"lfs_pointer"}, "git lfs pull"),
]  # fmt: skip
