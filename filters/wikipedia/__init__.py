"""Wikipedia: wikitext to text, and text without what Wikipedia's software and editors leave in it.

`clean_pages` does all of it to a frame of pages. `wikitext_to_text` renders one page.
"""

from filters.wikipedia.pages import clean_pages
from filters.wikipedia.wikitext import redirect_target, wikitext_to_text

__all__ = ["clean_pages", "redirect_target", "wikitext_to_text"]
