"""What is for sale: listings and their repositories, immutable releases and what was measured of them, prices over time."""

from store.catalog.models.access import AccessRequest, AccessStatus
from store.catalog.models.blob import Blob, OrganizationBlob, StorageUse
from store.catalog.models.commission import CommissionRule, CommissionScope, CommissionStanding
from store.catalog.models.conversion import Conversion, ConversionStatus
from store.catalog.models.listing import CALLABLE, BaseRelation, Listing, ListingQuerySet, ListingStatus, Weights
from store.catalog.models.notice import Notice, NoticeKind
from store.catalog.models.price import Price, PriceAnnouncement, PriceQuerySet
from store.catalog.models.release import Measurement, MeasurementStatus, Release, ReleaseFile
from store.catalog.models.repository import Commit, CommitFile, Ref, RefKind
from store.catalog.models.royalty import RoyaltyTerm
from store.catalog.models.submission import OPEN_SUBMISSION, ImportJob, ImportStatus, Submission, SubmissionStatus

__all__ = [
    "CALLABLE",
    "OPEN_SUBMISSION",
    "AccessRequest",
    "AccessStatus",
    "BaseRelation",
    "Blob",
    "CommissionRule",
    "CommissionScope",
    "CommissionStanding",
    "Commit",
    "CommitFile",
    "Conversion",
    "ConversionStatus",
    "ImportJob",
    "ImportStatus",
    "Listing",
    "ListingQuerySet",
    "ListingStatus",
    "Measurement",
    "MeasurementStatus",
    "Notice",
    "NoticeKind",
    "OrganizationBlob",
    "Price",
    "PriceAnnouncement",
    "PriceQuerySet",
    "Ref",
    "RefKind",
    "Release",
    "ReleaseFile",
    "RoyaltyTerm",
    "StorageUse",
    "Submission",
    "SubmissionStatus",
    "Weights",
]
