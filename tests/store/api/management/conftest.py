from tests.store.runs.conftest import gateway_id, request_of

__all__ = ["gateway_id", "request_of"]
