"""The object storage: addresses to upload to, and signatures for nginx."""

import boto3
import botocore.auth
import botocore.awsrequest
from botocore.config import Config
from django.conf import settings
from django.core.files.storage import default_storage


def client(endpoint=None):
    """S3, at `endpoint` or where the services of the stack reach it."""
    return boto3.client(
        "s3",
        aws_access_key_id=settings.AWS_S3_ACCESS_KEY_ID,
        aws_secret_access_key=settings.AWS_S3_SECRET_ACCESS_KEY,
        endpoint_url=endpoint or settings.AWS_S3_ENDPOINT_URL,
        region_name=settings.AWS_S3_REGION_NAME,
        config=Config(signature_version=settings.AWS_S3_SIGNATURE_VERSION),
    )


def upload_policy(item):
    """Where a browser may PUT the content, for a minute. The host is part of the signature."""
    return client(settings.AWS_S3_DOMAIN_REPLACE).generate_presigned_url(
        "put_object",
        Params={"Bucket": settings.AWS_STORAGE_BUCKET_NAME, "Key": item.key, "ACL": "private"},
        ExpiresIn=settings.AWS_S3_UPLOAD_POLICY_EXPIRATION,
    )


def authorization_headers(key):
    """What nginx adds to a GET of this object, so that the storage answers it and nobody else's."""
    storage = default_storage.unsigned_connection.meta.client
    url = storage.generate_presigned_url(
        "get_object", Params={"Bucket": settings.AWS_STORAGE_BUCKET_NAME, "Key": key}, ExpiresIn=0
    )
    request = botocore.awsrequest.AWSRequest(method="get", url=url)
    signer = client()._request_signer
    botocore.auth.S3SigV4Auth(signer._credentials.get_frozen_credentials(), "s3", settings.AWS_S3_REGION_NAME).add_auth(
        request
    )
    return dict(request.headers)
