"""Views of a store as text, Markdown, CSV and JSON."""
