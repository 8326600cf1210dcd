"""The addresses that ``huggingface_hub`` asks for. They stand before those of the pages, of which some begin alike."""

from django.urls import re_path

from store.hub.views import commits, conversions, downloads, files, lfs, listings, pages, repositories

REPO = r"(?P<repo>[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+)"
REVISION = r"(?P<revision>[^/]+)"
LAST = r"(?P<revision>.+)"  # with a slash it is no revision of this store, which is for the view to say
PATH = r"(?P<path>.+)"
MODEL = rf"^api/models/{REPO}"
LFS = r"^(?P<repo>[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+?)\.git/info/lfs/objects"
OTHER_KINDS = r"(?:datasets|spaces|buckets|kernels)"

urlpatterns = [
    re_path(r"^api/whoami-v2$", repositories.whoami),
    re_path(r"^api/validate-yaml$", files.validate_yaml),
    re_path(r"^api/repos/create$", repositories.create),
    re_path(r"^api/repos/delete$", repositories.delete),
    re_path(r"^api/repos/move$", repositories.refuse_move),
    re_path(r"^api/settings/repositories$", listings.own),
    re_path(r"^api/organizations/(?P<organization>[^/]+)/settings/repositories$", listings.own),
    re_path(r"^api/models-tags-by-type$", listings.tags_by_type),
    re_path(r"^api/models$", listings.models),
    re_path(rf"{MODEL}$", files.model_info),
    re_path(rf"{MODEL}/revision/{LAST}$", files.model_info),
    re_path(rf"{MODEL}/tree/{REVISION}/?$", files.tree),
    re_path(rf"{MODEL}/tree/{REVISION}/{PATH}$", files.tree),
    re_path(rf"{MODEL}/paths-info/{LAST}$", files.paths_info),
    re_path(rf"{MODEL}/commits/{LAST}$", files.commits),
    re_path(rf"{MODEL}/preupload/{LAST}$", commits.preupload),
    re_path(rf"{MODEL}/commit/{LAST}$", commits.commit),
    re_path(rf"{MODEL}/refs$", repositories.refs),
    re_path(rf"{MODEL}/branch/{LAST}$", repositories.branch),
    re_path(rf"{MODEL}/tag/{LAST}$", repositories.tag),
    re_path(rf"{MODEL}/settings$", repositories.settings),
    re_path(rf"{MODEL}/auth-check(?:/(?P<write>write))?$", repositories.auth_check),
    re_path(rf"{MODEL}/xet-(?:read|write)-token/.+$", repositories.refuse_xet),
    re_path(rf"^{repositories.XET_ADVICE[1:]}$", repositories.refuse_xet, {"told": True}),
    re_path(rf"{MODEL}/duplicate$", repositories.refuse_duplicate),
    re_path(rf"^api/{OTHER_KINDS}(?:/.*)?$", repositories.refuse_kind),
    re_path(rf"^{OTHER_KINDS}/[^/]+/[^/]+/(?:resolve/.+|info/lfs/.+)$", repositories.refuse_kind),
    re_path(rf"{LFS}/batch$", lfs.batch),
    re_path(rf"{LFS}/verify$", lfs.verify),
    re_path(rf"{LFS}/complete/(?P<signed>[0-9a-f]+:[A-Za-z0-9_-]+)$", lfs.complete),
    re_path(r"^api/conversions/(?P<pk>\d{1,18})/source$", conversions.source, name="conversion-source"),
    re_path(rf"^{REPO}/resolve/{REVISION}/{PATH}$", downloads.resolve),
    re_path(rf"^{REPO}/(?:commit|tree|blob)/.+$", pages.of_listing),
]
