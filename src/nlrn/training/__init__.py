"""Training an NLRN: ``loop.train`` with ``settings.Settings``. Needs the extra ``nlrn[train]``."""
