"""A demo model that needs no key and no network."""

from myagent.models.offline.model import OfflineModel

__all__ = ["OfflineModel"]
