#!/usr/bin/env python
"""Django's command line for the store: ``python manage.py help``."""

import sys

from store.settings import configure

if __name__ == "__main__":
    configure()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
