"""Every knob of the store, and the only reader of the environment on this side. docs/settings.md documents each; a test compares.

A GPU worker has no Django: its few knobs are in ``workers/settings.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _
from environs import Env, EnvError

from store import embedded

BASE_DIR = Path(__file__).resolve().parent.parent


def configure() -> None:
    """Names this module to Django. Called by manage.py, the ASGI app and the CPU worker."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "store.settings")


def hosts_of(*urls: str) -> list[str]:
    """The host names in these addresses."""
    return [host for url in urls if (host := urlsplit(url).hostname)]


env = Env(prefix="")
try:
    DEBUG = env.bool("DEBUG", False)
    DATA_DIR = Path(env.str("DATA_DIR", str(BASE_DIR / ".data"))).resolve()
    WEB_HOST = env.str("WEB_HOST", "127.0.0.1")
    WEB_PORT = env.int("WEB_PORT", 8000)
    WEB_PROCESSES = env.int("WEB_PROCESSES", 2)
    WEB_DRAIN_S = env.float("WEB_DRAIN_S", 60.0)
    PUBLIC_URL = (env.str("PUBLIC_URL", "") or f"http://127.0.0.1:{WEB_PORT}").rstrip("/")
    INTERNAL_URL = (env.str("INTERNAL_URL", "") or PUBLIC_URL).rstrip("/")
    SECRET_KEY = env.str("SECRET_KEY", "") or embedded.stored_secret(DATA_DIR / "secret_key")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]", *hosts_of(PUBLIC_URL, INTERNAL_URL)])
    DATABASE_URL = env.str("DATABASE_URL", "") or embedded.database_url(DATA_DIR)
    REDIS_URL = env.str("REDIS_URL", "") or embedded.redis_url(DATA_DIR)
    BROKER_URL = env.str("BROKER_URL", "") or embedded.broker_url(REDIS_URL)
    TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
    EMAIL_URL = env.str("EMAIL_URL", "")
    EMAIL_FROM = env.str("EMAIL_FROM", "GPT Store <store@localhost>")
    S3_BUCKET = env.str("S3_BUCKET", "")
    S3_ENDPOINT = env.str("S3_ENDPOINT", "")
    COMMISSION_PPM = env.int("COMMISSION_PPM", 150_000)
    TEST_MONEY = env.bool("TEST_MONEY", True)
    MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 8 * 1024 * 1024)
    RUN_DEADLINE_S = env.int("RUN_DEADLINE_S", 600)
    START_LEASE_S = env.float("START_LEASE_S", 10.0)
    RUN_LEASE_S = env.float("RUN_LEASE_S", 4.0)
    QUEUE_LIMIT_S = env.float("QUEUE_LIMIT_S", 60.0)
    SLOW_CLIENT_S = env.float("SLOW_CLIENT_S", 30.0)
    MAX_OPEN_RUNS = env.int("MAX_OPEN_RUNS", 2048)
    RELEASE_TOKEN_S = env.int("RELEASE_TOKEN_S", 3600)
    LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
except EnvError as error:
    raise ImproperlyConfigured(f"{error}. docs/settings.md lists every setting.") from error

if not 0 <= COMMISSION_PPM <= 1_000_000:
    raise ImproperlyConfigured("COMMISSION_PPM is the platform's share in parts per million: 0 to 1000000.")

TESTING = "pytest" in sys.modules
HTTPS = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "store.staff.apps.StaffConfig",  # django.contrib.admin with the store's own site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_vite",
    "rest_framework",
    "store.accounts",
    "store.ledger",
    "store.catalog",
    "store.hub",
    "store.keys",
    "store.fleet",
    "store.runs",
    "store.billing",
    "store.api",
    "store.console",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "store.urls"
ASGI_APPLICATION = "store.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "store.console.context.shop",
            ]
        },
    }
]

DATABASES = {"default": embedded.django_database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # an e-mail address is unique by lower(email), which the check does not see
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA_DIR / "files"}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if S3_BUCKET:
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"bucket_name": S3_BUCKET, "endpoint_url": S3_ENDPOINT or None},
    }
if TESTING:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "dist"] if (BASE_DIR / "frontend" / "dist").is_dir() else []
DJANGO_VITE = {
    "default": {
        "dev_mode": False,
        "manifest_path": BASE_DIR / "frontend" / "dist" / "manifest.json",
        "static_url_prefix": "",
    }
}

# Rate limits of sign-in live here, so all web processes count together. Nothing that matters: it can be emptied at any moment.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "cache"}
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]  # one more line, and its catalogue in store/locale, for each further language
LOCALE_PATHS = [BASE_DIR / "store" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = DATA_DIR / "mail"
DEFAULT_FROM_EMAIL = EMAIL_FROM
if EMAIL_URL:
    _mail = env.dj_email_url("EMAIL_URL")
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail["EMAIL_USE_TLS"], _mail["EMAIL_USE_SSL"]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "store.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[GPT Store] "
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password or second factor is told by mail
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before e-mail, password or second factor change
ACCOUNT_SESSION_REMEMBER = True
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # passkeys on http://localhost
MFA_TOTP_ISSUER = "GPT Store"
USERSESSIONS_TRACK_ACTIVITY = False

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "store.api.errors.management_error",
}
# unfold's pages bring <style> and Alpine.js, which evaluates the expressions in its attributes: /admin/ alone may do both, for
# staff with two factors (store.staff.site adds this to their answers). No script from elsewhere and no inline script runs there either.
ADMIN_CONTENT_SECURITY_POLICY = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}
UNFOLD = {
    "SITE_TITLE": _("GPT Store"),
    "SITE_HEADER": _("GPT Store"),
    "SITE_SUBHEADER": _("For the people who run it"),
    "SITE_SYMBOL": "storefront",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("favicon.svg")}],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .018 165)",
            "100": "oklch(94% .035 165)",
            "200": "oklch(89% .065 164)",
            "300": "oklch(82% .105 164)",
            "400": "oklch(74% .135 163)",
            "500": "oklch(63% .135 163)",
            "600": "oklch(52% .118 162)",
            "700": "oklch(45% .102 162)",
            "800": "oklch(38% .084 163)",
            "900": "oklch(32% .068 164)",
            "950": "oklch(24% .05 166)",
        }
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
