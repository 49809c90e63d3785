"""Makes the bucket, unless it is there."""

import time

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import storage

LIMIT, PAUSE = 60, 1  # seconds


class Command(BaseCommand):
    help = __doc__

    def handle(self, *_args, **_options):
        bucket = settings.AWS_STORAGE_BUCKET_NAME
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                self.stdout.write(make(storage.client(), bucket))
                return
            except (BotoCoreError, ClientError) as problem:
                if time.monotonic() > deadline:
                    raise CommandError(f"the bucket {bucket} could not be made within {LIMIT} s: {problem}") from None
                time.sleep(PAUSE)


def make(client, bucket):
    names = [found["Name"] for found in client.list_buckets()["Buckets"]]
    if bucket in names:
        return f"the bucket {bucket} is there already"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return f"the bucket {bucket} was made"
