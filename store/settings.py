"""Every knob of the store, and the only reader of the environment on this side. docs/settings.md documents each; a test compares.

A GPU worker has no Django: its few knobs are in ``workers/settings.py``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError

from store import embedded
from store.admin_look import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent


def configure() -> None:
    """Names this module to Django. Called by manage.py, the ASGI app and the CPU worker."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "store.settings")


def is_loopback(*hosts: str) -> bool:
    """Whether nobody but this machine is at any of these hosts."""
    return all(host == "localhost" or host == "::1" or host.startswith("127.") for host in hosts)


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
    ROYALTY_CAP_PPM = env.int("ROYALTY_CAP_PPM", 500_000)
    EARNINGS_HOLD_BACK_DAYS = env.int("EARNINGS_HOLD_BACK_DAYS", 7)
    PAYOUT_MINIMUM_NANO = env.int("PAYOUT_MINIMUM_NANO", 10_000_000_000)
    PAYOUT_FEE_NANO = env.int("PAYOUT_FEE_NANO", 0)
    PAYOUT_FEE_PPM = env.int("PAYOUT_FEE_PPM", 0)
    PAYOUT_GRACE_S = env.int("PAYOUT_GRACE_S", 300)
    FOUR_EYES_USD = env.int("FOUR_EYES_USD", 100)
    TEST_MONEY = env.bool("TEST_MONEY", True)
    SIGNUP_GRANT_NANO = env.int("SIGNUP_GRANT_NANO", 0)
    SIGNUP_GRANT_DAYS = env.int("SIGNUP_GRANT_DAYS", 30)
    MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 8 * 1024 * 1024)
    RUN_DEADLINE_S = env.int("RUN_DEADLINE_S", 600)
    START_LEASE_S = env.float("START_LEASE_S", 10.0)
    RUN_LEASE_S = env.float("RUN_LEASE_S", 4.0)
    QUEUE_LIMIT_S = env.float("QUEUE_LIMIT_S", 60.0)
    SLOW_CLIENT_S = env.float("SLOW_CLIENT_S", 30.0)
    MAX_OPEN_RUNS = env.int("MAX_OPEN_RUNS", 2048)
    RELEASE_TOKEN_S = env.int("RELEASE_TOKEN_S", 3600)
    REVIEW = env.str("REVIEW", "automatic")
    STORAGE_LIMIT_BYTES = env.int("STORAGE_LIMIT_BYTES", 200 * 1024**3)
    MAX_FILE_BYTES = env.int("MAX_FILE_BYTES", 50 * 1024**3)
    UPLOAD_EXPIRES_S = env.int("UPLOAD_EXPIRES_S", 7 * 24 * 3600)
    CHECK_MEMORY_BYTES = env.int("CHECK_MEMORY_BYTES", 2 * 1024**3)
    IMPORT_ENDPOINT = env.str("IMPORT_ENDPOINT", "https://huggingface.co").rstrip("/")
    IMPORT_TOKEN = env.str("IMPORT_TOKEN", "")
    IMPORT_MEMORY_BYTES = env.int("IMPORT_MEMORY_BYTES", 8 * 1024**3)
    PRICE_NOTICE_DAYS = env.int("PRICE_NOTICE_DAYS", 7)
    TRAINING_PRICE_NANO = env.int("TRAINING_PRICE_NANO", 500_000_000)
    TUNE_DEADLINE_S = env.int("TUNE_DEADLINE_S", 30 * 24 * 3600)
    TUNE_LEASE_S = env.float("TUNE_LEASE_S", 60.0)
    WEBHOOKS_ALLOW_PRIVATE = env.bool("WEBHOOKS_ALLOW_PRIVATE", is_loopback(WEB_HOST, *hosts_of(PUBLIC_URL)))
    STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "")
    STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", "")
    STRIPE_CONNECT_WEBHOOK_SECRET = env.str("STRIPE_CONNECT_WEBHOOK_SECRET", "")
    REFUND_DAYS = env.int("REFUND_DAYS", 14)
    STRIPE_TAX = env.bool("STRIPE_TAX", True)
    SELLER_NAME = env.str("SELLER_NAME", "GPT Store")
    SELLER_ADDRESS = env.str("SELLER_ADDRESS", "").replace("\\n", "\n")
    SELLER_TAX_ID = env.str("SELLER_TAX_ID", "")
    SANDBOX_HOST = env.str("SANDBOX_HOST", "127.0.0.1")
    SANDBOX_PORT = env.int("SANDBOX_PORT", 0) or WEB_PORT + 1
    SANDBOX_URL = (env.str("SANDBOX_URL", "") or f"http://127.0.0.1:{SANDBOX_PORT}").rstrip("/")
    SANDBOX_INTERNAL_URL = (env.str("SANDBOX_INTERNAL_URL", "") or SANDBOX_URL).rstrip("/")
    LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
except EnvError as error:
    raise ImproperlyConfigured(f"{error}. docs/settings.md lists every setting.") from error

if not 0 <= COMMISSION_PPM <= 1_000_000:
    raise ImproperlyConfigured("COMMISSION_PPM is the platform's share in parts per million: 0 to 1000000.")
if not 0 <= ROYALTY_CAP_PPM <= 1_000_000:
    raise ImproperlyConfigured("ROYALTY_CAP_PPM is what royalties may take in parts per million: 0 to 1000000.")
