"""Figures as SVG text, drawn by matplotlib."""
