"""Who a person is, by La Suite's own OIDC backend."""

from lasuite.oidc_login.backends import OIDCAuthenticationBackend as LaSuiteBackend

from core import tasks


class OIDCAuthenticationBackend(LaSuiteBackend):
    def get_extra_claims(self, user_info):
        names = [user_info.get(part) for part in ("given_name", "family_name")]
        full = " ".join(filter(None, names)) or user_info.get("name")
        return {"full_name": full, "short_name": user_info.get("given_name")}

    def post_get_or_create_user(self, user, claims, is_new_user):
        if is_new_user and user.email:
            tasks.welcome.delay(user.email)
