"""The addresses, as La Suite's Drive has them."""

from core import views
from django.urls import include, path
from lasuite.oidc_login.urls import urlpatterns as oidc_urls
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("items", views.ItemViewSet, basename="items")
router.register("users", views.UserViewSet, basename="users")

urlpatterns = [
    path("__heartbeat__", views.heartbeat),
    path("api/v1.0/config/", views.ConfigView.as_view()),
    path("api/v1.0/", include([*router.urls, *oidc_urls])),
]
