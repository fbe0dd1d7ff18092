"""Measures how good a model is: the literature's protocol, metrics, reports, tables beside published results."""
