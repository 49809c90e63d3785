"""What the office servers can open, by their own discovery documents; kept in the cache."""

import requests
from celery import shared_task
from celery.signals import worker_ready
from defusedxml.ElementTree import fromstring
from django.conf import settings
from django.core.cache import cache
from drive.celery_app import app

KEY = "wopi_configuration"
LIMIT = 30  # seconds for an office server to answer


@app.on_after_finalize.connect
def ask_now_and_then(sender, **_options):
    sender.add_periodic_task(
        settings.WOPI_CONFIGURATION_INTERVAL, configure_wopi_clients.s(), name="configure_wopi_clients"
    )


@worker_ready.connect
def ask_at_start(**_options):
    configure_wopi_clients.delay()


@shared_task
def configure_wopi_clients():
    found = {}
    for name, url in settings.WOPI_CLIENTS.items():
        answer = requests.get(url, timeout=LIMIT)
        if not answer.ok:
            raise RuntimeError(f"status {answer.status_code} of the discovery of {name} at {url}")
        for action in fromstring(answer.content).iterfind(".//net-zone//action[@name='edit']"):
            found.setdefault(action.get("ext"), action.get("urlsrc"))
    cache.set(KEY, found, timeout=None)


def client_for(item):
    """The address at which an office server opens this file; None when none does."""
    extension = (item.filename or "").rpartition(".")[2].lower()
    return (cache.get(KEY) or {}).get(extension)
