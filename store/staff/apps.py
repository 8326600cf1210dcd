from django.contrib.admin.apps import AdminConfig


class StaffConfig(AdminConfig):
    """django.contrib.admin, with the store's own site."""

    default_site = "store.staff.site.StaffSite"
