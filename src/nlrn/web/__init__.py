"""A page for one's own browser: pictures restored, before and after compared, what the network looks at, all models.

:mod:`nlrn.web.server` runs it on this machine alone, :mod:`nlrn.web.guard` decides which requests are answered,
:mod:`nlrn.web.app` answers them and :mod:`nlrn.web.requests` reads what is in them. :mod:`nlrn.web.sessions` keeps
what belongs to one open page, :mod:`nlrn.web.uploads` its files, :mod:`nlrn.web.jobs` the work that waits.
:mod:`nlrn.web.work` opens and restores pictures, :mod:`nlrn.web.pieces` the parts that are looked at,
:mod:`nlrn.web.views` makes them visible and :mod:`nlrn.web.results` files. The page itself lies in ``static``: plain
HTML, CSS and JavaScript, nothing to be built, nothing from elsewhere.
"""
