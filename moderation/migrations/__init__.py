"""Alembic migrations of the store; ``moderation.store.open_store`` applies them."""
