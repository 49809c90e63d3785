"""The API: users, items, and what nginx asks before it hands out a file."""

import mimetypes
import re
from urllib.parse import quote, unquote

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import JsonResponse
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView
from wopi.tasks import client_for

from core import storage, tasks
from core.models import Item, User

MEDIA = re.compile(r"^/media/(?P<key>item/(?P<id>[0-9a-f-]{36})/[^/]+)$")


def heartbeat(_request):
    """200 when the database and the cache answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    cache.get("heartbeat")
    return JsonResponse({"status": "ok", "version": settings.VERSION})


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "email", "full_name", "short_name")


class ItemSerializer(serializers.ModelSerializer):
    title = serializers.CharField(max_length=255, required=False)
    url = serializers.SerializerMethodField()
    is_wopi_supported = serializers.SerializerMethodField()

    class Meta:
        model = Item
        fields = (
            "id", "title", "type", "filename", "upload_state", "mimetype", "size", "url", "is_wopi_supported",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("id", "upload_state", "mimetype", "size", "created_at", "updated_at")

    def get_url(self, item):
        if item.type != Item.Type.FILE or item.upload_state == Item.State.PENDING:
            return None
        return f"{settings.MEDIA_BASE_URL}{settings.MEDIA_URL}{quote(item.key)}"

    def get_is_wopi_supported(self, item):
        return item.type == Item.Type.FILE and client_for(item) is not None

    def validate(self, given):
        if given["type"] == Item.Type.FILE:
            if not given.get("filename"):
                raise ValidationError({"filename": "This field is required for files."})
            if "/" in given["filename"]:
                raise ValidationError({"filename": "A file name holds no slash."})
            given["title"] = given["filename"]
            given["upload_state"] = Item.State.PENDING
        elif not given.get("title"):
            raise ValidationError({"title": "This field is required for folders."})
        return given


class CreatedItemSerializer(ItemSerializer):
    policy = serializers.SerializerMethodField()

    class Meta(ItemSerializer.Meta):
        fields = (*ItemSerializer.Meta.fields, "policy")

    def get_policy(self, item):
        return storage.upload_policy(item) if item.type == Item.Type.FILE else None


class UserViewSet(viewsets.GenericViewSet):
    @action(detail=False)
    def me(self, request):
        return Response(UserSerializer(request.user).data)


class ItemViewSet(mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet):
    serializer_class = ItemSerializer

    def get_queryset(self):
        return Item.objects.filter(creator=self.request.user)

    def create(self, request):
        return self._create(None)

    def list(self, request):
        return self._list(self.get_queryset().filter(parent=None))

    @action(detail=True, methods=["get", "post"])
    def children(self, request, pk):
        folder = self.get_object()
        if request.method == "POST":
            return self._create(folder)
        return self._list(folder.children.all())

    def _create(self, parent):
        given = CreatedItemSerializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        if parent is not None and parent.type != Item.Type.FOLDER:
            raise ValidationError({"type": "Only folders have children."})
        given.save(creator=self.request.user, parent=parent)
        return Response(given.data, status=status.HTTP_201_CREATED)

    def _list(self, found):
        page = self.paginate_queryset(found.exclude(upload_state=Item.State.PENDING))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @action(detail=True, methods=["post"], url_path="upload-ended")
    def upload_ended(self, request, pk):
        item = self.get_object()
        if item.upload_state != Item.State.PENDING:
            raise ValidationError({"item": "This action is only available for items in PENDING state."})
        head = storage.client().head_object(Bucket=settings.AWS_STORAGE_BUCKET_NAME, Key=item.key)
        item.upload_state = Item.State.ANALYZING
        item.size = head["ContentLength"]
        item.mimetype = mimetypes.guess_type(item.filename)[0] or "application/octet-stream"
        item.save()
        tasks.analyse.delay(str(item.id))
        return Response(self.get_serializer(item).data)

    @action(detail=True)
    def wopi(self, request, pk):
        item = self.get_object()
        address = client_for(item)
        if not address:
            raise ValidationError({"detail": "This item does not suport WOPI integration."})
        source = f"{settings.WOPI_SRC_BASE_URL}/api/v1.0/wopi/files/{item.id}"
        return Response({"launch_url": f"{address}WOPISrc={quote(source, safe='')}"})

    @action(detail=False, url_path="media-auth")
    def media_auth(self, request):
        """Asked by nginx with the address of a file; the answer's headers let it have that file."""
        asked = MEDIA.match(unquote(request.META.get("HTTP_X_ORIGINAL_URL", "").partition("?")[0]))
        item = asked and self.get_queryset().filter(pk=asked["id"]).first()
        if not item or item.key != asked["key"] or item.upload_state not in (Item.State.ANALYZING, Item.State.READY):
            raise PermissionDenied
        return Response("authorized", headers=storage.authorization_headers(item.key))


class ConfigView(APIView):
    permission_classes = (AllowAny,)
    authentication_classes = ()

    def get(self, request):
        return Response({"ENVIRONMENT": "stand-in", "RELEASE": settings.VERSION, "LANGUAGE_CODE": "en-us"})