if not 0 <= EARNINGS_HOLD_BACK_DAYS <= 90:
    raise ImproperlyConfigured("EARNINGS_HOLD_BACK_DAYS is for how many days earnings are held back: 0 to 90.")
if not (PAYOUT_FEE_NANO >= 0 and 0 <= PAYOUT_FEE_PPM <= 1_000_000 and PAYOUT_MINIMUM_NANO > PAYOUT_FEE_NANO):
    raise ImproperlyConfigured(
        "PAYOUT_FEE_NANO and PAYOUT_FEE_PPM are what a payout costs, and PAYOUT_MINIMUM_NANO is more than the first."
    )
if FOUR_EYES_USD < 0:
    raise ImproperlyConfigured("FOUR_EYES_USD is an amount of dollars: 0 or more.")
if REVIEW not in ("automatic", "moderator"):
    raise ImproperlyConfigured("REVIEW says who lets a model into the store: automatic or moderator.")

if STRIPE_SECRET_KEY and not STRIPE_WEBHOOK_SECRET.startswith("whsec_"):
    raise ImproperlyConfigured(
        "STRIPE_SECRET_KEY needs STRIPE_WEBHOOK_SECRET (whsec_…): without it nobody's events can be believed."
    )
if STRIPE_CONNECT_WEBHOOK_SECRET and not STRIPE_CONNECT_WEBHOOK_SECRET.startswith("whsec_"):
    raise ImproperlyConfigured("STRIPE_CONNECT_WEBHOOK_SECRET is what Stripe signs with (whsec_…), or nothing.")
SANDBOX = not STRIPE_SECRET_KEY  # payments go to the bundled stand-in for Stripe
STRIPE_LIVE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
if STRIPE_LIVE and TEST_MONEY:
    raise ImproperlyConfigured(
        "STRIPE_SECRET_KEY is for real money: switch TEST_MONEY off, or credit can be had for nothing."
    )
if SANDBOX:
    STRIPE_SECRET_KEY = "sk_test_sandbox"
    STRIPE_WEBHOOK_SECRET = f"whsec_{hashlib.sha256(f'sandbox {SECRET_KEY}'.encode()).hexdigest()}"
    STRIPE_CONNECT_WEBHOOK_SECRET = f"whsec_{hashlib.sha256(f'connect {SECRET_KEY}'.encode()).hexdigest()}"
CHECKOUT_ORIGIN = SANDBOX_URL if SANDBOX else "https://checkout.stripe.com"
CONNECT_ORIGIN = SANDBOX_URL if SANDBOX else "https://connect.stripe.com"

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
    "drf_spectacular",
    "store.accounts",
    "store.webhooks",
    "store.ledger",
    "store.catalog",
    "store.uploads",
    "store.moderation",
    "store.discovery",
    "store.hub",
    "store.keys",
    "store.fleet",
    "store.subscriptions",
    "store.runs",
    "store.reputation",
    "store.tuning",
    "store.usage",
    "store.billing",
    "store.payouts",
    "store.backoffice",
    "store.api",
    "store.console",
    "store.sandbox",
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
        # A form may be answered by sending the browser to Stripe: to pay, or to say who is paid.
        "form-action": ["'self'", *sorted({CHECKOUT_ORIGIN, CONNECT_ORIGIN})],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "store.api.management.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "store.api.management.authentication.WithinScope",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 50,
    "EXCEPTION_HANDLER": "store.api.errors.management_error",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "GPT Store",
    "DESCRIPTION": "Manage models, keys and money. Models are called under /v1, in OpenAI's own format.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api",
    "ENUM_NAME_OVERRIDES": {
        "ListingStatus": "store.catalog.models.ListingStatus",
        "SubmissionStatus": "store.catalog.models.SubmissionStatus",
        "MeasurementStatus": "store.catalog.models.MeasurementStatus",
        "ImportStatus": "store.catalog.models.ImportStatus",
        "AccessStatus": "store.catalog.models.AccessStatus",
        "RunStatus": "store.runs.models.RunStatus",
        "JobStatus": "store.tuning.models.JobStatus",
        "FileStatus": "store.tuning.models.FileStatus",
        "FilePurpose": "store.tuning.models.FilePurpose",
        "TallyStatus": "store.tuning.models.TallyStatus",
        "ReportStatus": "store.moderation.models.ReportStatus",
        "AppealStatus": "store.moderation.models.AppealStatus",
        "DeliveryStatus": "store.webhooks.models.DeliveryStatus",
        "PayoutStatus": "store.payouts.models.PayoutStatus",
        "AccountState": "store.payouts.models.AccountState",
        "ReportReason": "store.moderation.models.ReportReason",
        "PaperKind": "store.billing.models.PaperKind",
        "RefKind": "store.catalog.models.RefKind",
        "TopupMode": "store.billing.models.TopupMode",
        "TopupStatus": "store.billing.models.TopupStatus",
        "RefundOrderStatus": "store.billing.models.RefundOrderStatus",
        "GrantSource": "store.billing.models.GrantSource",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "store.api.management.schema.with_errors",
    ],
}
# unfold's pages bring <style> and Alpine.js, which evaluates the expressions in its attributes: /admin/ alone may do both, for
# staff with two factors (store.staff.site adds this to their answers). No script from elsewhere and no inline script runs there either.
ADMIN_CONTENT_SECURITY_POLICY = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
