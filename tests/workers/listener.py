"""The store's side of measuring, converting and training: sends specs, and reads what arrives in its own queue."""

from __future__ import annotations

import base64
import json
from typing import Any

import redis
from celery import Celery

from inference import wire
from tests.servers import Servers
from tests.waiting import await_that
from tests.workers.processes import broker_url


class Listener:
    def __init__(self, servers: Servers, *, database: int) -> None:
        self.redis = redis.Redis.from_url(servers.redis_url, db=database)
        self.told: list[tuple[str, list[Any]]] = []  # task and arguments of each report, in order
        self._sender = Celery("store", broker=broker_url(servers, database), set_as_current=False)

    def send(self, spec: wire.EvaluateSpec) -> wire.EvaluateSpec:
        self._sender.send_task(wire.EVALUATE_TASK, args=(spec.as_json(),), queue=wire.EVALUATE_QUEUE)
        return spec

    def send_conversion(self, spec: wire.ConvertSpec) -> None:
        self._sender.send_task(wire.CONVERT_TASK, args=(spec.as_json(),), queue=wire.CONVERT_QUEUE)

    def reports(self, spec: wire.EvaluateSpec) -> list[wire.MeasurementReport]:
        told = self._heard(wire.MEASURED_TASK, spec.measurement_id, spec.attempt)
        return [wire.MeasurementReport.from_json(message) for message in told]

    def wait_for_end(self, spec: wire.EvaluateSpec) -> wire.MeasurementReport:
        def ended() -> wire.MeasurementReport | None:
            return next((report for report in self.reports(spec) if report.status != "running"), None)

        return await_that(ended, "the end is told")

    def wait_for_conversion(self, spec: wire.ConvertSpec) -> wire.ConversionReport:
        def ended() -> wire.ConversionReport | None:
            told = self._heard(wire.CONVERTED_TASK, spec.job_id, spec.attempt)
            reports = (wire.ConversionReport.from_json(message) for message in told)
            return next((report for report in reports if report.status != "running"), None)

        return await_that(ended, "the end is told")

    def send_training(self, spec: wire.TuneSpec) -> wire.TuneSpec:
        self._sender.send_task(wire.TUNE_TASK, args=(spec.as_json(),), queue=wire.TUNE_QUEUE)
        return spec

    def trainings(self, spec: wire.TuneSpec) -> list[wire.TuneReport]:
        """What was reported of one attempt."""
        return [wire.TuneReport.from_json(told) for told in self._heard(wire.TUNED_TASK, spec.job_id, spec.epoch)]

    def wait_for_training(self, spec: wire.TuneSpec) -> wire.TuneReport:
        """The last report of an attempt."""

        def ended() -> wire.TuneReport | None:
            reports = self.trainings(spec)
            return next((report for report in reports if report.status not in ("running", "checkpoint")), None)

        return await_that(ended, "the training ends", timeout_s=240)

    def wait_for_checkpoint(self, spec: wire.TuneSpec, *, after: int = 0) -> wire.Checkpoint:
        """The first checkpoint of an attempt after a step."""

        def made() -> wire.Checkpoint | None:
            found = (report.checkpoint for report in self.trainings(spec))
            return next((checkpoint for checkpoint in found if checkpoint and checkpoint.step > after), None)

        return await_that(made, "there is a checkpoint", timeout_s=240)

    def _heard(self, task: str, job_id: int, attempt: int) -> list[dict[str, Any]]:
        while data := self.redis.lpop(wire.CPU_QUEUE):
            message = json.loads(data)
            args, _kwargs, _embed = json.loads(base64.b64decode(message["body"]))
            self.told.append((message["headers"]["task"], args))
        return [args[2] for name, args in self.told if name == task and args[:2] == [job_id, attempt]]
