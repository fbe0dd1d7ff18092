"""A page for one's own browser: restore a picture, see what the network looks at, compare the models.

:mod:`nlrn.web.work` does what the page asks for, :mod:`nlrn.web.page` lays it out (Gradio), :mod:`nlrn.web.guard`
decides what a request may have, :mod:`nlrn.web.server` runs it on this machine alone.
"""
