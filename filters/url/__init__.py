"""URLs: registered domains (`hosts`), and lists of domains that are blocked or allowed (`lists`)."""

from filters.url.hosts import domains, hosts
from filters.url.lists import UrlList, UrlListError, find_list, read_list, shipped_list

__all__ = ["UrlList", "UrlListError", "domains", "find_list", "hosts", "read_list", "shipped_list"]
