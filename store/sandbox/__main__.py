"""The sandbox as a process: ``python -m store.sandbox``."""

from __future__ import annotations

import django
import uvicorn

from store.settings import SANDBOX_HOST, SANDBOX_PORT, configure


def main() -> None:
    configure()
    django.setup(set_prefix=False)
    from store.sandbox.asgi import application  # it needs Django's apps, which are there from here on

    uvicorn.run(
        application, host=SANDBOX_HOST, port=SANDBOX_PORT, log_config=None, access_log=False, server_header=False
    )


if __name__ == "__main__":
    main()
