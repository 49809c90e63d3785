"""Django's own command, with patience for a database that is still starting."""

import sys
import time

from django.core.management.commands.migrate import Command as Migrate
from django.db import connection
from django.db.utils import OperationalError

LIMIT, PAUSE = 120, 1  # seconds


class Command(Migrate):
    def handle(self, *args, **options):
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                connection.ensure_connection()
                break
            except OperationalError as problem:
                if time.monotonic() > deadline:
                    raise
                sys.stderr.write(f"waiting for the database: {str(problem).strip()}\n")
                time.sleep(PAUSE)
        super().handle(*args, **options)
