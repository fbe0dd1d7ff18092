"""A page for one's own browser: pictures restored, before and after compared, what the network looks at, all models.

:mod:`nlrn.web.server` runs it on this machine alone, :mod:`nlrn.web.guard` decides which requests are answered and
:mod:`nlrn.web.app` answers them; :mod:`nlrn.web.sessions` keeps what belongs to one open page and
:mod:`nlrn.web.uploads` its files; :mod:`nlrn.web.jobs` is the queue, :mod:`nlrn.web.work` what is done there,
:mod:`nlrn.web.views` what is seen of a picture, and :mod:`nlrn.web.results` what is downloaded. The page itself
lies in ``static``: plain HTML, CSS and JavaScript, nothing to be built.
"""
