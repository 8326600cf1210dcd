"""What the gateway costs: latency that it adds, and requests per second and per core, with authentication, limits, hold and settlement on.

    python -m bench.gateway [--seconds 10] [--litellm PATH_TO_VENV]

One web process, one stub worker whose tokens cost nothing, a Postgres that commits to disk. Latency is of whole answers, asked for one
after another; the stub and its queue are in it. ``req/s per core`` is answers per second of the gateway's own processor time, all of
its threads. With ``--litellm``, LiteLLM's proxy (one worker, no database, in a virtual environment of its own) stands beside it in the
same run, before an upstream of its own that answers at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.stage import ROOT, Stage, free_port, make_key, wait_for_port

CONCURRENCIES = (1, 16, 64)
WARMUP_S = 2.0
MESSAGES = [
    {"role": "user", "content": "Shall I compare thee to a summer's day? Thou art more lovely and more temperate."}
]
LITELLM_KEY = "sk-bench"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--litellm", type=Path, help="a virtual environment with litellm[proxy]")
    asked = options.parse_args()
    table = Table("", "clients", "p50 ms", "p95 ms", "req/s", "cores used", "req/s per core", "errors")
    with Stage() as stage:
        stage.start_servers()
        listing, issued = make_key()
        stage.start_stub()
        url = stage.start_web() + "/v1/chat/completions"
        measure(
            table,
            "this store",
            stage,
            "web",
            url,
            issued.secret,
            {"model": listing.name, "messages": MESSAGES},
            asked.seconds,
        )
    if asked.litellm:
        with litellm(asked.litellm) as (stage, url, upstream):
            body = {"model": "stub", "messages": MESSAGES}
            measure(table, "its upstream alone", stage, "upstream", upstream, LITELLM_KEY, body, asked.seconds)
            measure(table, "LiteLLM", stage, "litellm", url, LITELLM_KEY, body, asked.seconds)
    Console(width=120).print(table)


def measure(
    table: Table, name: str, stage: Stage, process: str, url: str, secret: str, body: dict[str, Any], seconds: float
) -> None:
    """Adds a row for each number of clients."""
    request = json.dumps({"headers": {"Authorization": f"Bearer {secret}"}, "body": body})
    _load(url, request, 16, WARMUP_S)
    for clients in CONCURRENCIES:
        began = stage.cpu_s(process)
        done = _load(url, request, clients, seconds)
        used_s = stage.cpu_s(process) - began
        latencies_ms = [1000 * latency for latency in done["latencies_s"]]
        cuts = quantiles(latencies_ms, n=20) if len(latencies_ms) > 1 else [float("nan")] * 19
        rate, cores = len(latencies_ms) / done["wall_s"], used_s / done["wall_s"]
        errors = ", ".join(f"{count} x {what}" for what, count in done["errors"].items())
        row = [
            f"{cuts[9]:.2f}",
            f"{cuts[18]:.2f}",
            f"{rate:.0f}",
            f"{cores:.2f}",
            f"{rate / cores:.0f}" if cores else "-",
        ]
        table.add_row(name, str(clients), *row, errors)


def _load(url: str, request: str, clients: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.load", url, str(clients), str(seconds)]
    done: dict[str, Any] = json.loads(
        subprocess.run(command, cwd=ROOT, input=request, capture_output=True, text=True, check=True).stdout
    )
    return done


@contextmanager
def litellm(venv: Path) -> Iterator[tuple[Stage, str, str]]:
    """LiteLLM's proxy and its upstream: (stage, its URL, the upstream's URL)."""
    with Stage() as stage:
        upstream_port, port = free_port(), free_port()
        options = [
            "--port",
            str(upstream_port),
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
        ]
        stage.spawn("upstream", [sys.executable, "-m", "uvicorn", "bench.upstream:app", *options])
        config = stage.data_dir / "litellm.yaml"
        upstream = f"http://127.0.0.1:{upstream_port}/v1"
        parameters = {"model": "openai/stub", "api_base": upstream, "api_key": "none"}
        models = [{"model_name": "stub", "litellm_params": parameters}]
        config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": LITELLM_KEY}}))
        command = [str(venv / "bin" / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        stage.spawn(
            "litellm",
            [*command, "--num_workers", "1", "--telemetry", "False"],
            env={**stage.plain_env(), "LITELLM_LOG": "ERROR"},
        )
        wait_for_port(upstream_port)
        wait_for_port(port, timeout_s=180)
        time.sleep(2)  # it goes on starting after it has begun to answer
        yield stage, f"http://127.0.0.1:{port}/v1/chat/completions", f"{upstream}/chat/completions"


if __name__ == "__main__":
    main()
