"""What the Hub's clients read: models, files, commits and people as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from inference.manifest import FileEntry
from store.accounts.models import Organization, Role, User
from store.catalog.models import Commit, Listing, Ref, Weights
from store.hub.callers import Caller

Json = dict[str, Any]
LIBRARY = "transformers"
POINTER_BYTES = 134  # of a Git LFS pointer file: the Hub's word for "not in Git itself"
AUTO_MODELS = {
    "text-generation": "AutoModelForCausalLM",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
    "text-classification": "AutoModelForSequenceClassification",
}
ROLES = {Role.OWNER: "admin", Role.ADMIN: "admin", Role.DEVELOPER: "write"}


def moment(when: datetime) -> str:
    """As the Hub writes it: UTC, with milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def gate(listing: Listing) -> str | bool:
    """``gated``: whether the files are asked for, and who says yes."""
    if listing.weights == Weights.OPEN:
        return False
    return "auto" if listing.weights == Weights.GATED and listing.gate_is_automatic else "manual"


def model(listing: Listing, *, downloads: int) -> Json:
    """A listing without its files. What ``expand`` chooses from has the Hub's names."""
    return {
        "_id": f"{listing.pk:024x}",
        "id": listing.name,
        "modelId": listing.name,
        "author": listing.organization.slug,
        "private": listing.is_private,
        "gated": gate(listing),
        "disabled": False,
        "createdAt": moment(listing.created_at),
        "downloads": downloads,
        "library_name": LIBRARY,
        "pipeline_tag": listing.task,
        "tags": tags(listing),
        "baseModels": [listing.base.name] if listing.base else [],
        "transformersInfo": {
            "auto_model": AUTO_MODELS.get(listing.task, "AutoModel"),
            "pipeline_tag": listing.task,
            "processor": "AutoTokenizer",
        },
    }


def tags(listing: Listing) -> list[str]:
    """The card's own, and those that the Hub makes of a card's metadata."""
    made = [LIBRARY, "safetensors", listing.task, *listing.tags, *listing.languages]
    if listing.base:
        kind = f"base_model:{listing.base_relation}:" if listing.base_relation else "base_model:"
        made += [f"base_model:{listing.base.name}", f"{kind}{listing.base.name}"]
    if listing.licence:
        made.append(f"license:{listing.licence}")
    return list(dict.fromkeys(made))


def lfs(file: FileEntry) -> Json:
    """Large-file information for small files too: by it clients check the SHA-256 of what they got."""
    return {"oid": file.sha256, "sha256": file.sha256, "size": file.size, "pointerSize": POINTER_BYTES}


def sibling(file: FileEntry, *, with_metadata: bool) -> Json:
    """A file, as model_info names it."""
    named: Json = {"rfilename": file.path}
    return named | {"size": file.size, "blobId": file.sha256, "lfs": lfs(file)} if with_metadata else named


def tree(files: Sequence[FileEntry], *, folder: str, recursive: bool, last: Mapping[str, Commit]) -> list[Json]:
    """What lies in a folder ("" is all): files, and folders themselves. ``last`` has the commit that last changed a path."""
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, Json] = {}
    for file in files:
        if not file.path.startswith(prefix):
            continue
        parts = file.path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            path = prefix + "/".join(parts[:depth])
            entries.setdefault(path, directory(path, files, last))
        if recursive or len(parts) == 1:
            entries[file.path] = entry(file, last)
    return list(entries.values())


def entry(file: FileEntry, last: Mapping[str, Commit]) -> Json:
    """A file of a tree."""
    made: Json = {"type": "file", "path": file.path, "size": file.size, "oid": file.sha256, "lfs": lfs(file)}
    if last:
        made |= {"lastCommit": short_commit(last[file.path])}
    return made


def directory(path: str, files: Sequence[FileEntry], last: Mapping[str, Commit]) -> Json:
    """A folder of a tree. Its oid is made of what is in it."""
    inside = [file for file in files if file.path.startswith(f"{path}/")]
    content = "".join(f"{file.sha256} {file.path}\n" for file in inside)
    made: Json = {"type": "directory", "path": path, "size": 0}
    made["oid"] = hashlib.sha256(content.encode()).hexdigest()[:40]
    if last:
        made["lastCommit"] = short_commit(max((last[file.path] for file in inside), key=lambda commit: commit.pk))
    return made


def short_commit(commit: Commit) -> Json:
    """The last commit of a path."""
    return {"id": commit.oid, "title": commit.title, "date": moment(commit.created_at)}


def commit(made: Commit) -> Json:
    """A commit of a branch's history. People are named as they name themselves; an e-mail address is nobody's business."""
    author = made.author.get_short_name() if made.author else made.listing.organization.slug
    return {
        "id": made.oid,
        "title": made.title,
        "message": made.message,
        "authors": [{"user": author}],
        "date": moment(made.created_at),
    }


def ref(made: Ref, folder: str) -> Json:
    """A branch (in ``heads``) or a tag (in ``tags``)."""
    return {"name": made.name, "ref": f"refs/{folder}/{made.name}", "targetCommit": made.commit.oid}


def account(user: User, own: Organization, others: Iterable[tuple[Organization, str]], caller: Caller) -> Json:
    """``whoami``: the name is that of the user's own organization, where new repositories go."""
    return {
        "type": "user",
        "id": f"{user.pk:024x}",
        "name": own.slug,
        "fullname": user.get_full_name(),
        "email": user.email,
        "emailVerified": True,
        "isPro": False,
        "canPay": False,
        "periodEnd": None,
        "avatarUrl": "",
        "orgs": [
            {
                "type": "org",
                "id": f"{other.pk:024x}",
                "name": other.slug,
                "fullname": other.name,
                "email": None,
                "canPay": False,
                "isEnterprise": False,
                "periodEnd": None,
                "avatarUrl": "",
                "roleInOrg": ROLES.get(Role(role), "read"),
            }
            for other, role in others
        ],
        "auth": {
            "type": "access_token",
            "accessToken": {
                "displayName": caller.token_name,
                "role": "write" if "write" in caller.scopes else "read",
            },
        },
    }


def owned(listing: Listing, *, used: int) -> Json:
    """A repository in the list of what somebody has; ``used`` bytes are on its branch main."""
    return {
        "id": listing.name,
        "type": "model",
        "updatedAt": moment(listing.published_at or listing.created_at),
        "visibility": "private" if listing.is_private else "public",
        "storage": used,
    }
