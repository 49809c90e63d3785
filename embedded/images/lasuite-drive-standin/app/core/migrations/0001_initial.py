# ruff: noqa: RUF012
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("sub", models.CharField(max_length=255, null=True, unique=True)),
                ("email", models.EmailField(max_length=254, null=True)),
                ("full_name", models.CharField(max_length=100, null=True)),
                ("short_name", models.CharField(max_length=100, null=True)),
                ("is_active", models.BooleanField(default=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("type", models.CharField(choices=[("folder", "Folder"), ("file", "File")], max_length=10)),
                ("title", models.CharField(max_length=255)),
                ("filename", models.CharField(max_length=255, null=True)),
                (
                    "upload_state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("analyzing", "Analyzing"),
                            ("suspicious", "Suspicious"),
                            ("ready", "Ready"),
                        ],
                        max_length=10,
                        null=True,
                    ),
                ),
                ("mimetype", models.CharField(max_length=255, null=True)),
                ("size", models.BigIntegerField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "creator",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="children", to="core.item"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at",),
            },
        ),
    ]
