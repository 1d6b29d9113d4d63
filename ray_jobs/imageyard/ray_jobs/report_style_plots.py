"""The style of plots in a report."""

PLOTS = """
"""
