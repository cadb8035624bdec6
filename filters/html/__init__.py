"""HTML to text: charset (`charset`), blocks of a page (`blocks`), which of them are its main text (`main_text`)."""

from filters.html.extraction import ExtractedDocuments, extract_documents, extract_text

__all__ = ["ExtractedDocuments", "extract_documents", "extract_text"]
