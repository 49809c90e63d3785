"""The Celery application is there as soon as Django is: tasks are sent from requests."""

from drive.celery_app import app as celery_app

__all__ = ["celery_app"]
