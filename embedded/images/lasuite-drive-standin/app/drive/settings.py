"""Settings of the stand-in, by the names that La Suite's Drive has for them.

A secret NAME may also be in a file that NAME_FILE names.
"""

import json
import os
from pathlib import Path


def text(name, default=None):
    return os.environ.get(name) or default


def listed(name, default=""):
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def secret(name, default=None):
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text().strip() if path else text(name, default)


VERSION = os.environ.get("DRIVE_VERSION", "0")
SECRET_KEY = secret("DJANGO_SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = listed("DJANGO_ALLOWED_HOSTS")
ROOT_URLCONF = "drive.urls"
WSGI_APPLICATION = "drive.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

INSTALLED_APPS = [
    "core",
    "wopi",
    "lasuite.malware_detection",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "mozilla_django_oidc",
    "rest_framework",
    "storages",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
AUTH_USER_MODEL = "core.User"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": text("DB_NAME", "drive"),
        "USER": text("DB_USER", "drive"),
        "PASSWORD": secret("DB_PASSWORD"),
        "HOST": text("DB_HOST", "db"),
        "PORT": text("DB_PORT", "5432"),
    }
}
REDIS_URL = text("REDIS_URL", "redis://redis:6379/1")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_AGE = 60 * 60 * 12
CELERY_BROKER_URL = text("DJANGO_CELERY_BROKER_URL", "redis://redis:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

AWS_S3_ENDPOINT_URL = text("AWS_S3_ENDPOINT_URL", "http://minio:9000")
AWS_S3_DOMAIN_REPLACE = text("AWS_S3_DOMAIN_REPLACE")
AWS_S3_ACCESS_KEY_ID = secret("AWS_S3_ACCESS_KEY_ID")
AWS_S3_SECRET_ACCESS_KEY = secret("AWS_S3_SECRET_ACCESS_KEY")
AWS_S3_REGION_NAME = text("AWS_S3_REGION_NAME", "us-east-1")
AWS_S3_SIGNATURE_VERSION = "s3v4"
AWS_S3_UPLOAD_POLICY_EXPIRATION = 60  # seconds
AWS_STORAGE_BUCKET_NAME = text("AWS_STORAGE_BUCKET_NAME", "drive-media-storage")
STORAGES = {
    "default": {"BACKEND": "storages.backends.s3.S3Storage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_URL = "/media/"
MEDIA_BASE_URL = text("MEDIA_BASE_URL", "")
MALWARE_DETECTION = {
    "BACKEND": "lasuite.malware_detection.backends.dummy.DummyBackend",
    "PARAMETERS": {"callback_path": "core.tasks.analysed"},
}

EMAIL_HOST = text("DJANGO_EMAIL_HOST", "mailcatcher")
EMAIL_PORT = int(text("DJANGO_EMAIL_PORT", "1025"))
DEFAULT_FROM_EMAIL = text("DJANGO_EMAIL_FROM", "drive@example.com")

AUTHENTICATION_BACKENDS = ["core.authentication.OIDCAuthenticationBackend"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mozilla_django_oidc.contrib.drf.OIDCAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 20,
}
OIDC_AUTHENTICATE_CLASS = "lasuite.oidc_login.views.OIDCAuthenticationRequestView"
OIDC_CALLBACK_CLASS = "lasuite.oidc_login.views.OIDCAuthenticationCallbackView"
OIDC_RP_SIGN_ALGO = text("OIDC_RP_SIGN_ALGO", "RS256")
OIDC_RP_CLIENT_ID = text("OIDC_RP_CLIENT_ID", "drive")
OIDC_RP_CLIENT_SECRET = secret("OIDC_RP_CLIENT_SECRET")
OIDC_RP_SCOPES = text("OIDC_RP_SCOPES", "openid email")
OIDC_OP_JWKS_ENDPOINT = text("OIDC_OP_JWKS_ENDPOINT")
OIDC_OP_AUTHORIZATION_ENDPOINT = text("OIDC_OP_AUTHORIZATION_ENDPOINT")
OIDC_OP_TOKEN_ENDPOINT = text("OIDC_OP_TOKEN_ENDPOINT")
OIDC_OP_USER_ENDPOINT = text("OIDC_OP_USER_ENDPOINT")
OIDC_OP_LOGOUT_ENDPOINT = text("OIDC_OP_LOGOUT_ENDPOINT")
OIDC_AUTH_REQUEST_EXTRA_PARAMS = json.loads(text("OIDC_AUTH_REQUEST_EXTRA_PARAMS", "{}"))
OIDC_REDIRECT_ALLOWED_HOSTS = listed("OIDC_REDIRECT_ALLOWED_HOSTS")
OIDC_REDIRECT_REQUIRE_HTTPS = True
OIDC_FALLBACK_TO_EMAIL_FOR_IDENTIFICATION = True
OIDC_CREATE_USER = True
OIDC_STORE_ID_TOKEN = True
OIDC_USE_NONCE = True
OIDC_TIMEOUT = int(text("OIDC_TIMEOUT", "10"))  # seconds
LOGIN_REDIRECT_URL = text("LOGIN_REDIRECT_URL", "/")
LOGIN_REDIRECT_URL_FAILURE = text("LOGIN_REDIRECT_URL_FAILURE", "/")
LOGOUT_REDIRECT_URL = text("LOGOUT_REDIRECT_URL", "/")
ALLOW_LOGOUT_GET_METHOD = True

WOPI_CLIENTS = {
    name: text(f"WOPI_{name.upper()}_DISCOVERY_URL") for name in listed("WOPI_CLIENTS", "collabora,onlyoffice")
}
WOPI_SRC_BASE_URL = text("WOPI_SRC_BASE_URL", MEDIA_BASE_URL)
WOPI_CONFIGURATION_INTERVAL = int(text("WOPI_CONFIGURATION_INTERVAL", "3600"))  # seconds

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
