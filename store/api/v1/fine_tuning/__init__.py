"""``/v1/fine_tuning``: trainings, in OpenAI's format. https://platform.openai.com/docs/api-reference/fine-tuning"""

from store.api.v1.fine_tuning.views import cancel, checkpoints, events, job, jobs, pause, resume

__all__ = ["cancel", "checkpoints", "events", "job", "jobs", "pause", "resume"]
