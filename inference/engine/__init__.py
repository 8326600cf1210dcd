"""Continuous batching for generators. Start reading at ``engine.py``."""

from inference.engine.engine import Engine
from inference.engine.loop import EngineLoop
from inference.engine.sequence import Output, Request
from inference.errors import EngineStopped, InferenceError, InvalidRequest

__all__ = ["Engine", "EngineLoop", "EngineStopped", "InferenceError", "InvalidRequest", "Output", "Request"]
