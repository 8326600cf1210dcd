from tests.store.live import db, live

__all__ = ["db", "live"]
