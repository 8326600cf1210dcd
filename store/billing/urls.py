"""Where Stripe finds the store."""

from django.urls import path

from store.billing.views import webhook

urlpatterns = [path("stripe/webhook", webhook, name="stripe-webhook")]
