"""``/api/listings/{organization}/{slug}/commits`` and ``…/refs``: the files from which releases are made.

Contents are sent by an upload (``/uploads``) or by the Hub protocol; a commit names them by SHA-256.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from store.api.management.of_listing import OfListing, user_of, valid
from store.catalog.actions.repositories import (
    AddFile,
    CopyFile,
    DeleteFile,
    commit_at,
    commit_files,
    create_branch,
    create_tag,
    delete_ref,
)
from store.catalog.models import Commit, CommitFile, Ref, RefKind
from store.errors import InvalidRequest, NotFound


class CommitSerializer(serializers.ModelSerializer[Commit]):
    """A state of all files; ``digest`` is what a release of them would have."""

    parent = serializers.SlugRelatedField[Commit](slug_field="oid", read_only=True)  # type: ignore[assignment]  # a field by this name

    class Meta:
        model = Commit
        fields = ("oid", "parent", "digest", "title", "message", "size", "created_at")


class CommitFileSerializer(serializers.ModelSerializer[CommitFile]):
    """A file by its path and SHA-256; ``size`` in bytes."""

    sha256 = serializers.CharField(source="blob_id")
    size = serializers.IntegerField(source="blob.size")

    class Meta:
        model = CommitFile
        fields = ("path", "sha256", "size")


class ChangeSerializer(serializers.Serializer[Any]):
    """``add`` a file (``path``, ``sha256``), ``copy`` one (``path``, ``source``), or ``delete`` one or a folder (``path``)."""

    action = serializers.ChoiceField(choices=["add", "copy", "delete"])
    path = serializers.CharField(max_length=400, trim_whitespace=False)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", default=None)
    source = serializers.CharField(max_length=400, default=None)  # type: ignore[assignment]  # a field by this name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for action, needed in (("add", "sha256"), ("copy", "source")):
            if attrs["action"] == action and attrs[needed] is None:
                raise serializers.ValidationError({needed: f"To {action} a file, name this, too."})
        return attrs


class NewCommit(serializers.Serializer[Commit]):
    """All changes, or none. With ``parent``, only while the branch is there still."""

    title = serializers.CharField(max_length=500)
    message = serializers.CharField(default="", allow_blank=True)
    branch = serializers.CharField(default="main", max_length=100)
    parent = serializers.CharField(default=None, max_length=40)  # type: ignore[assignment]  # a field by this name
    changes = ChangeSerializer(many=True, allow_empty=False)


class CommitViews(OfListing[Commit]):
    """List, look at one with its files (by branch, tag, commit or digest), make one."""

    serializer_class = CommitSerializer
    queryset = Commit.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.own().commits.select_related("parent"))

    def retrieve(self, request: Request, revision: str, **_address: str) -> Response:
        commit = commit_at(self.own(), revision)
        if commit is None:
            raise NotFound("There is no such revision.")
        files = commit.files.select_related("blob").order_by("path")
        return Response({**CommitSerializer(commit).data, "files": CommitFileSerializer(files, many=True).data})

    @extend_schema(request=NewCommit, responses={201: CommitSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        asked = valid(NewCommit(data=request.data))
        made = commit_files(
            listing=self.own(), user=user_of(request), changes=[_change(change) for change in asked["changes"]],
            title=asked["title"], message=asked["message"], branch=asked["branch"], parent_oid=asked["parent"],
        )  # fmt: skip
        return Response(CommitSerializer(made).data, status=status.HTTP_201_CREATED)


def _change(asked: dict[str, Any]) -> AddFile | CopyFile | DeleteFile:
    match asked["action"]:
        case "add":
            return AddFile(path=asked["path"], sha256=asked["sha256"])
        case "copy":
            return CopyFile(path=asked["path"], source=asked["source"])
        case _:
            return DeleteFile(path=asked["path"])


class RefSerializer(serializers.ModelSerializer[Ref]):
    """A branch or a tag, and its commit."""

    commit = serializers.SlugRelatedField[Commit](slug_field="oid", read_only=True)

    class Meta:
        model = Ref
        fields = ("kind", "name", "commit", "message", "created_at")


class NewRef(serializers.Serializer[Ref]):
    """``revision``: where it begins; main where it is not named."""

    kind = serializers.ChoiceField(choices=RefKind.choices)
    name = serializers.CharField(max_length=100)
    revision = serializers.CharField(default="main", max_length=100)
    message = serializers.CharField(default="", allow_blank=True, max_length=500)


class RefViews(OfListing[Ref]):
    """List, make, delete."""

    serializer_class = RefSerializer
    queryset = Ref.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.own().refs.select_related("commit"))

    @extend_schema(request=NewRef, responses={201: RefSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        asked = valid(NewRef(data=request.data))
        listing, user = self.own(), user_of(request)
        if asked["kind"] == RefKind.TAG:
            made = create_tag(
                listing=listing, user=user, name=asked["name"], revision=asked["revision"], message=asked["message"]
            )
        else:
            made = create_branch(listing=listing, user=user, name=asked["name"], revision=asked["revision"])
        return Response(RefSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, kind: str, name: str, **_address: str) -> Response:
        if kind not in RefKind.values:
            raise InvalidRequest("A reference is a branch or a tag.", param="kind")
        delete_ref(listing=self.own(), user=user_of(request), kind=RefKind(kind), name=name)
        return Response(status=status.HTTP_204_NO_CONTENT)
