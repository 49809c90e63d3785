"""Celery: its broker is Redis, its settings are Django's."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "drive.settings")
app = Celery("drive")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
