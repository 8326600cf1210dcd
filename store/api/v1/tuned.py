"""Models by the names that trainings gave them: ``ft:acme/bard:team:suffix:id``, and checkpoints of those."""

from __future__ import annotations

from store.catalog.reads import CallableListing
from store.keys.grants import KeyGrant
from store.runs.database_thread import query
from store.runs.offers import forget_name, listing_named
from store.tuning.actions.results import open_checkpoint
from store.tuning.reads import callable_tuned, checkpoint_named


async def tuned_named(grant: KeyGrant, name: str) -> CallableListing | None:
    """What the name is, if it can be called. A checkpoint is made a release the first time that its owner calls it, in about a second.

    Raises CheckpointUnfit, DatabaseError.
    """
    found = await listing_named(name, find=callable_tuned)
    if found or "\0" in name:
        return found
    checkpoint = await query(checkpoint_named, name, organization_id=grant.organization_id)
    if checkpoint is None or checkpoint.release_id:
        return None
    await query(open_checkpoint, checkpoint)
    forget_name(name)
    return await listing_named(name, find=callable_tuned)
