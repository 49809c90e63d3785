"""What the worker does with an uploaded file."""

import logging

from celery import shared_task
from django.conf import settings
from django.core.mail import send_mail
from lasuite.malware_detection import malware_detection
from lasuite.malware_detection.enums import ReportStatus

from core.models import Item

logger = logging.getLogger(__name__)


@shared_task
def analyse(item_id):
    item = Item.objects.get(pk=item_id)
    malware_detection.analyse_file(item.key, item_id=item_id)


def analysed(file_path, status, error_info, **kwargs):
    """Called by La Suite's malware detection."""
    good = status == ReportStatus.SAFE
    state = Item.State.READY if good else Item.State.SUSPICIOUS
    Item.objects.filter(pk=kwargs["item_id"]).update(upload_state=state)
    logger.info("%s is %s", file_path, state)


@shared_task
def welcome(email):
    send_mail("Welcome to Drive", "Your files are kept here.\n", settings.DEFAULT_FROM_EMAIL, [email])
