"""People and organizations, for the people who run the store."""

# mypy: disallow-subclassing-any=False
# (the packages subclassed here come without types)

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import Invitation, Membership, Organization, ProviderProfile, User
from store.staff.read_only import ReadOnlyAdmin, ReadOnlyInline

# allauth and Django register these in the look of Django's own admin.
for model in (EmailAddress, Authenticator, UserSession, Group):
    admin.site.unregister(model)


class EmailInline(TabularInline):
    model = EmailAddress
    extra = 0


class AuthenticatorInline(ReadOnlyInline):
    """Which second factors a user has; their secrets are not shown. Deleting one is how a lost factor is reset."""

    model = Authenticator
    fields = ("type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return request.user.is_superuser


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("organization", "user")


class ProviderInline(StackedInline):
    model = ProviderProfile
    extra = 0


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_moderator", "is_staff", "date_joined")
    list_filter = ("is_active", "is_moderator", "is_staff", "is_superuser", "date_joined")
    search_fields = ("email", "name")
    ordering = ("-date_joined",)
    filter_horizontal = ()
    readonly_fields = ("date_joined", "last_login")
    inlines = (EmailInline, MembershipInline, AuthenticatorInline)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            _("Roles"),
            {"fields": ("is_active", "is_moderator", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Dates"), {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)

    def save_model(self, request: HttpRequest, obj: User, form: object, change: bool) -> None:
        super().save_model(request, obj, form, change)
        ensure_personal_organization(obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False  # a user stands in the books: deactivate instead


@admin.register(Organization)
class OrganizationAdmin(ModelAdmin):
    list_display = ("slug", "name", "personal_of", "created_at")
    list_filter = (("personal_of", admin.EmptyFieldListFilter), ("provider", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("personal_of",)
    search_fields = ("slug", "name", "memberships__user__email")
    readonly_fields = ("slug", "created_at")  # a slug is part of the name of every model that clients call
    inlines = (ProviderInline, MembershipInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Organization | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj else ("created_at",)

    def has_delete_permission(self, request: HttpRequest, obj: Organization | None = None) -> bool:
        return False  # it stands in the books


@admin.register(ProviderProfile)
class ProviderProfileAdmin(ModelAdmin):
    list_display = ("organization", "website", "created_at")
    list_select_related = ("organization",)
    search_fields = ("organization__slug", "about", "website")
    autocomplete_fields = ("organization",)
    readonly_fields = ("created_at",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("email", "organization", "role", "invited_by", "created_at", "sent_at", "accepted_at", "revoked_at")
    list_filter = ("role", "created_at", ("accepted_at", admin.EmptyFieldListFilter))
    list_select_related = ("organization", "invited_by")
    search_fields = ("email", "organization__slug")
    ordering = ("-created_at",)


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    fields = ("user", "ip", "user_agent", "created_at", "last_seen_at")  # never the session's key


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass
