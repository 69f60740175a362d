"""The pages of a published set: self-contained HTML, a file a page, from the set's own tables.

Rooms: `parts` (what a page is made of), `charts` (Vega-Lite through Altair), `writing` (all pages
into a folder), and a module a page. Templates: page.html, site.css, site.js.
"""
