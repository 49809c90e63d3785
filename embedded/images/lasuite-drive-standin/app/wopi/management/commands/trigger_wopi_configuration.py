"""Lets the worker ask the office servers again."""

from django.core.management.base import BaseCommand

from wopi.tasks import configure_wopi_clients


class Command(BaseCommand):
    help = __doc__

    def handle(self, *_args, **_options):
        configure_wopi_clients.delay()
