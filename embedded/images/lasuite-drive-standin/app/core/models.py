"""A user as the provider tells of them, and an item: a folder, or a file whose content is in the object storage."""

import uuid

from django.contrib.auth.models import AbstractBaseUser
from django.db import models


class User(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    sub = models.CharField(max_length=255, unique=True, null=True)
    email = models.EmailField(null=True)
    full_name = models.CharField(max_length=100, null=True)
    short_name = models.CharField(max_length=100, null=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "sub"


class Item(models.Model):
    class Type(models.TextChoices):
        FOLDER = "folder"
        FILE = "file"

    class State(models.TextChoices):
        PENDING = "pending"
        ANALYZING = "analyzing"
        SUSPICIOUS = "suspicious"
        READY = "ready"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    creator = models.ForeignKey(User, on_delete=models.CASCADE)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    type = models.CharField(max_length=10, choices=Type.choices)
    title = models.CharField(max_length=255)
    filename = models.CharField(max_length=255, null=True)
    upload_state = models.CharField(max_length=10, choices=State.choices, null=True)
    mimetype = models.CharField(max_length=255, null=True)
    size = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-created_at",)

    @property
    def key(self):
        """Where the content is in the object storage."""
        return f"item/{self.id}/{self.filename}"
