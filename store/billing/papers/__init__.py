"""Receipts, credit notes and monthly statements: what stands on them, their numbers, and how they look as PDF."""
