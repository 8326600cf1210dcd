"""The ASGI application that uvicorn serves."""

from __future__ import annotations

import django

from store.settings import configure

configure()
django.setup(set_prefix=False)

from store.api.handler import Handler  # noqa: E402 - it needs Django's apps

application = Handler()
